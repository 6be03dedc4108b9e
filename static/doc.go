// Package static publishes an app's static files (style sheets, scripts, fonts,
// images) to a public bucket and resolves their names to URLs: Django's
// staticfiles with ManifestStaticFilesStorage, and django-minio-backend's
// MinioBackendStatic.
//
//	//go:embed assets
//	var assets embed.FS
//
//	root, _ := fs.Sub(assets, "assets")
//	files := static.MustNew(store, static.Config{
//		Sources:   []fs.FS{root},
//		Prefix:    "static",
//		Unhashed:  []string{"favicon.ico", "robots.txt"},
//		Encodings: []static.Encoding{static.Brotli, static.Gzip},
//	})
//	err := store.Startup(core.StartupConfig{}).Start(ctx)       // makes the bucket
//	report, err := files.Publish(ctx, static.PublishOptions{})  // what changed
//	url, err := files.URL("css/app.css")                        // …/static/css/app.3f1c9a2b4d5e.css
//	page := template.New("page").Funcs(files.FuncMap())         // {{static "css/app.css"}}
//
// A file's name gets 12 hex digits of the SHA-256 of its content (config.go says
// which keep theirs), so that browsers may keep it for ever. What style sheets and
// scripts refer to is found (scan.go, scancss.go, scanjs.go), resolved and
// rewritten (resolve.go) before their own names are made (build.go); URLs and
// template functions are in url.go, writing to the bucket in publish.go, variants
// in encoding.go, the development server in handler.go, types in types.go.
package static
