package conformance_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/conformance"
	"github.com/filefield/filefield/nethttp"
)

// middleware is net/http's, and chi's.
type middleware = func(http.Handler) http.Handler

// onMux serves apps with net/http alone, with middleware outside and inside of ours.
func onMux(before, after []middleware) func(testing.TB, *conformance.App) http.Handler {
	return func(_ testing.TB, app *conformance.App) http.Handler {
		mux := http.NewServeMux()
		config := refusing(app)
		for _, route := range app.Routes {
			handler := mounted(config, route)
			if route.Uploads != nil {
				handler = config.Uploads(route.Uploads...)(handler)
				if app.Twice {
					handler = config.Uploads(route.Uploads...)(handler)
				}
			}
			path := strings.Replace(route.Path+"$", "/$", "/{$}", 1) // "/" alone would be every path
			mux.Handle(route.Method+" "+strings.TrimSuffix(path, "$"), guarding(config, route.Guard)(handler))
		}
		handler := config.Middleware(wrapped(mux, after))
		return wrapped(limiting(app)(handler), before)
	}
}

// limiting mounts the app's own limits.
func limiting(app *conformance.App) middleware {
	return func(next http.Handler) http.Handler {
		if app.BodyLimit > 0 {
			next = http.MaxBytesHandler(next, app.BodyLimit)
		}
		if app.Timeout == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), app.Timeout)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func wrapped(handler http.Handler, stack []middleware) http.Handler {
	for i := len(stack) - 1; i >= 0; i-- {
		handler = stack[i](handler)
	}
	return handler
}

// refusing is the app's configuration with its answer to what Uploads refuses.
func refusing(app *conformance.App) nethttp.Config {
	config := app.HTTP
	if app.OnRefusal != nil {
		config.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
			if err := app.OnRefusal(&call{w, r}, err); err != nil {
				nethttp.WriteError(w, r, err)
			}
		}
	}
	return config
}

func mounted(config nethttp.Config, route conformance.Route) http.Handler {
	if route.Serve != nil {
		return config.Handle(route.Serve)
	}
	return answering(config, route.Handler)
}

func answering(config nethttp.Config, handle func(conformance.Call) error) http.Handler {
	return config.Handle(func(w http.ResponseWriter, r *http.Request) error { return handle(&call{w, r}) })
}

func guarding(config nethttp.Config, guard func(conformance.Call) error) middleware {
	return func(next http.Handler) http.Handler {
		if guard == nil {
			return next
		}
		return config.Handle(func(w http.ResponseWriter, r *http.Request) error {
			if err := guard(&call{w, r}); err != nil {
				return err
			}
			next.ServeHTTP(w, r)
			return nil
		})
	}
}

// call is a request of net/http.
type call struct {
	w http.ResponseWriter
	r *http.Request
}

func (c *call) Context() context.Context { return c.r.Context() }
func (c *call) Request() *http.Request   { return c.r }
func (c *call) Bind(dst any) error       { return nethttp.Bind(c.r, dst) }
func (c *call) Param(name string) string { return c.r.PathValue(name) }

func (c *call) Answer(status int, value any) error {
	if value == nil {
		c.w.WriteHeader(status)
		return nil
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	return json.NewEncoder(c.w).Encode(value)
}
