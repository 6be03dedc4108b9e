package sigv4_test

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/filefield/filefield/internal/sigv4"
)

// oracle signs as minio-go does.
func oracle(t testing.TB, c sigv4.Credentials, region, method, scheme, host, bucket, object string, expires time.Duration, query, header map[string]string) string {
	t.Helper()
	client, err := minio.New(host, &minio.Options{
		Creds:  credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken),
		Secure: scheme == "https", Region: region, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return "" // not a host
	}
	return presign(t, client, method, bucket, object, expires, query, header)
}

func presign(t testing.TB, client *minio.Client, method, bucket, object string, expires time.Duration, query, header map[string]string) string {
	t.Helper()
	parameters, headers := url.Values{}, http.Header{}
	for name, value := range query {
		parameters.Set(name, value)
	}
	for name, value := range header {
		headers.Set(name, value)
	}
	u, err := client.PresignHeader(context.Background(), method, bucket, object, expires, parameters, headers)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// ours signs the same at the time that the oracle took.
func ours(t testing.TB, s *sigv4.Signer, c sigv4.Credentials, method, bucket, object string, expires time.Duration, query, header map[string]string, theirs string) string {
	t.Helper()
	u, err := url.Parse(theirs)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("20060102T150405Z", u.Query().Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	return string(s.AppendPresigned(nil, c, &sigv4.Request{
		Method: method, Scheme: u.Scheme, Host: u.Host, Path: "/" + bucket + "/" + s3utils.EncodePath(object),
		Query: sorted(query), Header: sorted(header), Time: at, Expires: expires,
	}))
}

func sorted(m map[string]string) (out []sigv4.Param) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, sigv4.Param{Name: name, Value: m[name]})
	}
	return out
}

func TestURLsAreByteForByteThoseOfMinioGo(t *testing.T) {
	t.Parallel()
	static := sigv4.Credentials{AccessKey: "minio", SecretKey: "minio123"}
	for _, c := range []struct {
		name           string
		credentials    sigv4.Credentials
		region, method string
		scheme, host   string
		object         string
		expires        time.Duration
		query, header  map[string]string
	}{
		{"a plain key", static, "us-east-1", "GET", "http", "127.0.0.1:9000", "cat.png", time.Hour, nil, nil},
		{"a key of everything that needs escaping", static, "eu-central-1", "GET", "https", "s3.example.org", "a b/ü?x#y+z%20~!*()'@$&;:,=`[]{}|^\\\"<>.png", 7 * 24 * time.Hour, nil, nil},
		{"a HEAD", static, "us-east-1", "HEAD", "https", "s3.example.org:8443", "cat.png", time.Second, nil, nil},
		{"a PUT with headers on both sides of host", static, "us-east-1", "PUT", "https", "s3.example.org", "cat.png", time.Hour, nil, map[string]string{"content-type": "image/png", "content-length": "12", "x-amz-checksum-crc32c": "ipE2qg=="}},
		{"headers before host alone", static, "us-east-1", "PUT", "https", "s3.example.org", "cat.png", time.Hour, nil, map[string]string{"content-type": "text/plain;  charset=utf-8"}},
		{"parameters", static, "us-east-1", "GET", "https", "s3.example.org", "cat.png", time.Hour, map[string]string{"response-content-disposition": `attachment; filename="_.txt"; filename*=UTF-8''%C3%BC.txt`, "response-content-type": "image/png", "versionId": "a+b/c="}, nil},
		{"temporary credentials", sigv4.Credentials{AccessKey: "ASIA/+=", SecretKey: "s", SessionToken: "to/ken+=="}, "us-east-1", "GET", "https", "s3.example.org", "cat.png", time.Hour, nil, nil},
		{"an IPv6 host", static, "us-east-1", "GET", "http", "[2001:db8::1]:9000", "cat.png", time.Hour, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := oracle(t, c.credentials, c.region, c.method, c.scheme, c.host, "media", c.object, c.expires, c.query, c.header)
			got := ours(t, sigv4.New(c.region), c.credentials, c.method, "media", c.object, c.expires, c.query, c.header, want)
			if got != want {
				t.Errorf("ours   %s\nminio-go %s", got, want)
			}
		})
	}
}

func TestASignerKeepsApartDaysAndCredentials(t *testing.T) {
	t.Parallel()
	s := sigv4.New("us-east-1")
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sign := func(s *sigv4.Signer, c sigv4.Credentials, at time.Time) string {
		return string(s.AppendPresigned(nil, c, &sigv4.Request{Method: "GET", Scheme: "http", Host: "h", Path: "/b/k", Time: at, Expires: time.Hour}))
	}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 300 {
				c := sigv4.Credentials{AccessKey: "a", SecretKey: strings.Repeat("s", 1+i%3), SessionToken: strings.Repeat("t", worker%2)}
				at := midnight.Add(time.Duration(i%4-2) * time.Second).In(time.FixedZone("", worker*3600))
				if got, want := sign(s, c, at), sign(sigv4.New("us-east-1"), c, at); got != want {
					t.Errorf("a used signer gives %s, a new one %s", got, want)
				}
			}
		})
	}
	wait.Wait()
}

// The signature must never differ from minio-go's, whatever is signed.
func FuzzPresignAsMinioGoDoes(f *testing.F) {
	f.Add("GET", "media", "cat.png", "h:9000", "minio", "minio123", "", uint32(3600), "attachment", "v1", "image/png")
	f.Add("PUT", "a.b-c", "a b/ü?#%+.png", "example.org", "A/KI+A", "s e", "to/k", uint32(1), "", "", "")
	// Clients cost more to make than signatures.
	clients := map[string]*minio.Client{}
	signers := map[string]*sigv4.Signer{}
	f.Fuzz(func(t *testing.T, method, bucket, object, host, access, secret, token string, seconds uint32, disposition, version, contentType string) {
		if !slices.Contains([]string{"GET", "HEAD", "PUT"}, method) || s3utils.CheckValidBucketName(bucket) != nil ||
			s3utils.CheckValidObjectName(object) != nil || !utf8.ValidString(object) || access == "" || secret == "" {
			return
		}
		if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf || r == '%' }) {
			return // no Store takes such an endpoint
		}
		if strings.Contains(bucket, ":") {
			return // nor such a bucket, in which minio-go signs another path than it writes
		}
		if !utf8.ValidString(disposition) || !utf8.ValidString(version) {
			return // minio-go replaces what is not UTF-8
		}
		if strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return // not a header
		}
		expires := time.Duration(1+seconds%604800) * time.Second
		c := sigv4.Credentials{AccessKey: access, SecretKey: secret, SessionToken: token}
		id := strings.Join([]string{host, access, secret, token}, "\x00")
		if clients[id] == nil {
			if len(clients) > 1000 {
				clear(clients)
			}
			client, err := minio.New(host, &minio.Options{Creds: credentials.NewStaticV4(access, secret, token), Region: "eu-west-3", BucketLookup: minio.BucketLookupPath})
			if err != nil {
				return
			}
			clients[id] = client
		}
		if signers["eu-west-3"] == nil {
			signers["eu-west-3"] = sigv4.New("eu-west-3")
		}
		query, header := map[string]string{}, map[string]string{}
		for name, value := range map[string]string{"response-content-disposition": disposition, "versionId": version} {
			if value != "" {
				query[name] = value
			}
		}
		if contentType != "" && method == "PUT" {
			header["content-type"] = contentType
		}
		want := presign(t, clients[id], method, bucket, object, expires, query, header)
		if u, err := url.Parse(want); err != nil || u.Path != "/"+bucket+"/"+object {
			return // minio-go resolves what a Key cannot hold
		}
		if got := ours(t, signers["eu-west-3"], c, method, bucket, object, expires, query, header, want); got != want {
			t.Errorf("ours     %s\nminio-go %s", got, want)
		}
	})
}

// count is how many random URLs are compared: -args -urls 10000000 for all night.
var count = flag.Int("urls", 20_000, "how many random URLs to compare with minio-go's")

// Fuzzing finds odd inputs; this finds what goes wrong once in a million.
func TestRandomURLsAreThoseOfMinioGo(t *testing.T) {
	t.Parallel()
	const odd = "aZ09-_.~/ +%?#&=:;,@!$'()*[]{}|\\^`\"<>äß字😀\u0301\u200f\x01\x7f"
	runes := []rune(odd)
	var wait sync.WaitGroup
	for worker := range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(worker)))
			text := func(most int) string {
				out := make([]rune, 1+r.IntN(most))
				for i := range out {
					out[i] = runes[r.IntN(len(runes))]
				}
				return string(out)
			}
			signer := sigv4.New("eu-west-3")
			var client *minio.Client
			var c sigv4.Credentials
			for i := range *count / runtime.GOMAXPROCS(0) {
				if i%1000 == 0 {
					host := []string{"127.0.0.1:9000", "s3.example.org", "[::1]:9000", "a-b.example:65535"}[r.IntN(4)]
					c = sigv4.Credentials{AccessKey: text(20), SecretKey: text(40)}
					if r.IntN(2) == 0 {
						c.SessionToken = text(60)
					}
					var err error
					client, err = minio.New(host, &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken), Secure: r.IntN(2) == 0, Region: "eu-west-3", BucketLookup: minio.BucketLookupPath})
					if err != nil {
						t.Error(err)
						return
					}
				}
				object, query, header := "", map[string]string{}, map[string]string{}
				for s3utils.CheckValidObjectName(object) != nil || strings.Contains(object, "./") || strings.Contains(object, "/.") || strings.Trim(object, ".") == "" {
					object = strings.Trim(text(40), "/")
				}
				for _, name := range []string{"response-content-disposition", "response-content-type", "versionId", "x-filefield-subject"} {
					if r.IntN(4) == 0 {
						query[name] = text(50)
					}
				}
				method := []string{"GET", "HEAD", "PUT"}[r.IntN(3)]
				if method == "PUT" && r.IntN(2) == 0 {
					header["content-type"], header["x-amz-checksum-crc32c"] = "image/png", "ipE2qg=="
				}
				expires := time.Duration(1+r.IntN(604800)) * time.Second
				want := presign(t, client, method, "media", object, expires, query, header)
				if got := ours(t, signer, c, method, "media", object, expires, query, header, want); got != want {
					t.Errorf("%s %q, %q, %q:\nours     %s\nminio-go %s", method, object, query, header, got, want)
					return
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkPresign(b *testing.B) {
	c := sigv4.Credentials{AccessKey: "minio", SecretKey: "minio123"}
	b.Run("ours", func(b *testing.B) {
		s, r := sigv4.New("us-east-1"), &sigv4.Request{Method: "GET", Scheme: "https", Host: "s3.example.org", Path: "/media/2026-11-22/h5zl3x7qk2m4n6p8r0.png", Time: time.Now(), Expires: time.Hour}
		b.ReportAllocs()
		var room []byte
		for b.Loop() {
			room = s.AppendPresigned(room[:0], c, r)
		}
	})
	b.Run("minio-go", func(b *testing.B) {
		client, err := minio.New("s3.example.org", &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: true, Region: "us-east-1"})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.PresignedGetObject(b.Context(), "media", "2026-11-22/h5zl3x7qk2m4n6p8r0.png", time.Hour, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
