package conformance_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"

	"github.com/filefield/filefield/conformance"
)

// onChi serves apps with chi, which is net/http with another router.
func onChi(before, after []middleware) func(testing.TB, *conformance.App) http.Handler {
	return func(_ testing.TB, app *conformance.App) http.Handler {
		r := chi.NewRouter()
		config := refusing(app)
		r.Use(before...)
		if app.BodyLimit > 0 {
			r.Use(chimw.RequestSize(app.BodyLimit))
		}
		if app.Timeout > 0 {
			r.Use(chimw.Timeout(app.Timeout))
		}
		r.Use(config.Middleware)
		r.Use(after...)
		for _, route := range app.Routes {
			on := r.With(guarding(config, route.Guard))
			if route.Uploads != nil {
				on = on.With(config.Uploads(route.Uploads...))
				if app.Twice {
					on = on.With(config.Uploads(route.Uploads...))
				}
			}
			on.Method(route.Method, route.Path, mounted(config, route))
		}
		return r
	}
}
