package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// backendServer is a node as the balancer sees it: healthy or not, and it says its name.
func backendServer(t *testing.T, name string, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/minio/health/cluster" {
			w.WriteHeader(status)
			return
		}
		fmt.Fprint(w, name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestTheBalancerPassesOverNodesThatAreDown(t *testing.T) {
	t.Parallel()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for _, c := range []struct {
		name  string
		addrs []string
		want  map[string]bool // names that may answer; none: the connection is closed
	}{
		{"all are up", []string{backendServer(t, "a", 200), backendServer(t, "b", 200)}, map[string]bool{"a": true, "b": true}},
		{"one refuses", []string{refusing.Addr().String(), backendServer(t, "a", 200)}, map[string]bool{"a": true}},
		{"the only one is not ready", []string{backendServer(t, "a", 503)}, map[string]bool{"a": true}},
		{"all refuse", []string{refusing.Addr().String()}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithCancel(t.Context())
			b, err := startBalancer(ctx, c.addrs)
			if err != nil {
				t.Fatal(err)
			}
			defer b.all.Wait()
			defer end()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			seen := map[string]bool{}
			for range 8 {
				resp, err := client.Get("http://" + b.addr() + "/")
				if err != nil {
					if len(c.want) > 0 {
						t.Fatal(err)
					}
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				seen[string(bytes.TrimSpace(body))] = true
			}
			if fmt.Sprint(seen) != fmt.Sprint(c.want) && len(seen)+len(c.want) > 0 {
				t.Errorf("answers came from %v, want %v", seen, c.want)
			}
		})
	}
}
