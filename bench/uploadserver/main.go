// Command uploadserver takes uploads as an app that uses the library would, for
// load tests from outside:
//
//	AK=… SK=… uploadserver nethttp 127.0.0.1:8080 127.0.0.1:9000 bucket
//
// The first argument is the mode: nethttp, echo or gin.
//
// POST /upload takes a form with a file of any type in the field "file", of up to
// 5 TiB, stores it in the bucket and answers 201 with what was stored. GET
// /files/KEY sends the file of that key to anyone, GET /debug/vars what the program
// has allocated, and GET /debug/pprof/ its profiles. The storage's credentials are in
// AK and SK. It is spoken to in plain HTTP, or in TLS where CA names a PEM file of
// the authority to trust. The bucket is made when missing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/nethttp"
)

// finishTimeout is how long running uploads may go on after a signal.
const finishTimeout = time.Minute

// handlers has, by mode, what makes a server of the one field.
var handlers = map[string]func(*core.Store, *core.Field) http.Handler{
	"nethttp": onNetHTTP,
	"echo":    onEcho,
	"gin":     onGin,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "uploadserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("usage: AK=… SK=… uploadserver MODE ADDR S3_ENDPOINT BUCKET")
	}
	mode, addr, endpoint, bucket := args[0], args[1], args[2], args[3]
	handler := handlers[mode]
	if handler == nil {
		return fmt.Errorf("there is no mode %q; there are nethttp, echo and gin", mode)
	}
	if os.Getenv("AK") == "" || os.Getenv("SK") == "" {
		return errors.New("the storage's credentials are missing: set AK and SK")
	}
	store, err := core.Open(core.Config{
		Endpoint: endpoint, AccessKey: os.Getenv("AK"), SecretKey: core.Secret(os.Getenv("SK")),
		UseHTTPS: os.Getenv("CA") != "", CAFile: os.Getenv("CA"),
		SigningKeys: []core.Secret{"tokens do not leave the process"}, Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	field = store.Field(core.FieldConfig{Name: "file", Bucket: bucket, MaxSize: core.Unlimited, AllowEmpty: true})
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("%s listens on http://%s\n", mode, listener.Addr())
	return serve(ctx, listener, handler(store, field))
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("GET /debug/vars", expvar.Handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.Handle("/", handler)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	return server.Shutdown(finish)
}

// field is set once, before the first request.
var field *core.Field

// Uploaded is the field as a type.
type Uploaded struct{}

// FileField returns the declared field.
func (Uploaded) FileField() *core.Field { return field }

// form is what a request brings.
type form struct {
	File fieldtype.File[Uploaded] `form:"file"`
}

// stored is the answer to an upload.
type stored struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Type string `json:"type"`
}

// answer returns what is said of the uploaded file.
func (f form) answer() (stored, error) {
	if f.File.IsZero() {
		return stored{}, core.Invalid{{Field: "file", Code: "required", Message: "This field is required."}}
	}
	return stored{Key: f.File.Key().String(), Size: f.File.Size(), Type: f.File.Type()}, nil
}

// find returns the file that a request's path names.
func find(r *http.Request) (core.Object, error) {
	key, err := core.ParseKey(strings.TrimPrefix(r.URL.Path, "/files/"))
	if err != nil {
		return core.Object{}, &core.Error{Kind: core.ErrNotFound, Op: "find file", Err: err}
	}
	return core.Object{Key: key}, nil
}

func onNetHTTP(store *core.Store, field *core.Field) http.Handler {
	c := nethttp.Config{Store: store, Logger: slog.Default()}
	mux := http.NewServeMux()
	mux.Handle("POST /upload", c.Uploads(field)(c.Handle(create)))
	mux.Handle("GET /files/", c.Handle(nethttp.Files(field, find, nethttp.Anyone)))
	return c.Middleware(mux)
}

func create(w http.ResponseWriter, r *http.Request) error {
	var f form
	if err := nethttp.Bind(r, &f); err != nil {
		return err
	}
	answer, err := f.answer()
	if err != nil {
		return err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body) // the client is gone if this fails
	return nil
}

func onEcho(store *core.Store, field *core.Field) http.Handler {
	c := echomw.Config{Store: store, HTTP: nethttp.Config{Logger: slog.Default()}}
	e := echo.New()
	e.HTTPErrorHandler = echomw.ErrorHandler
	e.Use(echomw.NewWithConfig(c))
	e.POST("/upload", createOnEcho, c.Uploads(field))
	e.GET("/files/*", echomw.Wrap(nethttp.Files(field, find, nethttp.Anyone)))
	return e
}

func createOnEcho(c echo.Context) error {
	var f form
	if err := c.Bind(&f); err != nil {
		return err
	}
	answer, err := f.answer()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, answer)
}

func onGin(store *core.Store, field *core.Field) http.Handler {
	c := ginmw.Config{Store: store, HTTP: nethttp.Config{Logger: slog.Default()}}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery(), ginmw.NewWithConfig(c))
	r.POST("/upload", c.Uploads(field), createOnGin)
	r.GET("/files/*key", ginmw.Wrap(nethttp.Files(field, find, nethttp.Anyone)))
	return r
}

func createOnGin(c *gin.Context) {
	var f form
	if err := c.ShouldBind(&f); err != nil {
		ginmw.Abort(c, err)
		return
	}
	answer, err := f.answer()
	if err != nil {
		ginmw.Abort(c, err)
		return
	}
	c.JSON(http.StatusCreated, answer)
}
