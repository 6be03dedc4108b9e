package nethttp_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/filefield/filefield/core"
)

var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89")

func TestAFileBecomesAnObjectAndAToken(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	newBody().text("title", "one").file("file", "cat.png", png).text("after", "two").post(t, a).want(t, http.StatusCreated, 0)
	form := <-a.form
	if form.Get("title") != "one" || form.Get("after") != "two" {
		t.Errorf("text values are %v", form)
	}
	token, err := a.field.Verify(form.Get("file"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.field.Open(t.Context(), token.Object.Key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, _ := io.ReadAll(f)
	if !bytes.Equal(got, png) || f.Name != "cat.png" || f.Type != "image/png" {
		t.Errorf("stored %q of type %s with %d bytes, want cat.png of type image/png with %d", f.Name, f.Type, len(got), len(png))
	}
}

func TestASmallFileCostsOneRequest(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{})
	recorder := a.engine.Recorder(t)
	b := newApp(t, appConfig{
		store: func(c *core.Config) { c.Endpoint = recorder.Endpoint() },
		field: func(c *core.FieldConfig) { c.Bucket = a.bucket },
	})
	newBody().file("file", "cat.png", png).post(t, b).want(t, http.StatusCreated, 0)
	requests := recorder.Requests()
	if len(requests) != 1 || requests[0].Method != http.MethodPut {
		t.Errorf("the storage saw %+v, want one PUT", requests)
	}
}
