package echomw

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// Config adjusts the middleware. Only Store is required, and for Uploads not
// even that.
type Config struct {
	// Skipper leaves requests alone. Default: none.
	Skipper middleware.Skipper
	// Store is what Store finds in a request.
	Store *core.Store
	// HTTP holds limits, logger and hooks. Its ErrorFunc is not used: errors go to
	// ErrorHandler and Echo's own handler.
	HTTP nethttp.Config
	// ErrorHandler turns what Uploads refuses a request with into what the route
	// returns. Default: HTTPError.
	ErrorHandler func(err error, c echo.Context) error
}

// DefaultConfig is what New and Uploads use.
var DefaultConfig = Config{Skipper: middleware.DefaultSkipper} //nolint:gochecknoglobals // Echo's convention

// New returns middleware that opens a file transaction for each request and ends
// it with the answer's status: see nethttp.Middleware. An error of the handler is
// given to Echo's error handler here, so that its status decides; one of this
// library's kinds as an *echo.HTTPError.
func New(store *core.Store) echo.MiddlewareFunc {
	config := DefaultConfig
	config.Store = store
	return NewWithConfig(config)
}

// NewWithConfig is New with a Config. With faults in it (see ToMiddleware) every
// request is answered with them.
func NewWithConfig(config Config) echo.MiddlewareFunc {
	mw, err := config.ToMiddleware()
	if err != nil {
		return func(echo.HandlerFunc) echo.HandlerFunc {
			return func(echo.Context) error { return HTTPError(err) }
		}
	}
	return mw
}

// ToMiddleware is NewWithConfig for programs that want to know of faults at
// their start: ErrConfig without a Store, or with what is wrong in its fields.
func (config Config) ToMiddleware() (echo.MiddlewareFunc, error) {
	if config.Store == nil {
		return nil, &core.Error{Kind: core.ErrConfig, Op: "echomw", Advice: "set Config.Store, or call New with a store"}
	}
	if err := config.Store.Faults(); err != nil {
		return nil, err
	}
	config.HTTP.Store = config.Store
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if config.skips(c) {
				return next(c)
			}
			return config.serve(c, next)
		}
	}, nil
}

// serve runs one request. Echo's own Response stays, so that outer middleware
// sees its state; only the writer under it changes for the time of the request.
func (config Config) serve(c echo.Context, next echo.HandlerFunc) error {
	exchange := &nethttp.Exchange{}
	response, request := c.Response(), c.Request()
	writer := response.Writer
	defer func() {
		if request.MultipartForm == nil { // middleware inside us made requests of its own
			request.MultipartForm = c.Request().MultipartForm // net/http removes its temporary files
		}
		response.Writer = writer
		c.SetRequest(request)
	}()
	defer exchange.Finish()
	c.SetRequest(config.HTTP.Begin(exchange, request))
	response.Writer = exchange.Writer(writer)
	err := next(c)
	if err != nil {
		err = ours(err)
		c.Error(err)
		exchange.Answer(http.StatusInternalServerError) // unless the error handler wrote a status
	}
	return err
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
				return config.refuse(c, &core.Error{Kind: core.ErrConfig, Op: "uploads", Advice: "mount echomw.New around the route: e.Use(echomw.New(store))"})
			}
			if err := receiver.Receive(c.Response(), c.Request()); err != nil {
				return config.refuse(c, err)
			}
			return next(c)
		}
	}
}

// refuse returns what a route returns for a request that was not taken in.
func (config Config) refuse(c echo.Context, err error) error {
	// Echo's BodyLimit ends the body with an error of its own.
	if limit := new(echo.HTTPError); errors.As(err, &limit) && limit.Code == http.StatusRequestEntityTooLarge {
		err = &core.Error{Kind: core.ErrTooLarge, Op: "read request", Detail: "the request is larger than this server allows"}
	}
	if config.ErrorHandler != nil {
		return config.ErrorHandler(err, c)
	}
	return ours(err)
}

func (config Config) skips(c echo.Context) bool {
	return config.Skipper != nil && config.Skipper(c)
}

// WhenReady returns middleware for routes that need storage: it answers 503 while
// a core.Startup in the background has not succeeded yet. Uploads does so by
// itself.
func WhenReady(store *core.Store) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := store.Ready(); err != nil {
				return HTTPError(err)
			}
			return next(c)
		}
	}
}

// OnServe has Echo's servers start a hook when they begin to serve: see
// nethttp.OnServe and nethttp.ServeError, for what e.Start returns.
func OnServe(e *echo.Echo, hook *core.Startup) {
	e.Server.BaseContext, e.TLSServer.BaseContext = nethttp.OnServe(hook), nethttp.OnServe(hook)
}

// Txn returns the request's file transaction, or nil where New is not mounted.
func Txn(c echo.Context) *core.Txn { return core.TxnFrom(c.Request().Context()) }

// Store returns the Store that New was given, or nil where New is not mounted.
func Store(c echo.Context) *core.Store { return core.StoreFrom(c.Request().Context()) }
