package ginmw

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// New returns middleware that opens a file transaction for each request and ends
// it with the answer's status: see nethttp.Middleware.
func New() gin.HandlerFunc { return NewWithConfig(nethttp.Config{}) }

// NewWithConfig is New with a Config. Its ErrorFunc is not used: see Abort.
func NewWithConfig(config nethttp.Config) gin.HandlerFunc {
	return func(c *gin.Context) {
		request, writer := c.Request, c.Writer
		r, exchange := config.Begin(request)
		defer func() { c.Request, c.Writer = request, writer }()
		defer exchange.Finish()
		c.Request, c.Writer = r, &answer{ResponseWriter: writer, exchange: exchange}
		c.Next()
		if c.Writer.Status() >= 400 || c.Writer.Written() {
			exchange.Answer(c.Writer.Status()) // a status Gin sends when the handlers have ended
		}
	}
}

// answer ends the transaction when Gin sends the status, just before it does.
type answer struct {
	gin.ResponseWriter
	exchange *nethttp.Exchange
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
func Uploads(fields ...*core.Field) gin.HandlerFunc {
	return UploadsWithConfig(nethttp.Config{}, fields...)
}

// UploadsWithConfig is Uploads with a Config.
func UploadsWithConfig(config nethttp.Config, fields ...*core.Field) gin.HandlerFunc {
	receiver := config.Receiver(fields...)
	return func(c *gin.Context) {
		if core.TxnFrom(c.Request.Context()) == nil {
			Abort(c, &core.Error{Kind: core.ErrConfig, Op: "uploads", Advice: "mount ginmw.New around the route: r.Use(ginmw.New())"})
			return
		}
		if err := receiver.Receive(c.Writer, c.Request); err != nil {
			Abort(c, err)
		}
	}
}

// Abort ends the request with what a client may see of err, as
// application/problem+json, and records err with c.Error.
func Abort(c *gin.Context, err error) {
	_ = c.Error(err) // returns what it was given
	c.Abort()
	nethttp.WriteError(c.Writer, c.Request, err)
}
