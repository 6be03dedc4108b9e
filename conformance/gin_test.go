package conformance_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/conformance"
	"github.com/filefield/filefield/ginmw"
)

// onGin serves apps with Gin.
func onGin(before, after []gin.HandlerFunc, options ...gin.OptionFunc) func(testing.TB, *conformance.App) http.Handler {
	return func(_ testing.TB, app *conformance.App) http.Handler {
		r := gin.New(options...)
		r.Use(before...)
		r.Use(func(c *gin.Context) {
			if app.BodyLimit > 0 {
				c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, app.BodyLimit)
			}
			if app.Timeout > 0 {
				ctx, cancel := context.WithTimeout(c.Request.Context(), app.Timeout)
				defer cancel()
				c.Request = c.Request.WithContext(ctx)
			}
			c.Next()
		})
		config := ginmw.Config{Store: app.Store, HTTP: app.HTTP}
		if app.OnRefusal != nil {
			config.ErrorHandler = func(c *gin.Context, err error) {
				c.Abort()
				ginHandler(func(call conformance.Call) error { return app.OnRefusal(call, err) })(c)
			}
		}
		r.Use(ginmw.NewWithConfig(config))
		r.Use(after...)
		for _, route := range app.Routes {
			path := strings.NewReplacer("{", ":", "}", "").Replace(route.Path)
			var stack []gin.HandlerFunc
			if route.Guard != nil {
				stack = append(stack, ginHandler(route.Guard))
			}
			if route.Uploads != nil {
				stack = append(stack, config.Uploads(route.Uploads...))
				if app.Twice {
					stack = append(stack, config.Uploads(route.Uploads...))
				}
			}
			handler := ginHandler(route.Handler)
			if route.Serve != nil {
				handler = ginmw.Wrap(route.Serve)
			}
			r.Handle(route.Method, path, append(stack, handler)...)
		}
		return r
	}
}

func ginHandler(handle func(conformance.Call) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handle(ginCall{c}); err != nil {
			ginmw.Abort(c, err)
		}
	}
}

type ginCall struct{ c *gin.Context }

func (c ginCall) Context() context.Context { return c.c.Request.Context() }
func (c ginCall) Request() *http.Request   { return c.c.Request }
func (c ginCall) Bind(dst any) error       { return c.c.ShouldBind(dst) }
func (c ginCall) Param(name string) string { return c.c.Param(name) }

func (c ginCall) Answer(status int, value any) error {
	if value == nil {
		c.c.Status(status)
		return nil
	}
	c.c.JSON(status, value)
	return nil
}
