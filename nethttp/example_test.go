package nethttp_test

import (
	"context"
	"net/http"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

// What an app declares once: the storage, a field, and the field as a type.
var (
	exampleStore = core.MustOpen(core.Config{
		Endpoint: "storage.internal:9000", AccessKey: "access", SecretKey: "secret",
		SigningKeys: []core.Secret{"32 or more random characters ..."},
	})
	portraits = exampleStore.Field(core.FieldConfig{
		Name: "portrait", Bucket: "portraits", UploadTo: core.ISODatePrefix, MaxSize: 5 * core.MiB, Accept: core.Images,
	})
)

type Portrait struct{}

func (Portrait) FileField() *core.Field { return portraits }

// Person is the model and the form.
type Person struct {
	ID       int                      `form:"-" json:"id"`
	Name     string                   `form:"name" json:"name"`
	Portrait fieldtype.File[Portrait] `form:"portrait" json:"portrait"`
}

// people stands for the app's database.
type people struct{}

func (people) Insert(context.Context, *Person) error          { return nil }
func (people) Find(context.Context, string) (*Person, error)  { return &Person{}, nil }
func (people) MayRead(context.Context, string, *Person) error { return nil }

// One middleware around everything gives each request a transaction for files.
func ExampleMiddleware() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := &http.Server{Addr: ":8080", Handler: nethttp.Middleware(mux), ReadHeaderTimeout: 10 * time.Second}
	_ = server.ListenAndServe
}

// A route whose forms bring files names their fields. The handler finds tokens
// where the files stood, in a multipart form as in JSON.
func ExampleUploads() {
	var db people
	create := func(w http.ResponseWriter, r *http.Request) error {
		var p Person
		if err := nethttp.Bind(r, &p); err != nil {
			return err // the stored portrait goes again
		}
		if err := db.Insert(r.Context(), &p); err != nil {
			return err // and here
		}
		w.WriteHeader(http.StatusCreated)
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("POST /people", nethttp.Uploads(portraits)(nethttp.Handle(create)))
	_ = nethttp.Middleware(mux)
}

// Limits hold for a route; the first one exceeded ends the request.
func ExampleConfig_Uploads() {
	config := nethttp.Config{Limits: nethttp.Limits{Text: 64 * core.KiB, Fields: 20, Idle: 10 * time.Second}}
	uploads := config.Uploads(portraits)
	_ = uploads
}

// Bind fills a struct from JSON and forms alike. A token that was made for one
// user fills the form of no other.
func ExampleBind() {
	handler := nethttp.Handle(func(w http.ResponseWriter, r *http.Request) error {
		r = r.WithContext(core.WithSubject(r.Context(), "user-1")) // as the app's login says
		var p Person
		if err := nethttp.Bind(r, &p); err != nil {
			return err
		}
		if p.Portrait.IsZero() {
			return core.Invalid{{Field: "portrait", Code: "required", Message: "This field is required."}}
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	_ = handler
}

// A handler returns its error; the client gets a problem in JSON, the status of
// the error's kind, and nothing that is not meant for it.
func ExampleHandle() {
	handler := nethttp.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		key, err := core.ParseKey("2026-11-22/report.pdf")
		if err != nil {
			return err
		}
		return portraits.Delete(r.Context(), key) // when the answer is good
	})
	_ = handler
}

// Who may have a file is the app's decision, before storage is asked.
func ExampleServeFile() {
	var db people
	portrait := func(w http.ResponseWriter, r *http.Request) error {
		p, err := db.Find(r.Context(), r.PathValue("id"))
		if err != nil {
			return err
		}
		if err := db.MayRead(r.Context(), core.SubjectFrom(r.Context()), p); err != nil {
			return err
		}
		return nethttp.ServeFile(w, r, portraits, p.Portrait.Object())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /people/{id}/portrait", nethttp.Handle(portrait))
	_ = nethttp.Middleware(mux)
}

// Browsers send long files straight to the bucket, and bring the token they got for
// it where a form would bring the file.
func ExampleDirect() {
	loggedIn := func(r *http.Request, _ core.Object) error {
		if core.SubjectFrom(r.Context()) == "" {
			return core.ErrUnauthenticated
		}
		return nil
	}
	direct := nethttp.Handle(nethttp.Direct(portraits, loggedIn, nethttp.DirectConfig{
		Quota: func(_ *http.Request, asked nethttp.DirectRequest) error {
			if asked.Size > 100*core.MiB {
				return core.ErrQuota
			}
			return nil
		},
	}))
	mux := http.NewServeMux()
	mux.Handle("POST /uploads/portrait", direct)
	mux.Handle("/uploads/portrait/", direct) // its steps: see docs/direct.md
}

// An app that speaks TLS itself lets uploads of one connection go on side by side.
func ExampleHTTP2() {
	mux := http.NewServeMux()
	server := &http.Server{
		Handler:           nethttp.Middleware(mux),
		ReadHeaderTimeout: 10 * time.Second,
		HTTP2:             nethttp.HTTP2(),
	}
	serve := func() error { return server.ListenAndServeTLS("cert.pem", "key.pem") }
	_ = serve
}
