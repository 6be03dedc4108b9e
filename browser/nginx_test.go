package browser

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/nethttp"
)

// nginxConfig is a reverse proxy as one stands in front of storage: it passes on
// the host it was asked for. It is one process,
// with all it has in one folder.
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr warn;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		client_max_body_size 0;
		location / {
			proxy_pass http://%[3]s;
			proxy_set_header Host $http_host;
			proxy_http_version 1.1;
			proxy_request_buffering off;
		}
	}
}
`

// startNginx runs nginx in front of an S3 server for as long as the test, as
// nobody where the test is root, and returns its port.
func startNginx(t *testing.T, backend string) (port string) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("there is no nginx; on Debian: apt-get install nginx-light")
		}
	}
	var log string
	for range 5 { // others may take the port before nginx does
		if port, log = tryNginx(t, program, backend); port != "" {
			return port
		}
	}
	t.Fatalf("nginx does not start: %s", log)
	return ""
}

// tryNginx returns nginx's port, or its log where it ended at once.
func tryNginx(t *testing.T, program, backend string) (port, said string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir, err := os.MkdirTemp("", "filefield-nginx-") // the test's own folder is closed to nobody
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, dir, address, backend), 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "-e", "stderr", "-p", dir, "-c", file)
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what matters is in the log
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended
		<-ended
		if t.Failed() {
			t.Logf("nginx says %s", log.String())
		}
	})
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-ended:
			tick.Stop()
			return "", log.String()
		case <-tick.C:
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			tick.Stop()
			_, port, _ = net.SplitHostPort(address)
			return port, ""
		}
	}
}

// TestURLsWorkThroughNginx signs for localhost, where nginx stands in front of
// storage, whose own address nobody outside learns.
func TestURLsWorkThroughNginx(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{})
	outside, plain := "localhost:"+startNginx(t, s.Endpoint), false
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, ExternalEndpoint: outside, ExternalUseHTTPS: &plain, PublicBuckets: []string{"public"}, PrivateBuckets: []string{"private"},
		AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region, SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	if err := store.Startup(core.StartupConfig{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// ask makes a request and checks that nothing of the answer names storage.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(t *testing.T, method, link, content, span string) (*http.Response, string) {
		t.Helper()
		if strings.Contains(link, s.Endpoint) {
			t.Errorf("%s names the internal endpoint", link)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if span != "" {
			r.Header.Set("Range", span)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if all := fmt.Sprint(response.Header, string(body)); strings.Contains(all, s.Endpoint) || strings.Contains(all, strings.TrimPrefix(s.Endpoint, "127.0.0.1")) {
			t.Errorf("%s %s: the answer names storage: %s", method, link, all)
		}
		return response, string(body)
	}
	for _, bucket := range []string{"public", "private"} {
		for _, name := range []string{"plain.txt", "a b/ü?x#y+z.txt", "100%20%.txt", "日本語/😀.txt", `quote"s'.txt`, "~!*()'@$&,;=:.txt"} {
			t.Run(bucket+" "+name, func(t *testing.T) {
				key, err := core.ParseKey(name)
				if err != nil {
					t.Fatal(err)
				}
				url := func(o core.URLOptions) string {
					t.Helper()
					link, err := store.Bucket(bucket).URL(t.Context(), key, o)
					if err != nil || !strings.HasPrefix(link, "http://"+outside+"/"+bucket+"/") {
						t.Fatalf("the URL is %s, %v", link, err)
					}
					return link
				}
				if response, body := ask(t, http.MethodPut, url(core.URLOptions{Method: http.MethodPut}), "0123456789", ""); response.StatusCode != http.StatusOK {
					t.Fatalf("a PUT answers %s: %s", response.Status, body)
				}
				if response, body := ask(t, http.MethodGet, url(core.URLOptions{}), "", ""); response.StatusCode != http.StatusOK || body != "0123456789" {
					t.Errorf("a GET answers %s: %s", response.Status, body)
				}
				if response, body := ask(t, http.MethodGet, url(core.URLOptions{Disposition: core.Attachment, Name: name}), "", "bytes=3-5"); response.StatusCode != http.StatusPartialContent || body != "345" {
					t.Errorf("a range answers %s: %s", response.Status, body)
				}
				if response, _ := ask(t, http.MethodHead, url(core.URLOptions{Method: http.MethodHead}), "", ""); response.StatusCode != http.StatusOK || response.ContentLength != 10 {
					t.Errorf("a HEAD answers %s with %d bytes", response.Status, response.ContentLength)
				}
				unsigned, _, _ := strings.Cut(url(core.URLOptions{Expiry: 1e9}), "?")
				if response, _ := ask(t, http.MethodGet, unsigned, "", ""); (response.StatusCode == http.StatusOK) != (bucket == "public") {
					t.Errorf("without a signature it answers %s", response.Status)
				}
				gone, err := core.ParseKey("missing/" + name)
				if err != nil {
					t.Fatal(err)
				}
				missing, err := store.Bucket(bucket).URL(t.Context(), gone, core.URLOptions{Expiry: 1e9 * 60})
				if err != nil {
					t.Fatal(err)
				}
				if response, _ := ask(t, http.MethodGet, missing, "", ""); response.StatusCode != http.StatusNotFound {
					t.Errorf("what is not there answers %s", response.Status)
				}
			})
		}
	}
	t.Run("the app's redirects", func(t *testing.T) {
		field := store.Field(core.FieldConfig{Name: "file", Bucket: "private"})
		o, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: "ü.txt"})
		if err != nil {
			t.Fatal(err)
		}
		app := httptest.NewServer(nethttp.Handle(nethttp.Delivery{Mode: nethttp.Redirect}.Files(field, func(*http.Request) (core.Object, error) { return o, nil }, nethttp.Anyone)))
		defer app.Close()
		away, _ := ask(t, http.MethodGet, app.URL, "", "")
		if response, body := ask(t, http.MethodGet, away.Header.Get("Location"), "", ""); away.StatusCode != http.StatusFound || response.StatusCode != http.StatusOK || body != "content" {
			t.Errorf("it leads to %s, which answers %s: %s", away.Header.Get("Location"), response.Status, body)
		}
	})
}
