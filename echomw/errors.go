package echomw

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype/validation"
	"github.com/filefield/filefield/nethttp"
)

// HTTPError turns any error into Echo's, with what a client may see of it, a
// core.Problem, as the message and the cause inside. What Echo's binder reports
// gets the status it has everywhere in this library: 422 for a value that does
// not fit its field.
func HTTPError(err error) *echo.HTTPError {
	p := problem(nil, err)
	return echo.NewHTTPError(p.Status, p).SetInternal(err)
}

// ours is HTTPError for errors of this library's kinds, those inside the 400 of
// Echo's binder among them. Others are the app's and stay as they are.
func ours(err error) error {
	var echos *echo.HTTPError
	if core.KindOf(err) == 0 || errors.As(err, &echos) && !ofBinder(echos) {
		return err
	}
	return HTTPError(err)
}

// ofBinder says whether an error is the 400 that Echo's binder makes of another: by
// the words it has for it, and the kinds a file field has when it is filled. An app
// may wrap errors of ours in a 400 of its own.
func ofBinder(err *echo.HTTPError) bool {
	if err.Code != http.StatusBadRequest || err.Internal == nil {
		return false
	}
	message, _ := err.Message.(string)
	switch err.Internal.(type) { //nolint:errorlint // Echo words these itself, and wraps nothing
	case *json.UnmarshalTypeError:
		return strings.HasPrefix(message, "Unmarshal type error:")
	case *json.SyntaxError, *xml.SyntaxError:
		return strings.HasPrefix(message, "Syntax error:")
	}
	switch core.KindOf(err.Internal) {
	case 0, core.ErrToken, core.ErrTooMany, core.ErrConfig:
		return message == err.Internal.Error()
	}
	return false
}

// problem is what a client may see of an error. r is the request, or nil.
func problem(r *http.Request, err error) core.Problem {
	var echos *echo.HTTPError
	if !errors.As(err, &echos) {
		return core.ProblemOf(validation.Errors(err, nil))
	}
	if p, ok := echos.Message.(core.Problem); ok {
		return p
	}
	if ofBinder(echos) {
		return core.ProblemOf(nethttp.BindError(r, echos.Internal))
	}
	if echos == echo.ErrUnsupportedMediaType { // the very one is what Echo's binder returns
		return core.ProblemOf(&core.Error{Kind: core.ErrType, Op: "bind", Err: err, Detail: "the body is neither a form nor JSON"})
	}
	p := core.Problem{Type: "about:blank", Title: http.StatusText(echos.Code), Status: echos.Code}
	if message := fmt.Sprint(echos.Message); message != p.Title {
		p.Detail = message
	}
	return p
}

// ErrorHandler answers every error as application/problem+json (RFC 9457): for
// Echo's HTTPErrorHandler.
func ErrorHandler(err error, c echo.Context) {
	if !c.Response().Committed {
		nethttp.WriteProblem(c.Response(), c.Request(), problem(c.Request(), err))
	}
}

// Validator makes Echo's Validator of a validator, with the rules for file
// fields (package validation) added. Faults are *echo.HTTPError of status 422,
// with the fields by the names a client knows. nil takes a validator of its own.
func Validator(v *validator.Validate) echo.Validator {
	if v == nil {
		v = validator.New(validator.WithRequiredStructEnabled())
	}
	return &structs{v: v, fault: validation.Register(v)}
}

type structs struct {
	v     *validator.Validate
	fault error
}

// Validate reports every fault of a struct.
func (s *structs) Validate(i any) error {
	if s.fault != nil {
		return HTTPError(s.fault)
	}
	if err := s.v.Struct(i); err != nil {
		return HTTPError(validation.Errors(err, nil))
	}
	return nil
}
