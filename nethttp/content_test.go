package nethttp_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// declared is a part with a file whose type the client declares.
func (b *body) declared(fileName, contentType string, content []byte) *body {
	part, _ := b.w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="` + fileName + `"`}, "Content-Type": {contentType},
	})
	_, _ = part.Write(content)
	return b
}

var (
	jpeg = []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
	gif  = []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;")
	elf  = []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\x01\x00\x00\x00")
)

// wide is text in UTF-16 with a byte order mark.
func wide(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range utf16.Encode([]rune(text)) {
		out = append(out, byte(c), byte(c>>8))
	}
	return out
}

func TestOnlyImagesPassForImages(t *testing.T) {
	t.Parallel()
	a := newApp(t, appConfig{field: func(c *core.FieldConfig) { c.Accept, c.MaxPixels = core.Images, core.Unlimited }}) // the script makes a GIF of 318 megapixels
	for _, c := range []struct {
		name, fileName, declared string
		content                  []byte
		want                     string // the type stored; "": refused
	}{
		{"a PNG", "a.png", "image/png", png, "image/png"},
		{"a GIF", "a.gif", "image/gif", gif, "image/gif"},
		{"a JPEG", "a.jpg", "image/jpeg", jpeg, "image/jpeg"},
		{"a PNG declared text", "1x1.png", "text/plain", png, "image/png"},
		{"a PNG named a text", "1x1.txt", "image/png", png, "image/png"},
		{"C6 a JPEG named a PNG", "a.png", "image/png", jpeg, "image/jpeg"},
		{"C2 a GIF that goes on as a script", "a.gif", "image/gif", []byte("GIF89a/*<svg/onload=alert(1)>*/=1;"), "image/gif"},
		{"C2 a PNG that goes on as a page", "a.html", "text/html", append(bytes.Clone(png), "<script>alert(1)</script>"...), "image/png"},
		{"C1 a page named a JPEG", "a.jpg", "image/jpeg", []byte("<html><body><script>alert(1)</script>"), ""},
		{"C3 an SVG", "a.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), ""},
		{"C3 an SVG named a PNG", "a.png", "image/png", []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`), ""},
		{"text named a PNG", "a.png", "image/png", []byte("just text"), ""},
		{"C5 a Windows program named a PNG", "a.png", "image/png", []byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"), ""},
		{"C5 a Linux program named a PNG", "a.png", "image/png", elf, ""},
		{"C5 a Mac program named a PNG", "a.png", "image/png", []byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x02\x00\x00\x00"), ""},
		{"C5 a shell script named a PNG", "a.png", "image/png", []byte("#!/bin/sh\nrm -rf /\n"), ""},
		{"C5 PHP named a PNG", "a.png", "image/png", []byte("<?php system($_GET[0]);"), ""},
		{"C12 PostScript named a PNG", "a.png", "image/png", []byte("%!PS-Adobe-3.0\n"), ""},
		{"C12 drawing commands named a PNG", "a.png", "image/png", []byte("push graphic-context\nviewbox 0 0 640 480\n"), ""},
		{"C13 a single byte", "a.png", "image/png", []byte("\x89"), ""},
		{"a signature cut short", "a.png", "image/png", []byte("\x89PNG"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := newBody().declared(c.fileName, c.declared, c.content).post(t, a)
			if c.want == "" {
				res.want(t, http.StatusUnsupportedMediaType, core.ErrType)
				return
			}
			res.want(t, http.StatusCreated, 0)
			if got := a.stored(t); got.Type != c.want {
				t.Errorf("the type is %s, want %s", got.Type, c.want)
			}
		})
	}
}

func TestTheContentDecidesTypeExtensionAndHowBrowsersGetIt(t *testing.T) {
	t.Parallel()
	a := publicApp(t)
	const binary = "application/octet-stream"
	for _, c := range []struct {
		name, fileName, declared string
		content                  []byte
		typ                      string // by content
		served                   string // what browsers are told
		inline                   bool
		ext                      string
	}{
		{"a PNG", "a.png", "image/png", png, "image/png", "image/png", true, ".png"},
		{"a PNG declared a page", "a.html", "text/html", png, "image/png", "image/png", true, ".png"},
		{"a JPEG named a PNG", "a.png", "image/png", jpeg, "image/jpeg", "image/jpeg", true, ".jpg"},
		{"a GIF that is a script too", "a.js", "text/javascript", []byte("GIF89a/*<svg/onload=alert(1)>*/=1;"), "image/gif", "image/gif", true, ".gif"},
		{"a PDF", "a.pdf", "application/pdf", []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "application/pdf", "application/pdf", true, ".pdf"},
		{"text", "a.txt", "text/plain", []byte("hello"), "text/plain", "text/plain", false, ".txt"},
		{"text declared an image", "a.png", "image/png", []byte("hello"), "text/plain", "text/plain", false, ".txt"},
		{"unknown bytes declared an image", "a.bin", "image/png", []byte{0, 1, 2, 3}, binary, binary, false, ".bin"},
		{"C13 one byte", "a.txt", "text/plain", []byte("x"), "text/plain", "text/plain", false, ".txt"},
		{"C13 text of 511 bytes", "a.txt", "text/html", bytes.Repeat([]byte("x"), 511), "text/plain", "text/plain", false, ".txt"},
		{"C13 text of 512 bytes", "a.txt", "text/html", bytes.Repeat([]byte("x"), 512), "text/plain", "text/plain", false, ".txt"},
		{"C13 text of 513 bytes", "a.txt", "text/html", bytes.Repeat([]byte("x"), 513), "text/plain", "text/plain", false, ".txt"},

		{"a page", "a.html", "text/html", []byte("<!DOCTYPE html><script>alert(1)</script>"), "text/html", binary, false, ""},
		{"a page declared an image", "a.png", "image/png", []byte("<html><script>alert(1)</script>"), "text/html", binary, false, ""},
		{"C15 a script behind 600 spaces", "a.txt", "text/plain", []byte(strings.Repeat(" ", 600) + "<script>alert(1)</script>"), "text/html", binary, false, ""},
		{"C15 a page in UTF-16", "a.txt", "text/plain", wide("<html><script>alert(1)</script>"), "text/html", binary, false, ""},
		{"C15 a page behind a byte order mark", "a.txt", "text/plain", []byte("\xef\xbb\xbf<script>alert(1)</script>"), "text/html", binary, false, ""},
		{"an SVG", "a.svg", "image/svg+xml", []byte("<svg onload=alert(1)>"), "image/svg+xml", binary, false, ""},
		{"an SVG behind an XML declaration", "a.svg", "image/svg+xml", []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "image/svg+xml", binary, false, ""},
		{"C4 XHTML", "a.xhtml", "application/xhtml+xml", []byte(`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>`), "", binary, false, ""},
		{"C4 XML", "a.xml", "text/xml", []byte(`<?xml version="1.0"?><a/>`), "text/xml", binary, false, ""},
		{"C4 MathML", "a.mml", "application/mathml+xml", []byte(`<math xmlns="http://www.w3.org/1998/Math/MathML"/>`), "application/mathml+xml", binary, false, ""},
		{"C4 XSLT", "a.xsl", "text/xsl", []byte(`<?xml version="1.0"?><xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>`), "", binary, false, ""},
		{"C4 a cache manifest", "a.appcache", "text/cache-manifest", []byte("CACHE MANIFEST\n/\n"), "text/cache-manifest", binary, false, ""},
		{"C4 a Flash film", "a.swf", "application/x-shockwave-flash", []byte("FWS\x0a\x00\x00\x00\x00x"), "application/x-shockwave-flash", binary, false, ""},
		{"C4 PostScript", "a.ps", "application/postscript", []byte("%!PS-Adobe-3.0\n"), "application/postscript", binary, false, ""},
		{"PHP", "a.php", "image/png", []byte("<?php phpinfo();"), "text/x-php", binary, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			newBody().declared(c.fileName, c.declared, c.content).post(t, a).want(t, http.StatusCreated, 0)
			got := a.stored(t)
			if c.typ != "" && got.Type != c.typ {
				t.Errorf("the type is %s, want %s", got.Type, c.typ)
			}
			if dot := strings.LastIndexByte(got.Key.String(), '.'); c.ext == "" && dot >= 0 || !strings.HasSuffix(got.Key.String(), c.ext) {
				t.Errorf("the key is %s, want the extension %q", got.Key, c.ext)
			}
			header, content := fetch(t, a, got.Key)
			if header.Get("Content-Type") != c.served {
				t.Errorf("browsers are told %s, want %s", header.Get("Content-Type"), c.served)
			}
			disposition, params, err := mime.ParseMediaType(header.Get("Content-Disposition"))
			if err != nil || (disposition == "inline") != c.inline || params["filename"] != c.fileName {
				t.Errorf("the disposition is %s, want inline %v and the name %s", header.Get("Content-Disposition"), c.inline, c.fileName)
			}
			if !bytes.Equal(content, c.content) {
				t.Errorf("%d other bytes came back than the %d sent", len(content), len(c.content))
			}
		})
	}
}

func TestC7ADeclaredTypeIsNeverStored(t *testing.T) {
	t.Parallel()
	a := publicApp(t)
	for _, declared := range []string{
		"", "text/html", `image/png; charset=x"`, "text/html;charset=utf-7", "*/*", "nonsense", "image/png, text/html", strings.Repeat("x", 10_000),
	} {
		t.Run(fmt.Sprintf("%.30q", declared), func(t *testing.T) {
			newBody().declared("a.txt", declared, []byte("hello")).post(t, a).want(t, http.StatusCreated, 0)
			got := a.stored(t)
			if header, _ := fetch(t, a, got.Key); got.Type != "text/plain" || header.Get("Content-Type") != "text/plain" {
				t.Errorf("the type is %s and stored as %s, want text/plain", got.Type, header.Get("Content-Type"))
			}
		})
	}
}

func TestN3DangerousNamesStayInsideTheirHeader(t *testing.T) {
	t.Parallel()
	a := publicApp(t)
	for raw, want := range map[string]string{
		"a\r\nX-Evil: yes\r\n\r\n<script>.txt": "aX-Evil: yes<script>.txt", `q"uote\.txt`: ".txt", `semi;colon="x".txt`: `semi;colon="x".txt`,
		"100%.txt": "100%.txt", "祝您平安.odt": "祝您平安.odt", "espécimen.txt": "espécimen.txt", "a\u202etxt.exe": "atxt.exe",
		strings.Repeat("字", 1000) + ".txt": strings.Repeat("字", 83) + ".txt",
	} {
		t.Run(fmt.Sprintf("%.30q", raw), func(t *testing.T) {
			newBody().raw(`form-data; name="file"; filename*=`+extended(raw), []byte("hello")).post(t, a).want(t, http.StatusCreated, 0)
			got := a.stored(t)
			header, _ := fetch(t, a, got.Key)
			if header.Get("X-Evil") != "" || len(header["Content-Disposition"]) != 1 {
				t.Errorf("the headers are %v, want one disposition and no header of the client's", header)
			}
			_, params, err := mime.ParseMediaType(header.Get("Content-Disposition"))
			if err != nil || params["filename"] != want || got.Name != want {
				t.Errorf("the disposition %q names %q, and the token %q; want %q (%v)", header.Get("Content-Disposition"), params["filename"], got.Name, want, err)
			}
		})
	}
}

// publicApp is an app whose bucket anyone may read, made so by Startup.
func publicApp(t testing.TB) *app {
	t.Helper()
	bucket := s3test.Start(t).Bucket(t)
	a := newApp(t, appConfig{
		store: func(c *core.Config) { c.PublicBuckets = []string{bucket} },
		field: func(c *core.FieldConfig) { c.Bucket = bucket },
	})
	if err := a.store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// fetch gets an object as a browser does, without credentials.
func fetch(t testing.TB, a *app, key core.Key) (http.Header, []byte) {
	t.Helper()
	u, err := a.field.URL(t.Context(), key, core.URLOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(u, "?") {
		t.Fatalf("the URL %s of a public object is signed", u)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", u, res.Status, err)
	}
	return res.Header, content
}
