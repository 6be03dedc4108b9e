//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"
)

// profileTime is how long a profile looks at a server.
const profileTime = 5 * time.Second

// profile keeps what the server does under the load: where its CPU went, and what
// it allocated. The load is another one after that which is measured, since
// profiling costs time itself.
func (r run) profile(ctx context.Context, work load, w way, s scenario) error {
	work.uploads, work.limit = 1<<30, r.profileTime+2*time.Second
	working, stop := context.WithCancel(ctx)
	defer stop()
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		work.run(working) // what fails here has failed before
	}()
	stem := filepath.Join(r.profiles, fileName(s.String()+" "+w.Name))
	seconds := fmt.Sprintf("?seconds=%d", r.profileTime/time.Second)
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return r.server.save(both, "/debug/pprof/profile"+seconds, stem+".cpu.pprof") })
	g.Go(func() error { return r.server.save(both, "/debug/pprof/allocs"+seconds, stem+".allocs.pprof") })
	err := g.Wait()
	stop()
	<-loaded
	return err
}

// fileName makes a name for a file of what is said of a measurement.
func fileName(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '×'
	}), "-")
}

// save writes what the process answers at a path into a file.
func (p *process) save(ctx context.Context, path, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		f.Close()
		return fmt.Errorf("profile of process %d: %w", p.cmd.Process.Pid, err)
	}
	return f.Close()
}
