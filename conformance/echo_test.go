package conformance_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/conformance"
	"github.com/filefield/filefield/echomw"
)

// onEcho serves apps with Echo.
func onEcho(before, after []echo.MiddlewareFunc) func(testing.TB, *conformance.App) http.Handler {
	return func(_ testing.TB, app *conformance.App) http.Handler {
		e := echo.New()
		e.HTTPErrorHandler = echomw.ErrorHandler
		e.Use(before...)
		if app.BodyLimit > 0 {
			e.Use(echomiddleware.BodyLimit(fmt.Sprintf("%dB", app.BodyLimit)))
		}
		if app.Timeout > 0 {
			e.Use(echomiddleware.ContextTimeout(app.Timeout))
		}
		config := echomw.Config{Store: app.Store, HTTP: app.HTTP}
		if app.OnRefusal != nil {
			config.ErrorHandler = func(err error, c echo.Context) error { return app.OnRefusal(echoCall{c}, err) }
		}
		e.Use(echomw.NewWithConfig(config))
		e.Use(after...)
		for _, route := range app.Routes {
			path := strings.NewReplacer("{", ":", "}", "").Replace(route.Path)
			stack := []echo.MiddlewareFunc{func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					if route.Guard != nil {
						if err := route.Guard(echoCall{c}); err != nil {
							return err
						}
					}
					return next(c)
				}
			}}
			if route.Uploads != nil {
				stack = append(stack, config.Uploads(route.Uploads...))
				if app.Twice {
					stack = append(stack, config.Uploads(route.Uploads...))
				}
			}
			handler := func(c echo.Context) error { return route.Handler(echoCall{c}) }
			if route.Serve != nil {
				handler = echomw.Wrap(route.Serve)
			}
			e.Add(route.Method, path, handler, stack...)
		}
		return e
	}
}

type echoContext = echo.Context // an embedded Context would be in the way of the method

type echoCall struct{ echoContext }

func (c echoCall) Context() context.Context { return c.Request().Context() }

func (c echoCall) Answer(status int, value any) error {
	if value == nil {
		return c.NoContent(status)
	}
	return c.JSON(status, value)
}
