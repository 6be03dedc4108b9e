package tusupload_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
	"github.com/filefield/filefield/tusupload"
)

func TestOptionsSayWhatTheServerCan(t *testing.T) {
	t.Parallel()
	options := do(t, http.MethodOptions, serve(t, newField(t))+"/tus", nil)
	wantStatus(t, "OPTIONS", options, 200)
	for name, want := range map[string]string{
		"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Max-Size": "20971520",
		"Tus-Extension":          "creation,creation-with-upload,termination,expiration,checksum",
		"Tus-Checksum-Algorithm": "sha1,sha256,crc32,md5",
	} {
		if got := options.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestOnlyDeclaredOriginsUse(t *testing.T) {
	t.Parallel()
	base := serveWith(t, newField(t), tusupload.Config{Origins: []string{"https://app.example.org"}})
	for origin, allowed := range map[string]bool{"https://app.example.org": true, "https://evil.example.org": false, "null": false} {
		options := do(t, http.MethodOptions, base+"/tus", nil, "Origin", origin, "Access-Control-Request-Method", "PATCH")
		wantStatus(t, "the preflight of "+origin, options, 200)
		created := do(t, http.MethodPost, base+"/tus", nil, "Origin", origin, "Upload-Length", "10")
		want, status := "", 403
		if allowed {
			want, status = origin, 201
		}
		wantStatus(t, "a creation from "+origin, created, status)
		for what, h := range map[string]http.Header{"the preflight": options.Header, "the creation": created.Header} {
			if got := h.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %s allows %q, want %q", what, origin, got, want)
			}
			if !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
				t.Errorf("%s from %s does not vary by origin", what, origin)
			}
		}
		if !allowed {
			continue
		}
		for _, name := range []string{"PATCH", "HEAD", "DELETE", "POST"} {
			if !strings.Contains(options.Header.Get("Access-Control-Allow-Methods"), name) {
				t.Errorf("the preflight does not allow %s", name)
			}
		}
		for _, name := range []string{"Upload-Offset", "Upload-Checksum", "Upload-Metadata", "Tus-Resumable", "Content-Type"} {
			if !strings.Contains(options.Header.Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("the preflight does not allow %s", name)
			}
		}
		for _, name := range []string{tusupload.TokenHeader, "Location", "Upload-Offset", "Upload-Expires"} {
			if !strings.Contains(created.Header.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("the creation does not expose %s", name)
			}
		}
	}
	own := do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", "10", "Sec-Fetch-Site", "cross-site")
	wantStatus(t, "a creation that a browser sends across sites", own, 403)
}

func TestAQuotaRefusesBeforeAnythingIsBegun(t *testing.T) {
	t.Parallel()
	field := newField(t)
	var asked nethttp.DirectRequest
	base := serveWith(t, field, tusupload.Config{Quota: func(_ *http.Request, in nethttp.DirectRequest) error {
		asked = in
		return &core.Error{Kind: core.ErrQuota, Op: "upload", Detail: "enough for today"}
	}})
	text := base64.StdEncoding.EncodeToString
	metadata := "filename " + text([]byte("../sea.mp4")) + ",filetype " + text([]byte("video/mp4"))
	refused := do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", "10", "Upload-Metadata", metadata)
	wantStatus(t, "the creation", refused, 429)
	if got := refused.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("it is answered with %q", got)
	}
	if want := (nethttp.DirectRequest{Field: "file", Name: "sea.mp4", Type: "video/mp4", Size: 10}); asked != want {
		t.Errorf("the quota is asked for %+v, want %+v", asked, want)
	}
	wantEmpty(t, field)
}

func TestEveryChecksumIsHeldAgainstItsPiece(t *testing.T) {
	t.Parallel()
	content := noise(6 << 20)
	for name, sum := range map[string]hash.Hash{"sha1": sha1.New(), "sha256": sha256.New(), "crc32": crc32.NewIEEE(), "md5": md5.New()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := newField(t)
			base := serve(t, field)
			to := base + begin(t, base, len(content))
			of := func(piece []byte) string {
				sum.Reset()
				sum.Write(piece)
				return name + " " + base64.StdEncoding.EncodeToString(sum.Sum(nil))
			}
			at := 0
			for _, end := range []int{1000, 6_000_000, len(content)} { // within a part, over parts, to the end
				piece := content[at:end]
				damaged := bytes.Clone(piece)
				damaged[len(piece)/2] ^= 1
				wantStatus(t, "a damaged piece", patch(t, to, at, damaged, "Upload-Checksum", of(piece)), 460)
				if got := offsetOf(t, to); got != at {
					t.Fatalf("after a damaged piece the upload stands at %d, want %d", got, at)
				}
				last := patch(t, to, at, piece, "Upload-Checksum", of(piece))
				wantStatus(t, "the piece", last, 204)
				if at = end; at == len(content) {
					if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
						t.Error("the file is not what was sent")
					}
				}
			}
		})
	}
}

func TestWhatIsNoTusRequestIsRefused(t *testing.T) {
	t.Parallel()
	field := newField(t)
	base := serve(t, field)
	at := begin(t, base, 100)
	content := []string{"Content-Type", "application/offset+octet-stream", "Upload-Offset", "0"}
	for name, c := range map[string]struct {
		method, path string
		body         int
		headers      []string
		want         int
	}{
		"another version":                {"PATCH", at, 10, append([]string{"Tus-Resumable", "0.2.2"}, content...), 412},
		"a piece of another type":        {"PATCH", at, 10, []string{"Content-Type", "text/plain", "Upload-Offset", "0"}, 400},
		"a piece without an offset":      {"PATCH", at, 10, content[:2], 400},
		"a piece at a negative offset":   {"PATCH", at, 10, []string{"Content-Type", content[1], "Upload-Offset", "-1"}, 400},
		"a piece longer than the file":   {"PATCH", at, 101, content, 413},
		"an unknown checksum":            {"PATCH", at, 10, append([]string{"Upload-Checksum", "sha512 AAAA"}, content...), 400},
		"a checksum that is too short":   {"PATCH", at, 10, append([]string{"Upload-Checksum", "sha1 AAAA"}, content...), 400},
		"a length that comes later":      {"POST", "/tus", 0, []string{"Upload-Defer-Length", "1"}, 501},
		"no length":                      {"POST", "/tus", 0, nil, 400},
		"a negative length":              {"POST", "/tus", 0, []string{"Upload-Length", "-1"}, 400},
		"a file that is too large":       {"POST", "/tus", 0, []string{"Upload-Length", "20971521"}, 413},
		"an empty file, where none may":  {"POST", "/tus", 0, []string{"Upload-Length", "0"}, 422},
		"a piece for no upload":          {"PATCH", "/tus", 10, content, 404},
		"a piece for a forged upload":    {"PATCH", at + "x", 10, content, 404},
		"a GET":                          {"GET", at, 0, nil, 405},
		"a GET in disguise":              {"POST", at, 0, []string{"X-HTTP-Method-Override", "GET"}, 405},
		"a piece longer, in disguise":    {"POST", at, 101, append([]string{"X-HTTP-Method-Override", "PATCH"}, content...), 413},
		"another's page, in disguise":    {"POST", at, 0, []string{"X-HTTP-Method-Override", "HEAD", "Sec-Fetch-Site", "cross-site"}, 403},
		"a concatenation, taken as none": {"POST", "/tus", 0, []string{"Upload-Concat", "final;/tus/a /tus/b"}, 400},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // all are of one upload
			wantStatus(t, "it", do(t, c.method, base+c.path, make([]byte, c.body), c.headers...), c.want)
		})
	}
	if got := offsetOf(t, base+at); got != 0 {
		t.Errorf("afterwards the upload stands at %d", got)
	}
}

func TestAFileComesWithItsCreation(t *testing.T) {
	t.Parallel()
	content := noise(6 << 20)
	for name, sent := range map[string]int{"whole": len(content), "in part": 5<<20 + 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := newField(t)
			base := serve(t, field)
			sum := sha1.Sum(content[:sent])
			created := do(t, http.MethodPost, base+"/tus/", content[:sent], "Upload-Length", "6291456",
				"Content-Type", "application/offset+octet-stream", "Upload-Checksum", "sha1 "+base64.StdEncoding.EncodeToString(sum[:]))
			wantStatus(t, "the creation", created, 201)
			at, err := created.Location()
			if err != nil {
				t.Fatal(err)
			}
			if got := offsetOf(t, at.String()); got != sent {
				t.Fatalf("the upload stands at %d, want %d", got, sent)
			}
			last := created
			if sent < len(content) {
				last = patch(t, at.String(), sent, content[sent:])
			}
			if got := claim(t, field, last.Header.Get(tusupload.TokenHeader)); !bytes.Equal(got, content) {
				t.Error("the file is not what was sent")
			}
		})
	}
}

func TestMetadataReachTheKeyAndTheObject(t *testing.T) {
	t.Parallel()
	field := newField(t, func(_ *core.Config, f *core.FieldConfig) {
		f.UploadTo = func(n core.Naming) (string, error) { return n.Form.Get("album") + "/" + n.Name, nil }
	})
	base := serve(t, field)
	text := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, metadata := range map[string]string{
		"filename and filetype": "filename " + text("..\\sea\r\n.txt") + ",filetype " + text("text/plain") + ",album " + text("sea"),
		"name and type":         "name " + text("../sea.txt") + ",type " + text("text/plain") + ",album " + text("sea"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			created := do(t, http.MethodPost, base+"/tus", nil, "Upload-Length", "5", "Upload-Metadata", metadata)
			wantStatus(t, "the creation", created, 201)
			at, err := created.Location()
			if err != nil {
				t.Fatal(err)
			}
			last := patch(t, at.String(), 0, []byte("hello"))
			token, err := field.Verify(last.Header.Get(tusupload.TokenHeader))
			if err != nil {
				t.Fatal(err)
			}
			o := token.Object
			if !strings.HasPrefix(o.Key.String(), "sea/sea") || o.Name != "sea.txt" || o.Size != 5 || !strings.HasPrefix(o.Type, "text/plain") {
				t.Errorf("the file is %+v", o)
			}
		})
	}
}

func TestWithoutAnAuthorizerEveryRequestIsRefused(t *testing.T) {
	t.Parallel()
	field := newField(t)
	for name, upload := range map[string]nethttp.HandlerFunc{
		"no authorizer":    tusupload.New(field, nil, tusupload.Config{}),
		"an origin's typo": tusupload.New(field, nethttp.Anyone, tusupload.Config{Origins: []string{"app.example.org"}}),
	} {
		for _, method := range []string{"OPTIONS", "POST", "HEAD", "PATCH", "DELETE"} {
			r := httptest.NewRequestWithContext(t.Context(), method, "/tus/x", http.NoBody)
			if err := upload(httptest.NewRecorder(), r); core.KindOf(err) != core.ErrConfig {
				t.Errorf("%s: %s gives %v, want ErrConfig", name, method, err)
			}
		}
	}
}
