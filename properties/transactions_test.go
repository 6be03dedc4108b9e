package properties_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

// row is what a row of the table says of its file.
type row struct {
	key     core.Key
	content string
}

// work is what a transaction does to the bucket when it commits, in order.
type work struct {
	key     core.Key
	content string // of a replacement
	remove  bool
}

// level is one transaction of files, with what it did to rows: nil for a row that
// was deleted. Levels of one transaction are nested.
type level struct {
	ctx    context.Context
	txn    *core.Txn
	rows   map[int]*row
	saved  []core.Key
	work   []work
	staged int // replacements, kept beside their targets until the commit
}

// model is the app's table, its open transactions, and what the bucket should
// hold. The table locks the rows that a transaction has touched, as databases do.
type model struct {
	field  *core.Field
	server *s3test.Server

	rows   map[int]row
	next   int
	open   [][]*level
	stored map[core.Key]string
	staged int // of processes that died
}

func TestRowsObjectsAndTransactionsKeepTheirInvariants(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{server: server, rows: map[int]row{}, stored: map[core.Key]string{}}
		m.field = openStore(rt, server).Field(core.FieldConfig{Name: "file", Bucket: server.Bucket(t), UploadTo: core.KeepName})
		rt.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "nest": m.nest, "save": m.save, "replace": m.replace, "replace in place": m.replaceInPlace, "delete": m.delete,
			"commit": m.commit, "roll back": m.rollback, "die": m.die, "die after the rows": m.dieBetween,
			"sweep beside": m.sweepBeside, "sweep": m.sweep, "": m.check,
		})
		for len(m.open) > 0 {
			m.rollback(rt)
		}
		m.sweep(rt)
		m.check(rt)
		if len(m.stored) != len(m.rows) {
			rt.Fatalf("in the end %d objects are there for %d rows", len(m.stored), len(m.rows))
		}
	})
}

// top draws an open transaction, or begins one, and returns its innermost level.
func (m *model) top(t *rapid.T) (at int, in *level) {
	if len(m.open) == 0 {
		m.begin(t)
	}
	at = rapid.IntRange(0, len(m.open)-1).Draw(t, "transaction")
	return at, m.open[at][len(m.open[at])-1]
}

// ending is top for what ends a transaction.
func (m *model) ending(t *rapid.T) (at int, in *level) {
	if len(m.open) == 0 {
		t.Skip("no transaction is open")
	}
	return m.top(t)
}

// seen is the table as a transaction sees it.
func (m *model) seen(at int) map[int]row {
	rows := maps.Clone(m.rows)
	for _, in := range m.open[at] {
		for id, r := range in.rows {
			if r == nil {
				delete(rows, id)
			} else {
				rows[id] = *r
			}
		}
	}
	return rows
}

// pick draws a row that the transaction sees and no other has touched.
func (m *model) pick(t *rapid.T, at int) (int, row) {
	rows := m.seen(at)
	for other, levels := range m.open {
		for _, in := range levels {
			for id := range in.rows {
				if other != at {
					delete(rows, id)
				}
			}
		}
	}
	if len(rows) == 0 {
		levels := m.open[at]
		m.saveIn(t, levels[len(levels)-1])
		return m.pick(t, at)
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(rows))).Draw(t, "row")
	return id, rows[id]
}

func (m *model) begin(t *rapid.T) {
	if len(m.open) > 2 {
		t.Skip("enough are open")
	}
	m.open = append(m.open, []*level{newLevel(context.Background())})
}

func (m *model) nest(t *rapid.T) {
	at, in := m.top(t)
	if len(m.open[at]) > 2 {
		t.Skip("nested deep enough")
	}
	m.open[at] = append(m.open[at], newLevel(in.ctx))
}

func newLevel(ctx context.Context) *level {
	in := &level{rows: map[int]*row{}}
	in.ctx, in.txn = core.Begin(ctx)
	return in
}

// store saves a file of a name that others have, too.
func (m *model) store(t *rapid.T, in *level) *row {
	m.next++
	r := &row{content: fmt.Sprintf("content %d", m.next)}
	o, err := m.field.Save(in.ctx, core.Upload{Body: strings.NewReader(r.content), Name: rapid.SampledFrom([]string{"a.txt", "b.txt"}).Draw(t, "name")})
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	if content, taken := m.stored[o.Key]; taken {
		t.Fatalf("%s, which holds %q, was overwritten", o.Key, content)
	}
	r.key = o.Key
	m.stored[o.Key] = r.content
	in.saved = append(in.saved, o.Key)
	return r
}

func (m *model) save(t *rapid.T) {
	_, in := m.top(t)
	m.saveIn(t, in)
}

func (m *model) saveIn(t *rapid.T, in *level) {
	in.rows[m.next+1] = m.store(t, in)
}

func (m *model) remove(t *rapid.T, in *level, key core.Key) {
	if err := m.field.Delete(in.ctx, key); err != nil {
		t.Fatalf("delete %s: %v", key, err)
	}
	in.work = append(in.work, work{key: key, remove: true})
}

func (m *model) replace(t *rapid.T) {
	at, in := m.top(t)
	id, old := m.pick(t, at)
	in.rows[id] = m.store(t, in)
	m.remove(t, in, old.key)
}

func (m *model) replaceInPlace(t *rapid.T) {
	at, in := m.top(t)
	id, old := m.pick(t, at)
	m.next++
	changed := row{old.key, fmt.Sprintf("content %d", m.next)}
	o, err := m.field.Save(in.ctx, core.Upload{Body: strings.NewReader(changed.content), Name: old.key.String(), Replace: true})
	if err != nil || o.Key != old.key {
		t.Fatalf("replacing %s wrote %s, %v", old.key, o.Key, err)
	}
	in.rows[id] = &changed
	in.work = append(in.work, work{key: old.key, content: changed.content})
	in.staged++
}

func (m *model) delete(t *rapid.T) {
	at, in := m.top(t)
	id, old := m.pick(t, at)
	in.rows[id] = nil
	m.remove(t, in, old.key)
}

// leave takes the innermost level away.
func (m *model) leave(at int) {
	if levels := m.open[at]; len(levels) > 1 {
		m.open[at] = levels[:len(levels)-1]
		return
	}
	m.open = slices.Delete(m.open, at, at+1)
}

// commitRows does what the database does, before the files are committed.
func (m *model) commitRows(rows map[int]*row) {
	for id, r := range rows {
		if r == nil {
			delete(m.rows, id)
		} else {
			m.rows[id] = *r
		}
	}
}

func (m *model) commit(t *rapid.T) {
	at, in := m.ending(t)
	outermost := len(m.open[at]) == 1
	m.leave(at)
	if outermost {
		m.commitRows(in.rows)
	}
	if err := in.txn.Commit(context.Background()); err != nil {
		t.Fatalf("commit: %v", err)
	}
	if outermost {
		for _, w := range in.work {
			if w.remove {
				delete(m.stored, w.key)
			} else {
				m.stored[w.key] = w.content
			}
		}
		return
	}
	outer := m.open[at][len(m.open[at])-1]
	maps.Copy(outer.rows, in.rows)
	outer.saved, outer.work = append(outer.saved, in.saved...), append(outer.work, in.work...)
	outer.staged += in.staged
}

func (m *model) rollback(t *rapid.T) {
	at, in := m.ending(t)
	m.leave(at)
	if err := in.txn.Rollback(context.Background()); err != nil {
		t.Fatalf("roll back: %v", err)
	}
	for _, key := range in.saved {
		delete(m.stored, key)
	}
}

// die is the end of the process that had a transaction: nothing is undone but by
// the database.
func (m *model) die(t *rapid.T) {
	at, _ := m.ending(t)
	for _, in := range m.open[at] {
		m.staged += in.staged
	}
	m.open = slices.Delete(m.open, at, at+1)
}

// dieBetween is its end when the rows were committed, and the files not yet. What
// was to be replaced in place has its old content: the row's key is right.
func (m *model) dieBetween(t *rapid.T) {
	at, _ := m.ending(t)
	for _, in := range m.open[at] {
		m.staged += in.staged
		m.commitRows(in.rows)
	}
	m.open = slices.Delete(m.open, at, at+1)
	for id, r := range m.rows {
		m.rows[id] = row{r.key, m.stored[r.key]}
	}
}

// references are the committed rows, as a database tells them.
func (m *model) references() sweep.Source {
	return sweep.Keys("rows", func(context.Context) iter.Seq2[core.Key, error] {
		return func(yield func(core.Key, error) bool) {
			for _, r := range m.rows {
				if !yield(r.key, nil) {
					return
				}
			}
		}
	})
}

func (m *model) run(t *rapid.T, at time.Time) sweep.Report {
	report, err := sweep.Run(context.Background(), sweep.Config{
		Bucket: m.field.Bucket(), References: []sweep.Source{m.references()}, Action: sweep.Delete, MaxShare: 1, CheckMissing: true,
		Now: func() time.Time { return at },
	})
	if err != nil || report.Missing > 0 {
		t.Fatalf("the sweep misses %d objects, %v", report.Missing, err)
	}
	return report
}

// sweepBeside runs while transactions are open: whatever they stored is young.
func (m *model) sweepBeside(t *rapid.T) {
	if report := m.run(t, time.Now()); report.Deleted > 0 {
		t.Fatalf("the sweep deleted %d objects of today", report.Deleted)
	}
}

// sweep runs when no transaction has been open for long, and leaves the rows' files.
func (m *model) sweep(t *rapid.T) {
	if len(m.open) > 0 {
		t.Skip("transactions are open")
	}
	m.run(t, time.Now().Add(48*time.Hour))
	referred := map[core.Key]bool{}
	for _, r := range m.rows {
		referred[r.key] = true
	}
	maps.DeleteFunc(m.stored, func(key core.Key, _ string) bool { return !referred[key] })
	m.staged = 0
}

// check holds the bucket against the model: every row's object is there with the
// row's content, nothing is there that should not be, and nothing half-written.
func (m *model) check(t *rapid.T) {
	ctx := context.Background()
	staged := m.staged
	for _, levels := range m.open {
		for _, in := range levels {
			staged += in.staged
		}
	}
	found := map[core.Key]string{}
	for o, err := range m.field.Bucket().Walk(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(o.Key.String(), "staged-") {
			staged--
			continue
		}
		found[o.Key] = m.read(t, o.Key)
	}
	if !maps.Equal(found, m.stored) || staged != 0 {
		t.Fatalf("the bucket holds %v, want %v; staged objects too few: %d", found, m.stored, staged)
	}
	for u, err := range m.field.Bucket().IncompleteUploads(ctx) {
		t.Fatalf("a multipart upload is left: %v, %v", u, err)
	}
	owner := map[core.Key]int{}
	for id, r := range m.rows {
		if content, there := found[r.key]; !there || content != r.content {
			t.Fatalf("row %d points at %s with %q, which holds %q (there: %t)", id, r.key, r.content, content, there)
		}
		if other, twice := owner[r.key]; twice {
			t.Fatalf("rows %d and %d have one object", id, other)
		}
		owner[r.key] = id
	}
}

func (m *model) read(t *rapid.T, key core.Key) string {
	f, err := m.field.Open(context.Background(), key, core.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
