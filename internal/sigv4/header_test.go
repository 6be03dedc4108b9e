package sigv4_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/filefield/filefield/internal/sigv4"
)

// signBoth returns the header Authorization of one PUT by minio-go and by ours.
func signBoth(t testing.TB, c sigv4.Credentials, region, object string, query url.Values, header http.Header) (want, got string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, "https://s3.example.org:8443/media/"+s3utils.EncodePath(object)+"?"+s3utils.QueryEncode(query), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	r.Header.Set("X-Amz-Content-Sha256", sigv4.Unsigned)
	r = signer.SignV4(*r, c.AccessKey, c.SecretKey, c.SessionToken, region)
	want = r.Header.Get("Authorization")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	var escaped []byte
	for i, name := range slices.Sorted(keys(query)) {
		if i > 0 {
			escaped = append(escaped, '&')
		}
		escaped = append(sigv4.AppendQuery(escaped, name), '=')
		escaped = sigv4.AppendQuery(escaped, query.Get(name))
	}
	r.Header.Set("User-Agent", "is not signed")
	return want, sigv4.New(region).Authorization(c, &sigv4.Sent{
		Method: http.MethodPut, Host: "s3.example.org:8443", Path: string(sigv4.AppendPath([]byte("/media/"), object)),
		Query: string(escaped), Header: r.Header, Time: at,
	})
}

func keys(values url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range values {
			if !yield(name) {
				return
			}
		}
	}
}

func TestHeadersAreSignedAsMinioGoDoes(t *testing.T) {
	t.Parallel()
	static := sigv4.Credentials{AccessKey: "minio", SecretKey: "minio123"}
	for _, c := range []struct {
		name        string
		credentials sigv4.Credentials
		object      string
		query       url.Values
		header      http.Header
	}{
		{"a plain key", static, "2026/cat.png", nil, nil},
		{"a space, a plus and a percent sign", static, "a b+c%20d%.png", nil, nil},
		{"letters of other alphabets", static, "ü/日本語/😀.png", nil, nil},
		{"all ASCII that needs escaping", static, "~!*()'@$&;:,=`[]{}|^\\\"<>?#.png", nil, nil},
		{"two slashes, and one at each end", static, "/a//b/", nil, nil},
		{"dots for segments, and at the end", static, "a/./../b/..", nil, nil},
		{"a trailing dot", static, "name.", nil, nil},
		{"a part", static, "cat.png", url.Values{"partNumber": {"10"}, "uploadId": {"a+b/c=~ %"}}, nil},
		{"headers on both sides of host", static, "k", nil, http.Header{
			"Content-Type": {"text/plain;  charset=utf-8"}, "If-None-Match": {"*"}, "Cache-Control": {" a ,  b "}, "X-Amz-Tagging": {"a=b&c=d%20e"},
		}},
		{"names whose order depends on the letters' case", static, "k", nil, http.Header{
			"X-Amz-Meta-_a": {"1"}, "X-Amz-Meta-B": {"2"}, "X-Amz-Meta-A-B": {"3"}, "X-Amz-Meta-Ab": {"4"}, "X-Amz-Meta-A1": {"5"}, "X-Amz-Meta-A.b": {"6"},
		}},
		{"temporary credentials", sigv4.Credentials{AccessKey: "ASIA/+=", SecretKey: "s", SessionToken: "to/ken+=="}, "k", nil, nil},
		{"an empty value", static, "k", nil, http.Header{"X-Amz-Meta-Empty": {""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.header == nil {
				c.header = http.Header{"Content-Type": {"image/png"}}
			}
			want, got := signBoth(t, c.credentials, "eu-central-1", c.object, c.query, c.header)
			if got != want {
				t.Errorf("ours     %s\nminio-go %s", got, want)
			}
		})
	}
}

// token are the characters of a header's name.
const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"

func FuzzAuthorization(f *testing.F) {
	f.Add("2026/cat.png", "id", "x-amz-meta-a", "value", "")
	f.Add("a b+c%//~ü.", "a+b/=", "x-amz-meta-_b", " two  spaces ", "token")
	f.Fuzz(func(t *testing.T, object, id, name, value, session string) {
		if !utf8.ValidString(object) || !utf8.ValidString(id) || name == "" || strings.Trim(strings.ToLower(name), token) != "" {
			return // minio-go does not send it
		}
		for _, own := range []string{"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-s3session-token", "user-agent"} {
			if strings.EqualFold(name, own) {
				return // the signature makes this header
			}
		}
		header := http.Header{}
		header.Set(name, value)
		c := sigv4.Credentials{AccessKey: "minio", SecretKey: "minio123", SessionToken: session}
		want, got := signBoth(t, c, "us-east-1", object, url.Values{"partNumber": {"1"}, "uploadId": {id}}, header)
		if got != want {
			t.Errorf("ours     %s\nminio-go %s", got, want)
		}
	})
}
