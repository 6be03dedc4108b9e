package core_test

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// awkwardKeys hold every character that means something in a URL, in markup or
// in a signature.
var awkwardKeys = []string{
	"plain.txt", "a/b/c.txt", "a b/ü?x#y.png", "~!*()'@#$%^&*abc`+ =.file", "percent%20and%2Fslash", "plus+plus", "日本語/ファイル.png",
	"test.file", "ab%00c", "evil.com", "http:evil.com/x", "javascript:alert(1)",
	"emoji 😀.gif", `quote".txt`, "single'quote", "less<than>more", "semi;colon:and,comma", "curly{}[]|^", `back\slash inside`,
	"trailing dot.", ".hidden", "tilde~", "cafe\u0301", "a=b&c=d", "*", "'()!", "https:example.org",
}

// fetch gets a URL as a browser does: without credentials.
// fetched is an answer whose body has been read.
type fetched struct {
	StatusCode int
	Header     http.Header
}

func fetch(t *testing.T, link string) (fetched, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	return fetched{response.StatusCode, response.Header}, string(body)
}

// request makes one, and returns the status and headers of its answer.
func request(t *testing.T, method, link, body string) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header
}

// mustURL returns a URL and fails the test where there is none.
func mustURL(t *testing.T, b *core.Bucket, key core.Key, options core.URLOptions) string {
	t.Helper()
	link, err := b.URL(t.Context(), key, options)
	if err != nil {
		t.Fatalf("url of %q: %v", key, err)
	}
	return link
}

func TestK4URLsOfAwkwardKeysLeadToTheirObjects(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 2)
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PublicBuckets, c.PrivateBuckets = names[:1], names[1:] })
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := s.Client(t)
	for _, name := range names {
		b := store.Bucket(name)
		for _, text := range awkwardKeys {
			content, key := "content of "+text, mustKey(t, text)
			put := mustURL(t, b, key, core.URLOptions{Method: http.MethodPut})
			if status, _ := request(t, http.MethodPut, put, content); status != http.StatusOK {
				t.Errorf("%s: a PUT of %q by %s answers %d", s.Engine, text, put, status)
				continue
			}
			if _, err := client.StatObject(t.Context(), name, text, minio.StatObjectOptions{}); err != nil {
				t.Errorf("%s has stored %q under another key: %v", s.Engine, text, err)
			}
			head := mustURL(t, b, key, core.URLOptions{Method: http.MethodHead, Expiry: time.Hour})
			if status, header := request(t, http.MethodHead, head, ""); status != http.StatusOK || header.Get("Content-Length") != strconv.Itoa(len(content)) {
				t.Errorf("%s: a HEAD of %q by %s answers %d, %v", s.Engine, text, head, status, header)
			}
			for what, options := range map[string]core.URLOptions{"plain": {}, "download": {Disposition: core.Attachment, Name: text}} {
				link := mustURL(t, b, key, options)
				if response, body := fetch(t, link); response.StatusCode != 200 || body != content {
					t.Errorf("%s URL of %q in a bucket that is public: %t\n%s\nanswers %d %.200q", what, text, b.Public(), link, response.StatusCode, body)
				}
				if parsed, err := url.Parse(link); err != nil || parsed.Path != "/"+name+"/"+text || parsed.Fragment != "" || strings.ContainsAny(link, ` "<>\`) {
					t.Errorf("%s URL of %q is %s, %v", what, text, link, err)
				}
				if what == "plain" && b.Public() && strings.Contains(link, "?") {
					t.Errorf("the public URL of %q has a query: %s", text, link)
				}
			}
			if got := string(mustRead(t, b, key, core.OpenOptions{})); got != content {
				t.Errorf("%q holds %q", text, got)
			}
		}
	}
}

func TestURLsAreComputedWithoutARequest(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t, func(c *core.Config) { c.PublicBuckets = []string{"public-bucket"} })
	for _, b := range []*core.Bucket{store.Bucket(bucket), store.Bucket("public-bucket")} {
		for _, options := range []core.URLOptions{{}, {Disposition: core.Attachment, Name: "a.txt"}, {Expiry: time.Minute}, {VersionID: "v1"}} {
			mustURL(t, b, mustKey(t, "a.txt"), options)
		}
	}
	if n := recorder.Count(""); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestURLsNameTheExternalEndpointAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, external string
		https          bool
		prefix         string
	}{
		{"https on a domain", "files.example.org", true, "https://files.example.org/"},
		{"http with a port", "files.example.org:8080", false, "http://files.example.org:8080/"},
		{"the scheme's own port", "files.example.org:443", true, "https://files.example.org/"},
		{"IPv6", "[2001:db8::1]:9000", true, "https://[2001:db8::1]:9000/"},
	} {
		recorder, store, bucket := recorded(t, func(config *core.Config) {
			config.ExternalEndpoint, config.ExternalUseHTTPS = c.external, &c.https
			config.PublicBuckets = []string{"public-bucket"}
		})
		for _, b := range []*core.Bucket{store.Bucket(bucket), store.Bucket("public-bucket")} {
			link := mustURL(t, b, mustKey(t, "a b.txt"), core.URLOptions{})
			if !strings.HasPrefix(link, c.prefix+b.Name()+"/a%20b.txt") || strings.Contains(link, recorder.Endpoint()) {
				t.Errorf("%s: the URL is %s, want it to start with %s", c.name, link, c.prefix)
			}
		}
		save(t, store.Bucket(bucket), "a b.txt", "traffic goes to the internal endpoint")
		if n := recorder.Count(""); n != 1 {
			t.Errorf("%s: the internal endpoint had %d requests, want the one that stores", c.name, n)
		}
	}
}

// A proxy that is reached under the external name passes the request on with
// that name in Host; the signature must be for it.
func TestURLsOfTheExternalEndpointWorkThroughAProxy(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	outside, bucket, no := s.Recorder(t), s.Bucket(t), false
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.ExternalEndpoint, c.ExternalUseHTTPS = outside.Endpoint(), &no })
	o := save(t, store.Bucket(bucket), "a b+c.txt", "content")
	link := mustURL(t, store.Bucket(bucket), o.Key, core.URLOptions{Disposition: core.Attachment, Name: "ü.txt"})
	if response, body := fetch(t, link); response.StatusCode != 200 || body != "content" {
		t.Errorf("%s answers %d %.200q", link, response.StatusCode, body)
	}
	if outside.Count("") != 1 {
		t.Errorf("the proxy saw %d requests, want the browser's alone", outside.Count(""))
	}
}

func TestTheExpiryOfAURLHasBounds(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, func(c *core.Config) { c.URLExpiry, c.URLWindow = 2*time.Hour, core.NoWindow })
	b, key := store.Bucket(bucket), mustKey(t, "a")
	for expiry, want := range map[time.Duration]string{0: "7200", time.Second: "1", time.Hour: "3600", 7 * 24 * time.Hour: "604800"} {
		parsed, err := url.Parse(mustURL(t, b, key, core.URLOptions{Expiry: expiry}))
		if err != nil || parsed.Query().Get("X-Amz-Expires") != want {
			t.Errorf("an expiry of %s is %s, %v; want %s seconds", expiry, parsed.Query().Get("X-Amz-Expires"), err, want)
		}
	}
	for _, expiry := range []time.Duration{-time.Second, time.Second - 1, 7*24*time.Hour + 1} {
		_, err := b.URL(t.Context(), key, core.URLOptions{Expiry: expiry})
		wantKind(t, expiry.String(), err, core.ErrConfig)
	}
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, URLExpiry: time.Minute})
	for expiry, want := range map[time.Duration]string{0: "60", time.Hour: "3600"} {
		link, err := field.URL(t.Context(), key, core.URLOptions{Expiry: expiry})
		if err != nil || !strings.Contains(link, "X-Amz-Expires="+want+"&") {
			t.Errorf("the field's URL is %s, %v; want it to live %s seconds", link, err, want)
		}
	}
}

func TestAURLThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	save(t, b, "a.txt", "content")
	save(t, b, "b.txt", "other")
	link := mustURL(t, b, mustKey(t, "a.txt"), core.URLOptions{Expiry: time.Minute, Window: core.NoWindow})
	for what, changed := range map[string]string{
		"another key":    strings.Replace(link, "a.txt", "b.txt", 1),
		"a longer life":  strings.Replace(link, "X-Amz-Expires=60", "X-Amz-Expires=6000", 1),
		"another header": link + "&response-content-type=text%2Fhtml",
		"no signature":   link[:strings.Index(link, "?")],
	} {
		if response, _ := fetch(t, changed); response.StatusCode < 400 || changed == link {
			t.Errorf("with %s the answer is %d", what, response.StatusCode)
		}
	}
}

func TestN4ADownloadHasTheNameThatWasAskedFor(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t)
	b := store.Bucket(bucket)
	save(t, b, "a.png", "\x89PNG\r\n\x1a\n")
	for name, want := range map[string]string{
		"report.pdf": "report.pdf", "grüße \"an\" alle.txt": "grüße \"an\" alle.txt", "../../etc/passwd": "passwd",
		"line\r\nX-Evil: 1.txt": "lineX-Evil: 1.txt", "100%.txt": "100%.txt", "": "",
	} {
		response, _ := fetch(t, mustURL(t, b, mustKey(t, "a.png"), core.URLOptions{Disposition: core.Attachment, Name: name}))
		disposition, params, err := mime.ParseMediaType(response.Header.Get("Content-Disposition"))
		if err != nil || disposition != "attachment" || params["filename"] != want || response.Header.Get("X-Evil") != "" {
			t.Errorf("%q is served as %q, %v; want an attachment named %q", name, response.Header.Get("Content-Disposition"), err, want)
		}
	}
}

func TestWhatBrowsersRunIsServedAsADownload(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 2)
	store := openStoreOn(t, s, s.Endpoint, func(c *core.Config) { c.PublicBuckets, c.PrivateBuckets = names[:1], names[1:] })
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
	for _, c := range []struct{ name, content, served, known, disposition string }{
		{"page.html", "<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream", "text/html", "attachment"},
		{"drawing.svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "application/octet-stream", "image/svg+xml", "attachment"},
		{"image.png", "<html><script>alert(1)</script></html>", "application/octet-stream", "text/html", "attachment"},
		{"image.png", png, "image/png", "image/png", "inline"},
		{"data.bin", "\x00\x01\xfe\xff", "application/octet-stream", "application/octet-stream", "attachment"},
	} {
		for _, name := range names {
			field := store.Field(core.FieldConfig{Name: "file", Model: c.known + c.name + name, Bucket: name})
			o, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader(c.content), Name: c.name})
			if err != nil {
				t.Fatal(err)
			}
			link, err := field.URL(t.Context(), o.Key, core.URLOptions{})
			if err != nil {
				t.Fatal(err)
			}
			response, body := fetch(t, link)
			if response.StatusCode != 200 || body != c.content {
				t.Fatalf("%s answers %d", link, response.StatusCode)
			}
			disposition, params, err := mime.ParseMediaType(response.Header.Get("Content-Disposition"))
			if got := response.Header.Get("Content-Type"); got != c.served || disposition != c.disposition || params["filename"] != c.name || err != nil {
				t.Errorf("%s of %s is served as %s, %q; want %s, %s", c.name, c.known, got, response.Header.Get("Content-Disposition"), c.served, c.disposition)
			}
			if o, err := field.Bucket().Stat(t.Context(), o.Key); err != nil || o.Type != c.known {
				t.Errorf("%s is known as %s, %v; want %s", c.name, o.Type, err, c.known)
			}
		}
	}
}
