package core

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/internal/s3test"
)

// storeBehind returns a Store in front of whose storage a recorder stands, and a
// bucket.
func storeBehind(t *testing.T, given *credentials.Credentials) (*s3test.Recorder, *Bucket) {
	t.Helper()
	s := s3test.Start(t)
	recorder := s.Recorder(t)
	store, err := Open(Config{
		Endpoint: recorder.Endpoint(), AccessKey: s.AccessKey, SecretKey: Secret(s.SecretKey), Credentials: given,
		SigningKeys: []Secret{"a key for tests, long enough"}, Attempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return recorder, store.Bucket(s.Bucket(t))
}

func TestAnErrorOfTheStoragesIsTheOneMinioGoMakes(t *testing.T) {
	t.Parallel()
	const document = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>why</Message><BucketName>b</BucketName><Key>k</Key><RequestId>r</RequestId><HostId>h</HostId><Region> eu </Region></Error>`
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		body   string
	}{
		{"a refusal in XML", 403, nil, strings.Replace(document, "%s", "AccessDenied", 1)},
		{"an overload in XML", 503, http.Header{"X-Amz-Request-Id": {"other"}, "Server": {"s"}}, strings.Replace(document, "%s", "SlowDownWrite", 1)},
		{"a wrong region", 400, http.Header{"X-Amz-Bucket-Region": {"eu-west-1"}}, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>"},
		{"a redirect", 301, http.Header{"X-Amz-Bucket-Region": {"eu-west-1"}}, "<Error><Code>PermanentRedirect</Code></Error>"},
		{"not found, without XML", 404, nil, ""},
		{"forbidden, without XML", 403, nil, "no"},
		{"a conflict, without XML", 409, nil, ""},
		{"a condition that is not met, without XML", 412, nil, ""},
		{"a proxy's page", 502, nil, "<html><body>Bad Gateway</body></html>"},
		{"an answer of another kind of success", 204, nil, ""},
		{"an error in MinIO's headers", 400, http.Header{"X-Minio-Error-Code": {"InvalidDigest"}, "X-Minio-Error-Desc": {`"wrong"`}}, ""},
		{"a broken document", 500, nil, "<Error><Code>Int"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			recorder, b := storeBehind(t, nil)
			recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				for name, values := range c.header {
					w.Header()[name] = values
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
				return true
			})
			_, theirs := b.store.internal.PutObject(t.Context(), b.name, "k", http.NoBody, 0, "", "", minio.PutObjectOptions{DisableContentSha256: true})
			_, ours := b.putObject(t.Context(), Key{"k"}, nil, 0, minio.PutObjectOptions{}, condition{})
			want, got := minio.ToErrorResponse(theirs), minio.ToErrorResponse(ours)
			wantKind, _ := b.store.classify(t.Context(), theirs)
			if gotKind, _ := b.store.classify(t.Context(), ours); gotKind != wantKind || got.Code != want.Code || got.StatusCode != want.StatusCode || got.Region != want.Region || got.RequestID != want.RequestID {
				t.Errorf("ours is %v, %+v\nminio-go's %v, %+v", gotKind, got, wantKind, want)
			}
		})
	}
}

func TestAPutIsSignedByWhatTheCredentialsAre(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	for _, c := range []struct {
		name         string
		given        *credentials.Credentials
		hash, date   bool
		token, agent string
	}{
		{"static ones", credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), true, true, "", userAgent},
		{"temporary ones", credentials.NewStaticV4(s.AccessKey, s.SecretKey, "the token"), true, true, "the token", userAgent},
		{"none", credentials.NewStaticV4("", "", ""), false, false, "", userAgent},
		{"those of version 2, by minio-go", credentials.NewStaticV2(s.AccessKey, s.SecretKey, ""), false, false, "", "MinIO"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			recorder, b := storeBehind(t, c.given)
			recorder.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("ETag", `"e"`)
				w.Header().Set("X-Amz-Version-Id", "v")
				return true
			})
			body := &ropeReader{rope: ropeOf(t, []byte("content"))}
			info, err := b.putObject(t.Context(), Key{"k"}, body, 7, minio.PutObjectOptions{DisableContentSha256: true}, condition{})
			if err != nil || info.ETag != "e" || info.VersionID != "v" {
				t.Fatalf("%+v, %v", info, err)
			}
			h := recorder.Requests()[0].Header
			if (h.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD") != c.hash || (h.Get("X-Amz-Date") != "") != c.date ||
				h.Get("X-Amz-Security-Token") != c.token || !strings.HasPrefix(h.Get("User-Agent"), c.agent) {
				t.Errorf("the request has the headers %v", h)
			}
		})
	}
}

func TestKeysOfAllKindsAreWrittenAtOnceAndInParts(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store, err := Open(Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: Secret(s.SecretKey), SigningKeys: []Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	b := store.Bucket(s.Bucket(t))
	for _, key := range []string{"a b+c%20d.bin", "ü/日本語/😀.bin", "~!*()'@$&;,=[]{}^<>.bin", "dots...", "a..b/.hidden", "100%"} {
		for _, size := range []int64{0, 10, minPartSize + 1} {
			o, err := b.Save(t.Context(), key, Upload{Body: io.LimitReader(zeroes{}, size), Replace: true})
			if err != nil {
				t.Errorf("%q, %d bytes: %v", key, size, err)
				continue
			}
			if info, err := b.Stat(t.Context(), o.Key); err != nil || info.Size != size || info.ETag != o.ETag {
				t.Errorf("%q, %d bytes: there is %+v, %v", key, size, info, err)
			}
		}
	}
}

// zeroes is an endless file.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// heard is a connection that notes what is written to it.
type heard struct {
	net.Conn
	writes []string
	fail   error
}

func (h *heard) Write(p []byte) (int, error) {
	if h.fail != nil {
		return 0, h.fail
	}
	h.writes = append(h.writes, string(p))
	return len(p), nil
}

func TestAnExpectedHeadWaitsForItsBody(t *testing.T) {
	t.Parallel()
	conn := &heard{}
	w := &wire{Conn: conn}
	write := func(text string) {
		t.Helper()
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: wrote %d, %v", text, n, err)
		}
	}
	want := func(what, written string) {
		t.Helper()
		if got := strings.Join(conn.writes, "|"); got != written {
			t.Errorf("%s: the connection has %q, want %q", what, got, written)
		}
	}
	write("head 1")
	want("nothing is expected", "head 1")
	w.expected.Store(true)
	write("head 2")
	want("a body is expected", "head 1")
	n, err := w.ReadFrom(&io.LimitedReader{R: &ropeReader{rope: ropeOf(t, []byte("body"))}, N: 4})
	if n != 4 || err != nil {
		t.Errorf("the body counts as %d bytes, %v; want 4", n, err)
	}
	want("the body came", "head 1|head 2|body")
	w.expected.Store(true)
	write("head 3")
	write("body of TLS")
	want("the body came as a write", "head 1|head 2|body|head 3|body of TLS")
	w.expected.Store(true)
	write(strings.Repeat("x", maxHeld+1))
	if len(conn.writes) != 6 {
		t.Error("a head that is too long was held")
	}
	w.expected.Store(true)
	write("head 4")
	n, err = w.ReadFrom(strings.NewReader("a stream"))
	if n != 8 || err != nil {
		t.Errorf("the stream counts as %d bytes, %v; want 8", n, err)
	}
	if got := strings.Join(conn.writes[6:], "|"); got != "head 4|a stream" {
		t.Errorf("the stream went out as %q", got)
	}
}

// A request that ends between its connection and its head leaves the connection
// to the next one, which may have no body.
func TestAConnectionHoldsOnlyAHeadThatIsReady(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		conn := &heard{}
		w := &wire{Conn: conn}
		got := httptrace.GotConnInfo{Conn: w}
		if secure {
			got.Conn = tls.Client(w, &tls.Config{MinVersion: tls.VersionTLS12})
		}
		trace := httptrace.ContextClientTrace(expectBody(t.Context()))
		trace.GotConn(got)
		if _, err := w.Write([]byte("another's")); err != nil || len(conn.writes) != 1 {
			t.Errorf("TLS %t: before the head is ready, %d writes went out, %v; want 1", secure, len(conn.writes), err)
		}
		trace.WroteHeaders()
		if _, err := w.Write([]byte("head")); err != nil || len(conn.writes) != 1 {
			t.Errorf("TLS %t: with the head, %d writes went out, %v; want no more", secure, len(conn.writes), err)
		}
		trace.GotConn(httptrace.GotConnInfo{Conn: conn})
		trace.WroteHeaders() // of a connection that is none of ours
		if w.expected.Load() {
			t.Errorf("TLS %t: the first connection still waits", secure)
		}
	}
}

func TestABodyThatCannotBeWrittenIsNotCounted(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := &wire{Conn: &heard{fail: broken}, held: []byte("a head")}
	if n, err := w.Write([]byte("body")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("wrote %d, %v; want nothing and the connection's error", n, err)
	}
}

func TestABodyArrivesWholeBehindItsHead(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		s := s3test.StartOwn(t, s3test.Options{TLS: secure})
		config := Config{
			Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: Secret(s.SecretKey), UseHTTPS: secure, CAFile: s.CAFile,
			SigningKeys: []Secret{"a key for tests, long enough"},
		}
		store, err := Open(config)
		if err != nil {
			t.Fatal(err)
		}
		b := store.Bucket(s.Bucket(t))
		for _, size := range []int{1, 10 << 10, len(content)} {
			o, err := b.Save(t.Context(), "k", Upload{Body: bytes.NewReader(content[:size]), Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			f, err := b.Open(t.Context(), o.Key, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if f.Close(); err != nil || !bytes.Equal(got, content[:size]) {
				t.Errorf("TLS %t: of %d bytes, %d came back, or others: %v", secure, size, len(got), err)
			}
		}
		store.CloseIdleConnections()
	}
}
