package nethttp_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	stdpng "image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/variant"
)

func photo(t testing.TB, width, height int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = uint8(i) | 1
	}
	m.SetRGBA(0, 0, color.RGBA{255, 0, 0, 255})
	var b bytes.Buffer
	if err := stdpng.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gallery is a field with a variant that is made on request, and its store's requests.
func gallery(t testing.TB, change func(*core.FieldConfig)) (*core.Field, *s3test.Recorder) {
	t.Helper()
	s := s3test.Start(t)
	record := s.Recorder(t)
	store, err := core.Open(core.Config{
		Endpoint: record.Endpoint(), AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	c := core.FieldConfig{
		Name: "photo", Bucket: s.Bucket(t), LinkBase: "/files/", VariantMaker: variant.New(variant.Config{}),
		Variants: []core.Variant{{Name: "thumb", Width: 20, Make: core.OnRequest}},
	}
	if change != nil {
		change(&c)
	}
	field := store.Field(c)
	if err := field.Fault(); err != nil {
		t.Fatal(err)
	}
	return field, record
}

func keep(t testing.TB, field *core.Field, content []byte) core.Object {
	t.Helper()
	o, err := field.Save(t.Context(), core.Upload{Body: bytes.NewReader(content), Name: "Käse.png"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func get(h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestALinkToAVariantMakesItAndThenServesIt(t *testing.T) {
	t.Parallel()
	field, record := gallery(t, nil)
	o := keep(t, field, photo(t, 80, 40))
	var asked []core.Object
	h := nethttp.Handle(nethttp.Links(field, func(_ *http.Request, o core.Object) error {
		asked = append(asked, o)
		return nil
	}))
	link, err := field.VariantURL(t.Context(), o, "thumb")
	if err != nil {
		t.Fatal(err)
	}
	first := get(h, http.MethodGet, link)
	m, err := stdpng.Decode(bytes.NewReader(first.Body.Bytes()))
	if first.Code != http.StatusOK || err != nil || m.Bounds().Size() != image.Pt(20, 10) {
		t.Fatalf("the first answer is %d, %v: %s", first.Code, err, first.Body)
	}
	header := first.Header()
	if header.Get("Content-Type") != "image/png" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Content-Security-Policy") == "" ||
		!strings.Contains(header.Get("Content-Disposition"), "inline") || header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("its header is %v", header)
	}
	puts := record.Count("PUT")
	record.Reset()
	if again := get(h, http.MethodGet, link); again.Code != http.StatusOK || !bytes.Equal(again.Body.Bytes(), first.Body.Bytes()) {
		t.Errorf("the second answer is %d", again.Code)
	}
	if n := len(record.Requests()); puts != 2 || n != 1 {
		t.Errorf("%d objects were written, want 2; an answer costs %d requests, want 1", puts, n)
	}
	if head := get(h, http.MethodHead, link); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD is answered by %d, %v", head.Code, head.Header())
	}
	if fresh := get(h, http.MethodGet, link, "If-None-Match", header.Get("ETag")); fresh.Code != http.StatusNotModified {
		t.Errorf("a current copy is answered by %d", fresh.Code)
	}
	if part := get(h, http.MethodGet, link, "Range", "bytes=0-3"); part.Code != http.StatusPartialContent || part.Body.String() != "\x89PNG" {
		t.Errorf("a range is answered by %d, %q", part.Code, part.Body)
	}
	for _, a := range asked {
		if a.Key != o.Key || a.Name != o.Name || a.Type != o.Type || a.Width != 80 {
			t.Errorf("the authorizer was asked about %+v, want the original", a)
		}
	}
}

func TestWhoMayNotHaveTheOriginalHasNoVariantAndMakesNone(t *testing.T) {
	t.Parallel()
	field, record := gallery(t, nil)
	o := keep(t, field, photo(t, 80, 40))
	link, err := field.VariantURL(t.Context(), o, "thumb")
	if err != nil {
		t.Fatal(err)
	}
	record.Reset()
	forged := strings.Replace(link, "/files/A", "/files/B", 1)
	for name, c := range map[string]struct {
		authorize nethttp.Authorizer
		url       string
		want      int
	}{
		"forbidden":       {func(*http.Request, core.Object) error { return core.ErrForbidden }, link, 404},
		"unauthenticated": {func(*http.Request, core.Object) error { return core.ErrUnauthenticated }, link, 401},
		"no authorizer":   {nil, link, 500},
		"a forged link":   {nethttp.Anyone, forged, 404},
		"a form's token":  {nethttp.Anyone, "/files/" + field.Sign(o, "") + "/a.png", 404},
	} {
		if w := get(nethttp.Handle(nethttp.Links(field, c.authorize)), http.MethodGet, c.url); w.Code != c.want {
			t.Errorf("%s: the answer is %d, want %d", name, w.Code, c.want)
		}
	}
	if n := len(record.Requests()); n != 0 {
		t.Errorf("%d requests went to storage", n)
	}
}

func TestVariantsAreServedAtAddressesOfTheAppsOwn(t *testing.T) {
	t.Parallel()
	field, _ := gallery(t, nil)
	o := keep(t, field, photo(t, 80, 40))
	damaged := keep(t, field, photo(t, 80, 40)[:60])
	text := keep(t, field, []byte("text"))
	rows := map[string]core.Object{"photo": o, "damaged": damaged, "text": text, "gone": {Key: mustKey(t, "gone.png"), Type: "image/png"}}
	find := func(r *http.Request) (core.Object, string, error) {
		row, ok := rows[r.PathValue("id")]
		if !ok {
			return core.Object{}, "", core.ErrNotFound
		}
		return row, r.PathValue("variant"), nil
	}
	serve := func(d nethttp.Delivery, field *core.Field) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /photos/{id}/{variant}", nethttp.Handle(d.Variants(field, find, nethttp.Anyone)))
		return mux
	}
	h := serve(nethttp.Delivery{}, field)
	for path, want := range map[string]int{
		"/photos/photo/thumb": 200, "/photos/photo/other": 404, "/photos/damaged/thumb": 404, "/photos/text/thumb": 404, "/photos/none/thumb": 404, "/photos/gone/thumb": 404,
	} {
		if w := get(h, http.MethodGet, path); w.Code != want {
			t.Errorf("%s: the answer is %d, want %d: %s", path, w.Code, want, w.Body)
		}
	}
	for _, original := range []core.Object{damaged, text} {
		if has, err := field.Bucket().Exists(t.Context(), original.Key); !has || err != nil {
			t.Errorf("%s is gone with its variant: %v", original.Key, err)
		}
	}
	w := get(serve(nethttp.Delivery{Mode: nethttp.Redirect}, field), http.MethodGet, "/photos/photo/thumb")
	if to := w.Header().Get("Location"); w.Code != http.StatusFound || !strings.Contains(to, "/.filefield-variants/") || !strings.Contains(to, "X-Amz-Signature") {
		t.Errorf("the redirection is %d to %s", w.Code, to)
	} else {
		wantAnswer(t, to)
	}
	for name, h := range map[string]nethttp.HandlerFunc{"find": nethttp.Variants(field, nil, nethttp.Anyone), "authorize": nethttp.Variants(field, find, nil)} {
		if w := get(nethttp.Handle(h), http.MethodGet, "/"); w.Code != http.StatusInternalServerError {
			t.Errorf("without %s the answer is %d", name, w.Code)
		}
	}
}

// wantAnswer follows a URL of storage.
func wantAnswer(t testing.TB, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK || err != nil || !bytes.HasPrefix(content, []byte("\x89PNG")) {
		t.Errorf("storage answers %d, %v: %.200q", answer.StatusCode, err, content)
	}
}

func TestAPlaceholderStandsForWhatHasNoVariant(t *testing.T) {
	t.Parallel()
	field, _ := gallery(t, func(c *core.FieldConfig) { c.DefaultURL = "/static/no.png" })
	damaged := keep(t, field, photo(t, 80, 40)[:60])
	h := nethttp.Handle(nethttp.Variants(field, func(*http.Request) (core.Object, string, error) { return damaged, "thumb", nil }, nethttp.Anyone))
	w := get(h, http.MethodGet, "/")
	if w.Code != http.StatusFound || w.Header().Get("Location") != "/static/no.png" || w.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("the answer is %d, %v", w.Code, w.Header())
	}
}

func TestAnOutageIsNotTakenForAMissingVariant(t *testing.T) {
	t.Parallel()
	field, record := gallery(t, func(c *core.FieldConfig) { c.DefaultURL = "/static/no.png" })
	o := keep(t, field, photo(t, 80, 40))
	h := nethttp.Handle(nethttp.Variants(field, func(*http.Request) (core.Object, string, error) { return o, "thumb", nil }, nethttp.Anyone))
	record.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	if w := get(h, http.MethodGet, "/"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("the answer is %d", w.Code)
	}
	record.Intercept(nil)
	if w := get(h, http.MethodGet, "/"); w.Code != http.StatusOK {
		t.Errorf("afterwards it is %d", w.Code)
	}
}

func TestFiftyVisitorsHaveAVariantMadeOnce(t *testing.T) {
	t.Parallel()
	field, record := gallery(t, nil)
	o := keep(t, field, photo(t, 400, 300))
	link, err := field.VariantURL(t.Context(), o, "thumb")
	if err != nil {
		t.Fatal(err)
	}
	h := nethttp.Handle(nethttp.Links(field, nethttp.Anyone))
	record.Reset()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if w := get(h, http.MethodGet, link); w.Code != http.StatusOK {
				t.Errorf("a visitor gets %d: %s", w.Code, w.Body)
			}
		})
	}
	all.Wait()
	if n := record.Count("PUT"); n != 1 {
		t.Errorf("it was stored %d times, want once", n)
	}
}

func TestAVisitorWhoLeavesIsNotAnswered(t *testing.T) {
	t.Parallel()
	field, _ := gallery(t, nil)
	o := keep(t, field, photo(t, 80, 40))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("left"))
	h := nethttp.Variants(field, func(*http.Request) (core.Object, string, error) { return o, "thumb", nil }, nethttp.Anyone)
	err := h(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	if core.KindOf(err) != core.ErrCanceled {
		t.Errorf("the error is %v", err)
	}
}
