package app

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sweep"
)

// Row is a row, as GET /rows shows it.
type Row struct {
	ID   string
	Key  string
	Size int64
}

// Swept is the answer of POST /sweep.
type Swept struct {
	Report   sweep.Report
	Findings []sweep.Finding
	// Error is why it ended early, and Kind the error's kind.
	Error, Kind string
}

// Recovered is the answer of POST /recover.
type Recovered struct {
	Report ledger.Report
	Error  string
}

// Stats is the answer of GET /stats.
type Stats struct {
	PID                     int
	Goroutines, Descriptors int
	HeapBytes               uint64
}

func (s *server) rows(w http.ResponseWriter, r *http.Request) {
	rows, err := s.db.QueryContext(r.Context(), "SELECT id, file FROM files ORDER BY id")
	if err != nil {
		fail(w, r, err)
		return
	}
	defer rows.Close()
	out := json.NewEncoder(w)
	for rows.Next() {
		var id string
		var f file
		if err = rows.Scan(&id, &f); err == nil {
			err = out.Encode(Row{ID: id, Key: f.Key().String(), Size: f.Size()})
		}
		if err != nil {
			panic(http.ErrAbortHandler) // half a list is none
		}
	}
	if rows.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

// sweep deletes what has no row and is older than the grace period.
func (s *server) sweep(w http.ResponseWriter, r *http.Request) {
	ahead, err := time.ParseDuration(r.FormValue("ahead"))
	if err != nil {
		ahead = max(24*time.Hour, s.store.TokenExpiry()) - s.config.Grace
	}
	var answer Swept
	answer.Report, err = sweep.Run(r.Context(), sweep.Config{
		Bucket:     s.field.Bucket(),
		References: []sweep.Source{sweep.SQL(s.db, sweep.SQLColumn{Column: "files.file", Dialect: sweep.SQLite})},
		Action:     sweep.Delete, MaxShare: 1, CheckMissing: true,
		Now: func() time.Time { return time.Now().Add(ahead) },
		Found: func(f sweep.Finding) error {
			answer.Findings = append(answer.Findings, f)
			return nil
		},
	})
	if err != nil {
		answer.Error, answer.Kind = err.Error(), core.KindOf(err).Code()
	}
	reply(w, answer)
}

// recover has the ledger finish what is due, at a time to come if asked.
func (s *server) recover(w http.ResponseWriter, r *http.Request) {
	ahead, err := time.ParseDuration(r.FormValue("ahead"))
	if err == nil {
		s.ahead.Store(int64(ahead))
		defer s.ahead.Store(0)
	}
	var answer Recovered
	answer.Report, err = s.book.Recover(r.Context(), s.store)
	var left int
	if err == nil {
		err = s.db.QueryRowContext(r.Context(), "SELECT COUNT(*) FROM filefield_ledger").Scan(&left)
	}
	switch {
	case err != nil:
		answer.Error = err.Error()
	case left > 0:
		answer.Error = "entries are left in the ledger"
	}
	reply(w, answer)
}

func (s *server) stats(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("settle") == "true" {
		s.store.CloseIdleConnections()
		s.db.SetMaxIdleConns(0) // closes them
		s.db.SetMaxIdleConns(2)
		debug.FreeOSMemory()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	reply(w, Stats{PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), Descriptors: descriptors(), HeapBytes: memory.HeapAlloc})
}

// descriptors counts the open ones, where the system tells; 0 elsewhere.
func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list) - 1 // the folder's own
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked has gone
}

// errorLine is an error's text in one line that fits a header.
func errorLine(err error) string {
	line := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, err.Error())
	return line[:min(len(line), 600)]
}
