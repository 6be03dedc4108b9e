// Command nethttp is the whole idea in one page: declare a field, post a form, get
// a URL.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

var store = core.MustOpen(core.ConfigFromEnv()) // MINIO_ENDPOINT, …; no network here

// Declared once, as Django's FileField(storage=…, upload_to=…).
var avatars = store.Field(core.FieldConfig{
	Name:     "avatar",
	Bucket:   "avatars",                            // private unless declared public
	UploadTo: core.Strftime("avatars/%Y/%m/", nil), // a random name under the month
	MaxSize:  5 * core.MiB,
	Accept:   core.Images, // sniffed, not believed
})

// Avatar is the field as a type.
type Avatar struct{}

// FileField returns the declared field.
func (Avatar) FileField() *core.Field { return avatars }

// Profile is form, JSON and database row in one.
type Profile struct {
	Name   string                 `form:"name" json:"name"`
	Avatar fieldtype.File[Avatar] `form:"avatar" json:"avatar"`
}

func create(w http.ResponseWriter, r *http.Request) error {
	var p Profile
	if err := nethttp.Bind(r, &p); err != nil {
		return err // the file that was stored goes again
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(p) // {"name":…,"avatar":{"url":"http://…",…}}
}

func main() {
	if err := store.Startup(core.StartupConfig{}).Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /profiles", nethttp.Uploads(avatars)(nethttp.Handle(create)))
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nethttp.Middleware(mux)))
}
