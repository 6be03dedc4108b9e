package echomw

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// Config adjusts the middleware. Its zero value is DefaultConfig.
type Config struct {
	// Skipper leaves requests alone. Default: none.
	Skipper middleware.Skipper
	// HTTP holds the limits and the logger. Its ErrorFunc is not used: errors go
	// to Echo's error handler.
	HTTP nethttp.Config
}

// DefaultConfig is what New and Uploads use.
var DefaultConfig = Config{Skipper: middleware.DefaultSkipper} //nolint:gochecknoglobals // Echo's convention

// New returns middleware that opens a file transaction for each request and ends
// it with the answer's status: see nethttp.Middleware. An error of the handler is
// given to Echo's error handler here, so that its status decides.
func New() echo.MiddlewareFunc { return NewWithConfig(DefaultConfig) }

// NewWithConfig is New with a Config.
func NewWithConfig(config Config) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			if config.skips(c) {
				return next(c)
			}
			// Echo's own Response stays, so that outer middleware sees its state;
			// only the writer under it changes for the time of the request.
			response, request := c.Response(), c.Request()
			writer := response.Writer
			defer func() { response.Writer = writer; c.SetRequest(request) }()
			config.HTTP.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				response.Writer = w
				c.SetRequest(r)
				if err = next(c); err != nil {
					c.Error(err)
				}
			})).ServeHTTP(writer, request)
			return err
		}
	}
}

// Uploads returns middleware for a route whose forms bring files of these
// fields: see nethttp.Uploads. Its errors are *echo.HTTPError with a
// core.Problem as message and the cause inside. New must be mounted around it.
func Uploads(fields ...*core.Field) echo.MiddlewareFunc { return DefaultConfig.Uploads(fields...) }

// Uploads is the function Uploads with this Config.
func (config Config) Uploads(fields ...*core.Field) echo.MiddlewareFunc {
	receiver := config.HTTP.Receiver(fields...)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if config.skips(c) {
				return next(c)
			}
			if core.TxnFrom(c.Request().Context()) == nil {
				return HTTPError(&core.Error{Kind: core.ErrConfig, Op: "uploads", Advice: "mount echomw.New around the route: e.Use(echomw.New())"})
			}
			if err := receiver.Receive(c.Response(), c.Request()); err != nil {
				return HTTPError(err)
			}
			return next(c)
		}
	}
}

func (config Config) skips(c echo.Context) bool {
	return config.Skipper != nil && config.Skipper(c)
}

// HTTPError turns an error of this library into Echo's, with what a client may
// see of it as the message.
func HTTPError(err error) *echo.HTTPError {
	p := core.ProblemOf(err)
	return echo.NewHTTPError(p.Status, p).SetInternal(err)
}
