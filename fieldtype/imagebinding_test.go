package fieldtype_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gin-gonic/gin/binding"
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

// profile has images in the shapes of models.
type profile struct {
	Avatar fieldtype.Image[photo]   `form:"avatar" json:"avatar"`
	Maybe  *fieldtype.Image[photo]  `form:"maybe" json:"maybe"`
	Named  portraitFile             `form:"named" json:"named"`
	List   []fieldtype.Image[photo] `form:"list" json:"list"`
}

// binders fill a struct from a request's form or JSON as their frameworks do.
var binders = map[string]func(*http.Request, any) error{
	"net/http": nethttp.Bind,
	"Echo": func(r *http.Request, into any) error {
		return new(echo.DefaultBinder).BindBody(echo.New().NewContext(r, nil), into)
	},
	"Gin": func(r *http.Request, into any) error {
		if r.Header.Get("Content-Type") == "application/json" {
			return binding.JSON.Bind(r, into)
		}
		return binding.Form.Bind(r, into)
	},
}

func TestImagesAreBoundByEveryBinder(t *testing.T) {
	t.Parallel()
	token := photos.Sign(sideways(t, "photos"), "")
	for name, bind := range binders {
		for kind, r := range map[string]*http.Request{
			"form": formRequest(url.Values{"avatar": {token}, "maybe": {token}, "named": {token}}),
			"JSON": jsonRequest(`{"avatar":"` + token + `","maybe":"` + token + `","named":"` + token + `","list":["` + token + `"]}`),
		} {
			var p profile
			if err := bind(r, &p); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			images := map[string]fieldtype.Image[photo]{"avatar": p.Avatar, "named": p.Named.Image}
			if p.Maybe != nil {
				images["maybe"] = *p.Maybe
			}
			for _, i := range p.List {
				images["list"] = i
			}
			if want := map[string]int{"form": 3, "JSON": 4}[kind]; len(images) != want {
				t.Errorf("%s, %s: %d images, want %d", name, kind, len(images), want)
			}
			for where, i := range images {
				mustEqual(t, name+", "+kind+": "+where, i.Object(), sideways(t, "photos"))
			}
		}
	}
}

func TestABoundImageRefusesOtherFilesAndNamesInsideIt(t *testing.T) {
	t.Parallel()
	text := cat(t, "photos")
	text.Type, text.Width, text.Height = "application/pdf", 0, 0
	token := photos.Sign(text, "")
	image := photos.Sign(sideways(t, "photos"), "")
	for name, bind := range binders {
		for where, r := range map[string]*http.Request{
			"a form": formRequest(url.Values{"avatar": {token}}), "JSON": jsonRequest(`{"avatar":"` + token + `"}`),
		} {
			var p profile
			if err := bind(r, &p); err == nil || !p.Avatar.IsZero() {
				t.Errorf("%s: a PDF in %s: %v, and the avatar is %v", name, where, err, p.Avatar)
			}
		}
		// "named.Image" is left out: it takes a token as "named" does, and checks it.
		for _, inner := range []string{"File", "File.object.key", "object", "Image.File", "file"} {
			var p profile
			err := bind(formRequest(url.Values{"avatar." + inner: {image}, "named." + inner: {image}, "avatar[" + inner + "]": {image}, inner: {image}}), &p)
			if err != nil || !p.Avatar.IsZero() || !p.Named.IsZero() {
				t.Errorf("%s: %s sets %v, %v; %v", name, inner, p.Avatar, p.Named, err)
			}
		}
	}
	if err := nethttp.Bind(jsonRequest(`{"avatar":"`+token+`"}`), new(profile)); core.KindOf(err) != core.ErrType {
		t.Errorf("a PDF in JSON: %v, want ErrType", err)
	}
}
