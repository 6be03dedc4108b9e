package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/filefield/filefield/soak/app"
)

func TestWhatADownloadAnswersIsJudged(t *testing.T) {
	t.Parallel()
	right := func(w http.ResponseWriter) { _, _ = io.Copy(w, content("a file", 1000)) }
	other := func(w http.ResponseWriter) { _, _ = io.Copy(w, content("another", 1000)) }
	status := func(code int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(code) } }
	for _, c := range []struct {
		name    string
		away    bool // a node
		answers []func(http.ResponseWriter)
		outcome string   // that is counted
		want    []string // violations
	}{
		{"it is right", false, []func(http.ResponseWriter){right}, "good", nil},
		{"it is another", false, []func(http.ResponseWriter){other}, "", []string{"wrong content"}},
		{"storage is away", true, []func(http.ResponseWriter){status(503)}, "503", nil},
		{"storage is said to lack something", true, []func(http.ResponseWriter){status(501)}, "", []string{"501 for a file that is there"}},
		{"it is not found, and all nodes are there", false, []func(http.ResponseWriter){status(404)}, "", []string{"404 for a file that is there"}},
		{"it is not found while a node is away, and there later", true, []func(http.ResponseWriter){status(404), right}, "404 at first", nil},
		{"it is not found while a node is away, and stays so", true, []func(http.ResponseWriter){status(404), status(404)}, "", []string{"lost or changed"}},
		{"it is not found while a node is away, and another later", true, []func(http.ResponseWriter){status(404), other}, "", []string{"lost or changed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				c.answers[min(asked, len(c.answers)-1)](w)
				asked++
			}))
			defer s.Close()
			l := newLoad([]*appProcess{{config: app.Config{Addr: s.Listener.Addr().String()}}}, newTally(filepath.Join(t.TempDir(), violationsFile)), largest)
			l.patience = time.Millisecond
			if c.away {
				l.wholeness.Add(1)
			}
			w := &worker{load: l, ctx: t.Context(), rand: rand.New(rand.NewPCG(1, 1)), files: []held{{"a file", stateOf("a file", 1000)}}}
			w.download()
			var got []string
			for _, v := range l.tally.broken() {
				got = append(got, v.kind)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if c.outcome != "" && l.tally.get("download", c.outcome) != 1 {
				t.Errorf("it is not counted as %q", c.outcome)
			}
		})
	}
}
