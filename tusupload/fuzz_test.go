package tusupload

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/filefield/filefield/core"
)

func FuzzChecksum(f *testing.F) {
	for _, header := range []string{
		"sha1 " + base64.StdEncoding.EncodeToString(make([]byte, 20)),
		"sha256 " + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"crc32 AAAAAA==", "md5 AAAAAAAAAAAAAAAAAAAAAA==", "sha1", "sha1 ", " ", "SHA1 AAAA", "sha1  AAAA", "crc32 AAAA\nAA==", "sha512 AAAA",
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		sum, want, ok := parseChecksum(header)
		if !ok {
			return
		}
		algorithm, _, _ := strings.Cut(header, " ")
		if sum == nil || len(want) != sum.Size() || newHash(algorithm) == nil {
			t.Errorf("%q is taken: %T, %d bytes", header, sum, len(want))
		}
	})
}

// tusd takes Upload-Metadata apart; what comes of it goes to authorizers, quotas and
// UploadTo.
func FuzzMetadata(f *testing.F) {
	store, err := core.Open(core.Config{Endpoint: "storage.invalid", AccessKey: "access", SecretKey: "a secret", SigningKeys: []core.Secret{"a key for tests, long enough"}})
	if err != nil {
		f.Fatal(err)
	}
	t := &endpoint{field: store.Field(core.FieldConfig{Name: "file", Bucket: "files"})}
	text := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, header := range []string{
		"filename " + text("a.txt") + ",filetype " + text("text/plain"), "name " + text(`..\..\x`), "filename", "filename !", ",,", " ",
		"filename " + text("../../etc/passwd\x00\r\n"), "type " + text("text/html\r\nX: y"), "a " + text("1") + ",a " + text("2"),
	} {
		f.Add(header, "100")
	}
	f.Add("", "-1")
	f.Add("", "99999999999999999999")
	f.Fuzz(func(tt *testing.T, metadata, length string) {
		r := httptest.NewRequestWithContext(tt.Context(), http.MethodPost, "/tus", http.NoBody)
		r.Header["Upload-Metadata"], r.Header["Upload-Length"] = []string{metadata}, []string{length}
		asked, _ := t.announced(r)
		if strings.ContainsAny(asked.Name, "/\\\x00\r\n") || !utf8.ValidString(asked.Name) {
			tt.Errorf("the name is %q", asked.Name)
		}
		if asked.Size < core.UnknownSize {
			tt.Errorf("the size is %d", asked.Size)
		}
	})
}
