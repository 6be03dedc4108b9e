package conformance_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/conformance"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	s3test.Main(m, s3test.NoGoroutines)
}

// What is mounted beside us never comes into play: its limits are far away.
const (
	farBytes = 2 << 40
	farTime  = time.Minute
)

func TestNetHTTP(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onMux(nil, nil)})
}

func TestNetHTTPUnderMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onMux([]middleware{maxBytes}, nil)})
}

// The time-out handler runs the app on a writer of its own, without the
// connection's deadlines.
func TestNetHTTPUnderATimeoutHandler(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onMux([]middleware{timeout}, nil), Brief: true, Buffered: true})
}

func TestNetHTTPOverMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onMux(nil, []middleware{maxBytes, timeout}), Brief: true, Buffered: true})
}

func maxBytes(next http.Handler) http.Handler { return http.MaxBytesHandler(next, farBytes) }
func timeout(next http.Handler) http.Handler  { return http.TimeoutHandler(next, farTime, "late") }

func TestChi(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onChi(nil, nil)})
}

func TestChiUnderMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onChi(chiStack(), nil), Header: compressed()})
}

func TestChiOverMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onChi(nil, chiStack()), Header: compressed(), Brief: true})
}

func chiStack() []middleware {
	return []middleware{quietly, chimw.RequestID, chimw.Recoverer, chimw.Timeout(farTime), chimw.Compress(5), chimw.RequestSize(farBytes)}
}

// quietly keeps chi's Recoverer from printing the panics of the suite.
func quietly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, chimw.WithLogEntry(r, silent{}))
	})
}

type silent struct{}

func (silent) Write(int, int, http.Header, time.Duration, any) {}
func (silent) Panic(any, []byte)                               {}

func TestEcho(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onEcho(nil, nil)})
}

func TestEchoUnderMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onEcho(echoStack(), nil), Header: fromOurPage()})
}

func TestEchoOverMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onEcho(nil, echoStack()), Header: fromOurPage(), Brief: true})
}

func echoStack() []echo.MiddlewareFunc {
	return []echo.MiddlewareFunc{
		echomiddleware.RequestID(),
		echomiddleware.RequestLoggerWithConfig(echomiddleware.RequestLoggerConfig{
			LogStatus: true, LogError: true, HandleError: true,
			LogValuesFunc: func(echo.Context, echomiddleware.RequestLoggerValues) error { return nil },
		}),
		echomiddleware.RecoverWithConfig(echomiddleware.RecoverConfig{
			LogErrorFunc: func(_ echo.Context, err error, _ []byte) error { return err },
		}),
		echomiddleware.ContextTimeout(farTime),
		echomiddleware.BodyLimit("2T"),
		echomiddleware.Gzip(),
		echomiddleware.CSRF(),
	}
}

// compressed asks for what the middleware that compresses answers is there for.
func compressed() http.Header { return http.Header{"Accept-Encoding": {"gzip"}} }

// fromOurPage also has what Echo's CSRF wants to see by default: a header, and no
// value in a form.
func fromOurPage() http.Header {
	h := compressed()
	h["X-Csrf-Token"], h["Cookie"] = []string{"a token of this test"}, []string{"_csrf=a token of this test"}
	return h
}

func TestGin(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onGin(nil, nil)})
}

func TestGinUnderMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onGin(ginStack(), nil), Header: compressed()})
}

func TestGinOverMiddleware(t *testing.T) {
	t.Parallel()
	run(t, conformance.Adapter{Handler: onGin(nil, ginStack()), Header: compressed(), Brief: true})
}

func TestGinWithContextFallback(t *testing.T) {
	t.Parallel()
	fallback := func(r *gin.Engine) { r.ContextWithFallback = true }
	run(t, conformance.Adapter{Handler: onGin(nil, nil, fallback), Brief: true})
}

func ginStack() []gin.HandlerFunc {
	return []gin.HandlerFunc{
		gin.RecoveryWithWriter(io.Discard),
		gzip.Gzip(gzip.DefaultCompression),
		func(c *gin.Context) {
			ctx, cancel := context.WithTimeout(c.Request.Context(), farTime)
			defer cancel()
			c.Request = c.Request.WithContext(ctx)
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, farBytes)
			c.Next()
		},
	}
}

func run(t *testing.T, adapter conformance.Adapter) {
	t.Helper()
	conformance.Run(t, adapter)
}
