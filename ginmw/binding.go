package ginmw

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype/validation"
	"github.com/filefield/filefield/nethttp"
)

// Abort ends the request with what a client may see of err, as
// application/problem+json, and records err with c.Error. It understands what
// Gin's binder and validator report, 422 with the fields at fault, and tells it
// from an app's own error of the same type as nethttp.BindError does; wrap those
// (%w) to be sure.
func Abort(c *gin.Context, err error) {
	_ = c.Error(err) // returns what it was given
	c.Abort()
	if !c.Writer.Written() {
		nethttp.WriteError(c.Writer, c.Request, nethttp.BindError(c.Request, validation.Errors(err, nil)))
	}
}

// Binding is a binding.Binding for c.ShouldBindWith that reads forms and JSON as
// nethttp.Bind does, lists of structs ("items.0.photo") among them, claims the
// files, and then has Gin's validator check the struct. c.ShouldBind works too,
// as far as Gin's own decoder goes.
type Binding struct{}

// Name is the binding's name.
func (Binding) Name() string { return "filefield" }

// Bind fills obj from the request: errors as nethttp.Bind, and core.Invalid with
// what the validator found.
func (Binding) Bind(r *http.Request, obj any) error {
	if err := nethttp.Bind(r, obj); err != nil {
		return err
	}
	if binding.Validator == nil {
		return nil
	}
	return validation.Errors(binding.Validator.ValidateStruct(obj), nil)
}

// PrepareValidator adds the rules for file fields (package validation) to Gin's
// validator, and names fields as clients know them. Call it once, before the
// first request; Gin's validator is one for the whole program.
func PrepareValidator() error {
	if binding.Validator == nil {
		return &core.Error{Kind: core.ErrConfig, Op: "prepare validator", Advice: "binding.Validator is nil: leave Gin's, or register the rules on your own"}
	}
	v, ok := binding.Validator.Engine().(*validator.Validate)
	if !ok {
		return &core.Error{Kind: core.ErrConfig, Op: "prepare validator", Err: fmt.Errorf("the validator of Gin is a %T", binding.Validator.Engine()), Advice: "register the rules of package validation on it"}
	}
	return validation.Register(v)
}
