package static_test

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"io/fs"
	"log"
	"net/http"
	"os"
	"testing/fstest"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/static"
)

// assets stands for an embed.FS.
var assets = fstest.MapFS{
	"css/app.css":  {Data: []byte(`body { background: url("../img/logo.svg") }`)},
	"img/logo.svg": {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)},
	"robots.txt":   {Data: []byte("User-agent: *\n")},
}

func exampleFiles() *static.Files {
	https := true
	store := core.MustOpen(core.Config{
		Endpoint: "minio.internal:9000", AccessKey: "access", SecretKey: "secret",
		ExternalEndpoint: "files.example.org", ExternalUseHTTPS: &https, StaticBucket: "site",
		SigningKeys: []core.Secret{"32 random bytes, from a secret store"},
	})
	return static.MustNew(store, static.Config{Sources: []fs.FS{assets}, Unhashed: []string{"robots.txt"}})
}

// The whole way: declared, published by a deployment, named in a page.
func Example() {
	ctx := context.Background()
	store := core.MustOpen(core.ConfigFromEnv())
	files := static.MustNew(store, static.Config{
		Sources:   []fs.FS{assets},
		Unhashed:  []string{"robots.txt"},
		Encodings: []static.Encoding{static.Brotli, static.Gzip},
	})
	if err := store.Startup(core.StartupConfig{}).Start(ctx); err != nil {
		log.Fatal(err)
	}
	report, err := files.Publish(ctx, static.PublishOptions{Progress: func(p static.Progress) {
		fmt.Printf("%d/%d %s\n", p.Done, p.Total, p.Item.Key)
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(report.Uploaded), "new,", report.Unchanged, "there already")
}

// A URL is computed: nothing is asked of storage.
func ExampleFiles_URL() {
	files := exampleFiles()
	fmt.Println(files.URL("img/logo.svg"))
	fmt.Println(files.URL("robots.txt"))
	_, err := files.URL("logo.svg")
	fmt.Println(err)
	// Output:
	// https://files.example.org/site/img/logo.900fbe934249.svg <nil>
	// https://files.example.org/site/robots.txt <nil>
	// static: configuration fault: there is no file "logo.svg" (did you mean "img/logo.svg"?)
}

// Templates name a file, and get its URL and its integrity value.
func ExampleFiles_FuncMap() {
	page := template.Must(template.New("page").Funcs(exampleFiles().FuncMap()).Parse(
		`<link rel="stylesheet" href="{{static "css/app.css"}}">`))
	if err := page.Execute(os.Stdout, nil); err != nil {
		log.Fatal(err)
	}
	// Output: <link rel="stylesheet" href="https://files.example.org/site/css/app.df52cf8691d4.css">
}

// A page may name the variant its reader's browser takes. The template is cloned
// for the request.
func ExampleFiles_FuncMapFor() {
	files := exampleFiles()
	page := template.Must(template.New("page").Funcs(files.FuncMap()).Parse(`<script src="{{static "app.js"}}"></script>`))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		own := template.Must(page.Clone()).Funcs(files.FuncMapFor(r.Header.Get("Accept-Encoding")))
		var body bytes.Buffer
		if err := own.Execute(&body, nil); err != nil {
			http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Vary", "Accept-Encoding")
		_, _ = body.WriteTo(w)
	})
}

// In development the app serves the files itself, as they are on disk.
func ExampleFiles_Handler() {
	store := core.MustOpen(core.ConfigFromEnv())
	files := static.MustNew(store, static.Config{
		Sources: []fs.FS{os.DirFS("assets")}, BaseURL: "/static/", Reload: true,
	})
	http.Handle("/static/", http.StripPrefix("/static/", files.Handler()))
}
