package echomw

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

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
	p := problem(err)
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

// ofBinder says whether an error is the 400 that Echo's binder makes of another.
func ofBinder(err *echo.HTTPError) bool {
	if err.Code != http.StatusBadRequest || err.Internal == nil {
		return false
	}
	switch err.Internal.(type) { //nolint:errorlint // Echo words these itself, and wraps nothing
	case *json.UnmarshalTypeError, *json.SyntaxError:
		return true
	}
	return err.Message == err.Internal.Error()
}

func problem(err error) core.Problem {
	var echos *echo.HTTPError
	if !errors.As(err, &echos) {
		return core.ProblemOf(validation.Errors(err, nil))
	}
	if p, ok := echos.Message.(core.Problem); ok {
		return p
	}
	if ofBinder(echos) {
		return core.ProblemOf(nethttp.BindError(echos.Internal))
	}
	if echos.Code == http.StatusUnsupportedMediaType && echos.Message == echo.ErrUnsupportedMediaType.Message { // from Echo's binder
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
		nethttp.WriteProblem(c.Response(), c.Request(), problem(err))
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
