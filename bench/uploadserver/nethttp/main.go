// Command nethttp is the upload server on net/http alone; see package app.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/filefield/filefield/bench/uploadserver/app"
	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

func main() { app.Main("nethttp", handler) }

func handler(store *core.Store, field *core.Field) http.Handler {
	c := nethttp.Config{Store: store, Logger: slog.Default()}
	mux := http.NewServeMux()
	mux.Handle("POST /upload", c.Uploads(field)(c.Handle(create)))
	mux.Handle("GET /files/", c.Handle(nethttp.Files(field, app.Find, nethttp.Anyone)))
	return c.Middleware(mux)
}

func create(w http.ResponseWriter, r *http.Request) error {
	var f app.Form
	if err := nethttp.Bind(r, &f); err != nil {
		return err
	}
	answer, err := f.Answer()
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
