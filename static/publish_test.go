package static_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/static"
)

// tree makes a source of name and content.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, content := range files {
		m[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return m
}

// site is a small app's files.
func site() map[string]string {
	return map[string]string{
		"css/app.css":      `@import "base.css"; body { background: url(../img/logo.svg) }`,
		"css/base.css":     "html { margin: 0 }" + strings.Repeat("/* grüße */ p { color: red }\n", 100),
		"img/logo.svg":     `<svg xmlns="http://www.w3.org/2000/svg"/>`,
		"js/app.js":        `import { b } from "./lib/b.js"; b();` + strings.Repeat("b();\n", 500),
		"js/lib/b.js":      `export function b() {}`,
		"fonts/a.woff2":    "wOF2",
		"app.wasm":         "\x00asm",
		"site.webmanifest": `{"name":"a"}`,
		"favicon.ico":      "\x00\x00\x01\x00",
		"robots.txt":       "User-agent: *\n",
		".env":             "SECRET=1",
	}
}

func siteConfig(bucket string) static.Config {
	return static.Config{
		Sources: []fs.FS{tree(site())}, Bucket: bucket, Prefix: "static", Unhashed: []string{"favicon.ico", "robots.txt"},
		Encodings: []static.Encoding{static.Brotli, static.Zstd, static.Gzip},
	}
}

// open returns a Store on the engine, through a recorder, and a fresh bucket.
func open(t testing.TB) (*s3test.Recorder, *core.Store, string) {
	t.Helper()
	s := s3test.Start(t)
	r := s.Recorder(t)
	store, err := core.Open(core.Config{
		Endpoint: r.Endpoint(), AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
		Timeout:     30 * time.Second, // compressing keeps a small machine from everything else
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return r, store, s.Bucket(t)
}

func mustNew(t testing.TB, store *core.Store, config static.Config) *static.Files {
	t.Helper()
	files, err := static.New(store, config)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// started is New and the start of the app.
func started(t testing.TB, store *core.Store, config static.Config) *static.Files {
	t.Helper()
	files := mustNew(t, store, config)
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return files
}

func mustPublish(t testing.TB, files *static.Files, options static.PublishOptions) static.Report {
	t.Helper()
	report, err := files.Publish(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func mustURL(t testing.TB, files *static.Files, name string) string {
	t.Helper()
	url, err := files.URL(name)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// get fetches as a browser without credentials does.
func get(t testing.TB, url string) (*http.Response, []byte) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

func TestPublishedFilesAreReadByAnyone(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	files := started(t, store, siteConfig(bucket))
	mustPublish(t, files, static.PublishOptions{})
	const forever, short = "public, max-age=31536000, immutable", "public, max-age=300"
	for name, want := range map[string]struct{ typ, cache, body string }{
		"css/base.css":     {"text/css; charset=utf-8", forever, site()["css/base.css"]},
		"js/lib/b.js":      {"text/javascript; charset=utf-8", forever, site()["js/lib/b.js"]},
		"img/logo.svg":     {"image/svg+xml", forever, site()["img/logo.svg"]},
		"fonts/a.woff2":    {"font/woff2", forever, "wOF2"},
		"app.wasm":         {"application/wasm", forever, "\x00asm"},
		"site.webmanifest": {"application/manifest+json", forever, `{"name":"a"}`},
		"favicon.ico":      {"image/x-icon", short, "\x00\x00\x01\x00"},
		"robots.txt":       {"text/plain; charset=utf-8", short, "User-agent: *\n"},
	} {
		url := mustURL(t, files, name)
		response, body := get(t, url)
		h := response.Header
		if response.StatusCode != http.StatusOK || h.Get("Content-Type") != want.typ || h.Get("Cache-Control") != want.cache ||
			h.Get("Content-Disposition") != "" || h.Get("Content-Encoding") != "" || string(body) != want.body {
			t.Errorf("%s: %s, %v, %q; want %+v", url, response.Status, h, body, want)
		}
	}
	if _, body := get(t, mustURL(t, files, "css/app.css")); strings.Contains(string(body), "base.css") || strings.Contains(string(body), "logo.svg") {
		t.Errorf("the style sheet refers to plain names: %s", body)
	}
	base := strings.TrimSuffix(mustURL(t, files, "robots.txt"), "static/robots.txt")
	for _, path := range []string{"", "static/.env"} {
		if response, _ := get(t, base+path); response.StatusCode < 400 {
			t.Errorf("GET %s: %s", path, response.Status)
		}
	}
}

func TestVariantsAreStoredCompressedAndChosenByTheRequest(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	files := started(t, store, siteConfig(bucket))
	mustPublish(t, files, static.PublishOptions{})
	for _, c := range []struct {
		accept, encoding, extension string
		decode                      func(io.Reader) (io.Reader, error)
	}{
		{"gzip, deflate, br, zstd", "br", ".br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
		{"gzip, zstd", "zstd", ".zst", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) }},
		{"gzip;q=1.0, br;q=0.5, *;q=0", "gzip", ".gz", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"", "", ".css", func(r io.Reader) (io.Reader, error) { return r, nil }},
	} {
		url, err := files.URLFor(c.accept, "css/base.css")
		if err != nil || !strings.HasSuffix(url, c.extension) {
			t.Fatalf("%q: %s, %v", c.accept, url, err)
		}
		response, body := get(t, url)
		h := response.Header
		if h.Get("Content-Encoding") != c.encoding || h.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", url, h)
		}
		plain, err := c.decode(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if content, err := io.ReadAll(plain); err != nil || string(content) != site()["css/base.css"] {
			t.Errorf("%s: %v, %d bytes", url, err, len(content))
		}
	}
	if url, err := files.URLFor("br", "js/lib/b.js"); err != nil || !strings.HasSuffix(url, ".js") {
		t.Errorf("a file too small for variants: %s, %v", url, err)
	}
}

func TestASecondPublishWritesNothing(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := open(t)
	config := siteConfig(bucket)
	first := mustPublish(t, started(t, store, config), static.PublishOptions{})
	// 10 files, three variants of two of them, and the manifest.
	if len(first.Uploaded) != 17 || first.Unchanged != 0 {
		t.Errorf("the first run reports %+v", first)
	}
	recorder.Reset()
	second := mustPublish(t, mustNew(t, store, config), static.PublishOptions{})
	if len(second.Uploaded) != 0 || second.Unchanged != 17 || second.UnchangedBytes != first.UploadedBytes || second.UploadedBytes != 0 {
		t.Errorf("the second run reports %+v, after %d bytes", second, first.UploadedBytes)
	}
	// One listing, which sees that nothing comes behind, and a HEAD for each unhashed name and the manifest.
	if gets, heads, all := recorder.Count(http.MethodGet), recorder.Count(http.MethodHead), recorder.Count(""); gets != 2 || heads != 3 || all != 5 {
		t.Errorf("the second run made %d requests, %d GET and %d HEAD", all, gets, heads)
	}

	recorder.Reset()
	changed := site()
	changed["img/logo.svg"], changed["robots.txt"] = "<svg/>", "User-agent: b\n"
	config.Sources = []fs.FS{tree(changed)}
	third := mustPublish(t, mustNew(t, store, config), static.PublishOptions{})
	var names []string
	for _, item := range third.Uploaded {
		names = append(names, item.Name)
	}
	slices.Sort(names)
	if want := []string{"css/app.css", "img/logo.svg", "robots.txt", "staticfiles.json"}; !slices.Equal(names, want) {
		t.Errorf("after a change it wrote %v, want %v", names, want)
	}
	if n := recorder.Count(http.MethodPut); n != 4 || recorder.Count(http.MethodDelete) != 0 {
		t.Errorf("%d writes, %d deletions", n, recorder.Count(http.MethodDelete))
	}
	puts := slices.DeleteFunc(recorder.Requests(), func(r s3test.Request) bool { return r.Method != http.MethodPut })
	if !strings.HasSuffix(puts[3].Path, "/staticfiles.json") || !strings.HasSuffix(puts[2].Path, "/robots.txt") {
		t.Errorf("hashed names come first, the manifest last: %s, %s", puts[2].Path, puts[3].Path)
	}
	for _, item := range first.Uploaded {
		if ok, err := store.Bucket(bucket).Exists(t.Context(), mustKey(t, item.Key)); !ok || err != nil {
			t.Errorf("%s of the first run: %v, %v", item.Key, ok, err)
		}
	}
}

func mustKey(t testing.TB, s string) core.Key {
	t.Helper()
	key, err := core.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestRewriteWritesAgainWhatOnlyItsHeadersTell(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	config := static.Config{Sources: []fs.FS{tree(map[string]string{"a.css": "a{}", "b.txt": "b"})}, Bucket: bucket, Unhashed: []string{"b.txt"}}
	mustPublish(t, started(t, store, config), static.PublishOptions{})
	config.CacheControl, config.UnhashedCacheControl = "public, max-age=60", "no-cache"
	again := mustNew(t, store, config)
	if report := mustPublish(t, again, static.PublishOptions{}); len(report.Uploaded) != 1 || report.Uploaded[0].Name != "b.txt" {
		t.Errorf("an unhashed file's headers are compared, a hashed one's are not: %+v", report)
	}
	if report := mustPublish(t, again, static.PublishOptions{Rewrite: true}); len(report.Uploaded) != 3 {
		t.Errorf("Rewrite wrote %+v", report)
	}
	if response, _ := get(t, mustURL(t, again, "a.css")); response.Header.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("the headers are %v", response.Header)
	}
}

func TestADryRunWritesNothingAndTellsEverything(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := open(t)
	files := started(t, store, siteConfig(bucket))
	recorder.Reset()
	var told int
	dry := mustPublish(t, files, static.PublishOptions{DryRun: true, Progress: func(p static.Progress) {
		if told++; p.Done != told || p.Total != 17 {
			t.Errorf("progress is %+v after %d", p, told)
		}
	}})
	if recorder.Count("") != recorder.Count(http.MethodGet) {
		t.Error("the dry run wrote")
	}
	real := mustPublish(t, files, static.PublishOptions{})
	if !dry.DryRun || told != 17 || len(dry.Uploaded) != len(real.Uploaded) {
		t.Errorf("the dry run told %d of %d objects", len(dry.Uploaded), len(real.Uploaded))
	}
	for i := range dry.Uploaded {
		if planned, done := dry.Uploaded[i], real.Uploaded[i]; planned.Key != done.Key || planned.Encoding == "" && planned.Size != done.Size {
			t.Errorf("planned %+v, done %+v", planned, done)
		}
	}
}

func TestTheManifestIsDjangos(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	files := started(t, store, siteConfig(bucket))
	report := mustPublish(t, files, static.PublishOptions{})
	f, err := files.Bucket().Open(t.Context(), mustKey(t, report.Manifest), core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var m struct {
		Paths         map[string]string
		Version, Hash string
	}
	if err := json.NewDecoder(f).Decode(&m); err != nil {
		t.Fatal(err)
	}
	if m.Version != "1.1" || len(m.Hash) != 12 || !slices.Equal(slices.Sorted(maps.Keys(m.Paths)), files.Names()) {
		t.Errorf("the manifest is %+v", m)
	}
	for name, stored := range m.Paths {
		if url := mustURL(t, files, name); !strings.HasSuffix(url, "/static/"+stored) {
			t.Errorf("%s is %s there and %s here", name, stored, url)
		}
	}
}

func TestAFailedPublishLeavesNoManifestAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := open(t)
	many := map[string]string{}
	for i := range 40 {
		many[fmt.Sprintf("f%d.txt", i)] = fmt.Sprint(i)
	}
	files := started(t, store, static.Config{Sources: []fs.FS{tree(many)}, Bucket: bucket})
	recorder.Reset()
	var puts atomic.Int64
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || puts.Add(1) <= 10 {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code></Error>`)
		return true
	})
	report, err := files.Publish(t.Context(), static.PublishOptions{Parallel: 4})
	if core.KindOf(err) != core.ErrDenied || strings.Contains(err.Error(), "another write failed") {
		t.Errorf("the error is %v", err)
	}
	objects, uploads := s3test.Leftovers(t, s3test.Start(t), bucket)
	if len(objects) != 10 || len(uploads) != 0 || len(report.Uploaded) != 10 || slices.Contains(objects, static.ManifestName) {
		t.Errorf("%d objects and %d uploads are left, %d reported", len(objects), len(uploads), len(report.Uploaded))
	}
	if n := puts.Load(); n > 14 {
		t.Errorf("%d writes were tried after the first refusal", n-10)
	}
	recorder.Intercept(nil)
	if report := mustPublish(t, files, static.PublishOptions{}); len(report.Uploaded) != 31 || report.Unchanged != 10 {
		t.Errorf("the next run wrote %d and kept %d", len(report.Uploaded), report.Unchanged)
	}
}

func TestACancelledPublishStops(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := open(t)
	files := started(t, store, siteConfig(bucket))
	recorder.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := files.Publish(ctx, static.PublishOptions{Parallel: 1, Progress: func(static.Progress) { cancel() }})
	if core.KindOf(err) != core.ErrCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if n := recorder.Count(http.MethodPut); n > 2 {
		t.Errorf("%d writes", n)
	}
}

func TestASourceThatChangedIsNotStoredUnderItsOldHash(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	source := tree(map[string]string{"a.txt": strings.Repeat("a", 2000)})
	files := started(t, store, static.Config{Sources: []fs.FS{source}, Bucket: bucket, Encodings: []static.Encoding{static.Gzip}})
	source["a.txt"] = &fstest.MapFile{Data: bytes.Repeat([]byte("b"), 2000)}
	if _, err := files.Publish(t.Context(), static.PublishOptions{}); core.KindOf(err) != core.ErrChecksum {
		t.Errorf("the error is %v", err)
	}
	if objects, _ := s3test.Leftovers(t, s3test.Start(t), bucket); len(objects) != 0 {
		t.Errorf("stored: %v", objects)
	}
}

func TestAStorageErrorIsToldAsItIs(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	files := mustNew(t, store, static.Config{Sources: []fs.FS{tree(site())}, Bucket: bucket + "-not-there"})
	if _, err := files.Publish(t.Context(), static.PublishOptions{}); core.KindOf(err) != core.ErrBucketMissing {
		t.Errorf("the error is %v", err)
	}
}

func TestTwoPublishesAtOnceBothSucceed(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	config := siteConfig(bucket)
	config.Encodings = []static.Encoding{static.Gzip}
	files := started(t, store, config)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			_, err := files.Publish(t.Context(), static.PublishOptions{})
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if report := mustPublish(t, files, static.PublishOptions{}); len(report.Uploaded) != 0 {
		t.Errorf("a run after them wrote %+v", report.Uploaded)
	}
}

func TestAFileOfManyPartsIsPublished(t *testing.T) {
	t.Parallel()
	_, store, bucket := open(t)
	film := strings.Repeat("0123456789abcdef", 11<<16)
	files := started(t, store, static.Config{Sources: []fs.FS{tree(map[string]string{"film.mp4": film})}, Bucket: bucket})
	mustPublish(t, files, static.PublishOptions{})
	response, body := get(t, mustURL(t, files, "film.mp4"))
	if response.Header.Get("Content-Type") != "video/mp4" || string(body) != film {
		t.Errorf("%v, %d bytes", response.Header, len(body))
	}
	if report := mustPublish(t, files, static.PublishOptions{}); len(report.Uploaded) != 0 {
		t.Errorf("again: %+v", report.Uploaded)
	}
}

func TestTheStartMakesTheBucket(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	_, store, bucket := open(t)
	bucket += "-new"
	t.Cleanup(func() {
		c := s.Client(t)
		ctx := context.WithoutCancel(t.Context())
		for o := range c.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			_ = c.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{})
		}
		_ = c.RemoveBucket(ctx, bucket)
	})
	files := started(t, store, static.Config{Sources: []fs.FS{tree(map[string]string{"a.woff2": "wOF2"})}, Bucket: bucket})
	report := mustPublish(t, files, static.PublishOptions{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, mustURL(t, files, "a.woff2"), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://app.example.org")
	response := do(t, request)
	if origin := response.Header.Get("Access-Control-Allow-Origin"); response.StatusCode != http.StatusOK || origin != "*" && origin != "https://app.example.org" {
		t.Errorf("a page of another origin gets %s, %v", response.Status, response.Header)
	}
	for method, url := range map[string]string{
		http.MethodPut: mustURL(t, files, "a.woff2"), http.MethodDelete: mustURL(t, files, "a.woff2"),
		http.MethodGet: strings.TrimSuffix(mustURL(t, files, "a.woff2"), strings.TrimPrefix(report.Uploaded[0].Key, "/")) + "?list-type=2",
	} {
		request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response := do(t, request); response.StatusCode != http.StatusForbidden {
			t.Errorf("anonymous %s %s: %s", method, url, response.Status)
		}
	}
	second := mustNew(t, store, static.Config{Sources: []fs.FS{fstest.MapFS{}}, Bucket: bucket})
	plan, err := store.Plan(t.Context())
	differences := slices.DeleteFunc(plan.Differences, func(d core.Difference) bool {
		return s.Engine == s3test.MinIO && d.Aspect == core.AspectCORS // it answers every origin as it is
	})
	if err != nil || len(differences) != 0 || second.Bucket() != files.Bucket() {
		t.Errorf("after the start it still differs: %+v, %v", differences, err)
	}
}

func do(t testing.TB, request *http.Request) *http.Response {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}
