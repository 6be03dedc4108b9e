package browser

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"mime/multipart"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/examples/contract"
	"github.com/filefield/filefield/internal/s3test"
)

// picture is a PNG.
func picture(t testing.TB, size int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, size, size))
	for x := range size {
		for y := range size {
			m.Set(x, y, color.RGBA{uint8(x * y), uint8(x), uint8(y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// allShown is true once the page's images are, and sources are their URLs.
const (
	allShown = `document.images.length > 0 && [...document.images].every(i => i.complete && i.naturalWidth > 0)`
	sources  = `[...document.images].map(i => i.src)`
)

func TestASecondViewOfAPageTakesItsPrivateFilesFromTheCache(t *testing.T) {
	t.Parallel()
	a := newApp(t, core.FieldConfig{})
	for _, id := range []string{"a", "b", "c"} {
		a.put(t, id, id+".png", picture(t, 64))
	}
	b := newTab(t)
	b.open(a.URL + "/images")
	b.wait(allShown)
	first := eval[[]string](b, sources)
	if n := a.outside.Count(""); n != 3 {
		t.Fatalf("the first view asked storage %d times, want once for each of 3 files: %+v", n, a.outside.Requests())
	}
	a.outside.Reset()
	b.open(a.URL + "/page")
	b.open(a.URL + "/images")
	b.wait(allShown)
	second := eval[[]string](b, sources)
	if n := a.outside.Count(""); n != 0 {
		t.Errorf("the second view asked storage %d times, want not at all: %+v", n, a.outside.Requests())
	}
	seen := map[string]int{}
	for _, link := range append(first, second...) {
		seen[link]++
	}
	for link, n := range seen {
		if n != 2 {
			t.Errorf("%s was used in %d views, want both", link, n)
		}
	}
	if len(seen) != 3 {
		t.Errorf("the views had the URLs %q and %q", first, second)
	}
}

func TestASecondViewOfTheExamplesListTakesItsCoversFromTheCache(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "app")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/filefield/filefield/examples/nethttp").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s := s3test.StartOwn(t, s3test.Options{})
	outside := s.Recorder(t)
	app := contract.Start(t, program, t.TempDir(),
		"MINIO_ENDPOINT="+s.Endpoint, "MINIO_ACCESS_KEY="+s.AccessKey, "MINIO_SECRET_KEY="+s.SecretKey, "MINIO_REGION="+s.Region,
		"MINIO_EXTERNAL_ENDPOINT="+outside.Endpoint(), "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS=false")
	for range 3 {
		post(t, app.URL+"/documents", picture(t, 40))
	}
	b := newTab(t)
	b.open(app.URL + "/")
	b.wait(allShown)
	if n := outside.Count(""); n != 3 {
		t.Errorf("the first view asked storage %d times, want once for each of 3 covers: %+v", n, outside.Requests())
	}
	outside.Reset()
	b.open(app.URL + "/readyz")
	b.open(app.URL + "/")
	b.wait(allShown)
	if n := outside.Count(""); n != 0 {
		t.Errorf("the second view asked storage %d times, want not at all: %+v", n, outside.Requests())
	}
}

// post adds a document.
func post(t *testing.T, address string, cover []byte) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("title", rand.Text()); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"file": "a.png", "cover": "cover.png"} {
		part, err := form.CreateFormFile(name, file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(cover); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("POST %s = %d %v, %v; want 201", address, response.StatusCode, answer, err)
	}
}
