package ginmw

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// Config adjusts the middleware. The zero value is what New and Uploads use.
type Config struct {
	// Skip leaves requests alone. Default: none.
	Skip func(*gin.Context) bool
	// Store is what Store finds in a request.
	Store *core.Store
	// HTTP holds limits, logger and hooks. Its ErrorFunc is not used.
	HTTP nethttp.Config
	// ErrorHandler answers what Uploads refuses; the other handlers are not called.
	// Default: Abort.
	ErrorHandler func(c *gin.Context, err error)
}

// New returns middleware that opens a file transaction for each request and ends
// it with the answer's status: see nethttp.Middleware.
func New(store *core.Store) gin.HandlerFunc { return NewWithConfig(Config{Store: store}) }

// NewWithConfig is New with a Config.
func NewWithConfig(config Config) gin.HandlerFunc {
	config.HTTP.Store = config.Store
	return func(c *gin.Context) {
		if config.skips(c) {
			return
		}
		request, writer := c.Request, c.Writer
		a := &answer{ResponseWriter: writer}
		defer func() {
			if request.MultipartForm == nil { // middleware inside us made requests of its own
				request.MultipartForm = c.Request.MultipartForm // net/http removes its temporary files
			}
			c.Request = request
			if c.Writer == a { // not what middleware inside us has left for Gin's own 404
				c.Writer = writer
			}
		}()
		defer a.exchange.Finish()
		c.Request, c.Writer = config.HTTP.Begin(&a.exchange, request), a
		c.Next()
		// Gin sends a status without a body when the handlers have ended. One of 200
		// may be none that anyone has set: after an error it is for middleware around us
		// to say.
		switch status := c.Writer.Status(); {
		case status != http.StatusOK || c.Writer.Written():
			a.exchange.Answer(status)
		case c.IsAborted() && len(c.Errors) > 0:
			a.exchange.Answer(http.StatusInternalServerError)
		}
	}
}

func (config Config) skips(c *gin.Context) bool { return config.Skip != nil && config.Skip(c) }

// answer ends the transaction when Gin sends the status, just before it does.
type answer struct {
	gin.ResponseWriter
	exchange nethttp.Exchange
}

// Unwrap lets http.ResponseController reach the server's writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeaderNow() {
	if status := a.Status(); status >= 200 {
		a.exchange.Answer(status)
	}
	a.ResponseWriter.WriteHeaderNow()
}

func (a *answer) Write(p []byte) (int, error) {
	a.exchange.Answer(a.Status())
	return a.ResponseWriter.Write(p)
}

func (a *answer) WriteString(s string) (int, error) {
	a.exchange.Answer(a.Status())
	return a.ResponseWriter.WriteString(s)
}

func (a *answer) Flush() {
	a.exchange.Answer(a.Status())
	a.ResponseWriter.Flush()
}

// Uploads returns middleware for a route whose forms bring files of these
// fields: see nethttp.Uploads. It aborts with a problem when the form breaks a
// rule. New must be mounted around it.
func Uploads(fields ...*core.Field) gin.HandlerFunc { return Config{}.Uploads(fields...) }

// Uploads is the function Uploads with this Config.
func (config Config) Uploads(fields ...*core.Field) gin.HandlerFunc {
	receiver := config.HTTP.Receiver(fields...)
	refuse := config.ErrorHandler
	if refuse == nil {
		refuse = Abort
	}
	return func(c *gin.Context) {
		if config.skips(c) {
			return
		}
		if core.TxnFrom(c.Request.Context()) == nil {
			refuse(c, &core.Error{Kind: core.ErrConfig, Op: "uploads", Advice: "mount ginmw.New around the route: r.Use(ginmw.New(store))"})
			c.Abort()
			return
		}
		if err := receiver.Receive(c.Writer, c.Request); err != nil {
			refuse(c, err)
			c.Abort() // whatever it did: the files are going
		}
	}
}

// WhenReady returns middleware for routes that need storage: it answers 503 while
// a core.Startup in the background has not succeeded yet. Uploads does so by
// itself.
func WhenReady(store *core.Store) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := store.Ready(); err != nil {
			Abort(c, err)
		}
	}
}

// Server returns a server for the engine that starts a hook when it begins to
// serve: see nethttp.OnServe and nethttp.ServeError. Gin's own Run takes none.
func Server(engine *gin.Engine, hook *core.Startup) *http.Server {
	return &http.Server{Handler: engine.Handler(), BaseContext: nethttp.OnServe(hook), ReadHeaderTimeout: headerTimeout}
}

// headerTimeout bounds how long a client may take for a request's headers.
const headerTimeout = 10 * time.Second

// Txn returns the request's file transaction, or nil where New is not mounted.
func Txn(c *gin.Context) *core.Txn { return core.TxnFrom(c.Request.Context()) }

// Store returns the Store that New was given, or nil where New is not mounted.
func Store(c *gin.Context) *core.Store { return core.StoreFrom(c.Request.Context()) }
