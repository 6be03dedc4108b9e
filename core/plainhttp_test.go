package core_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestO11OpenWarnsOfPlainHTTPThatLeavesTheMachine(t *testing.T) {
	t.Parallel()
	for endpoint, warns := range map[string]bool{
		"localhost": false, "localhost:9000": false, "LOCALHOST:9000": false, "localhost.:9000": false, "s3.localhost:9000": false,
		"127.0.0.1": false, "127.8.9.10:9000": false, "[::1]:9000": false, "[::1]": false,
		"minio:9000": true, "10.0.0.5:9000": true, "192.168.1.2": true, "storage.example": true, "[2001:db8::1]:9000": true,
		"localhost.example:9000": true, "127.0.0.1.example:9000": true, "notlocalhost:9000": true,
	} {
		for _, secure := range []bool{false, true} {
			var log bytes.Buffer
			config := good()
			config.Endpoint, config.UseHTTPS, config.SigningKeys = endpoint, secure, []core.Secret{theSecret}
			config.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if _, err := core.Open(config); err != nil {
				t.Errorf("%s: %v", endpoint, err)
				continue
			}
			want := 0
			if warns && !secure {
				want = 1
			}
			text := log.String()
			if lines := strings.Count(text, "\n"); lines != want || strings.Count(text, "plain HTTP") != want || want == 1 && !strings.Contains(text, endpoint) {
				t.Errorf("%s, over TLS %t, logs %q; want lines: %d", endpoint, secure, text, want)
			}
			wantHidden(t, endpoint, text)
		}
	}
}

func TestO11ADiagnosisReportsPlainHTTPThatLeavesTheMachine(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	// Wherever the endpoint is said to be, this is where the requests go.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.Endpoint)
	}}
	for endpoint, want := range map[string]string{
		s.Endpoint:           "",
		"localhost:9000":     "",
		"10.0.0.5:9000":      "who is on that network",
		"minio:9000":         "who is on that network",
		"203.0.113.9:9000":   "leaves the private network",
		"[2001:db8::1]:9000": "leaves the private network",
	} {
		store := openStoreOn(t, s, endpoint, func(c *core.Config) { c.PrivateBuckets, c.Transport = []string{bucket}, transport })
		d := store.Diagnose(t.Context(), core.DiagnoseOptions{ReadOnly: true})
		found := finding(d, "tls", "")
		if !d.OK || len(found) > 1 || (len(found) == 1) != (want != "") {
			t.Errorf("%s: %s", endpoint, report(d))
			continue
		}
		if want != "" && (found[0].Status != core.FindingWarning || !strings.Contains(found[0].Detail, want) || found[0].Advice == "") {
			t.Errorf("%s: %+v, want a warning with %q", endpoint, found[0], want)
		}
		store.CloseIdleConnections()
	}
}
