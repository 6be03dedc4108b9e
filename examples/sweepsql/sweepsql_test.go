package sweepsql_test

import (
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"

	_ "modernc.org/sqlite"
)

func TestMain(m *testing.M) { s3test.Main(m) }

func TestASweepReadsColumnsOfEveryForm(t *testing.T) { //nolint:paralleltest // the fields are the package's
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "rows.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // nothing may need a second connection while rows are read
	t.Cleanup(func() { _ = db.Close() })
	table{
		DB: db, dialect: sweep.SQLite,
		create: `CREATE TABLE "odd table" (doc TEXT, several TEXT, mixed TEXT, bare VARCHAR(200) COLLATE NOCASE, deleted_at TEXT)`,
		insert: `INSERT INTO "odd table" VALUES (?, ?, ?, ?, ?)`,
	}.check(t)
}

// fileSpec and keySpec are the two forms of a column.
type (
	fileSpec struct{}
	keySpec  struct{}
)

var media struct{ documents, keys *core.Field }

func (fileSpec) FileField() *core.Field { return media.documents }
func (keySpec) FileField() *core.Field  { return media.keys }

func declare(t *testing.T) *core.Bucket {
	t.Helper()
	s := s3test.Start(t)
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	bucket := s.Bucket(t)
	media.documents = store.Field(core.FieldConfig{Name: "document", Bucket: bucket, UploadTo: core.Prefix("documents", core.KeepName)})
	media.keys = store.Field(core.FieldConfig{Name: "key", Bucket: bucket, UploadTo: core.Prefix("keys", core.KeepName), Column: core.ColumnKey})
	return store.Bucket(bucket)
}

// names are of files that make trouble for collations, LIKE and JSON. The
// reference system may have made such keys.
var names = []string{"a.txt", "A.txt", "aa.txt", "a_b.txt", "a-b.txt", "ä.txt", "100%.txt", "Straße 😀.txt", "straße.txt", "o'clock!.txt", `q"uote.txt`}

func store(t *testing.T, b *core.Bucket, key string) core.Object {
	t.Helper()
	o, err := b.Save(t.Context(), key, core.Upload{Body: strings.NewReader("content")})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// table is a database with what differs between products.
type table struct {
	*sql.DB
	dialect sweep.Dialect
	create  string
	insert  string // (doc, several, mixed, bare, deleted_at)
}

// fill stores objects and rows, and returns what a run is to find.
func (d table) fill(t *testing.T, bucket *core.Bucket) (want map[string]string, referred []string) {
	t.Helper()
	want = map[string]string{"keys/gone.txt": "missing"}
	insert := func(values ...any) {
		if _, err := d.ExecContext(t.Context(), d.insert, values...); err != nil {
			t.Fatalf("%s: %v", d.insert, err)
		}
	}
	if _, err := d.ExecContext(t.Context(), d.create); err != nil {
		t.Fatalf("%s: %v", d.create, err)
	}
	for i, name := range names {
		keys := []string{"documents/" + name, "documents/1 " + name, "documents/2 " + name, "documents/mixed " + name, "keys/" + name}
		var o []core.Object
		for _, key := range keys {
			o = append(o, store(t, bucket, key))
		}
		referred = append(referred, keys...)
		for _, lost := range []string{"documents/lost " + name, "keys/x" + name} { // a key can be part of another
			store(t, bucket, lost)
			want[lost] = "orphan"
		}
		var mixed, deleted any = fieldtype.Of[fileSpec](o[3]), nil
		if i%2 == 0 {
			mixed, deleted = o[3].Key.String(), "2026-11-25" // soft-deleted rows count
		}
		insert(fieldtype.Of[fileSpec](o[0]), fieldtype.Files[fileSpec]{fieldtype.Of[fileSpec](o[1]), fieldtype.Of[fileSpec](o[2])}, mixed, fieldtype.Of[keySpec](o[4]), deleted)
	}
	insert(nil, nil, "", "keys/gone.txt", nil)
	return want, referred
}

func (d table) sources(bare sweep.SQLColumn) (sources []sweep.Source) {
	for _, column := range []string{"odd table.doc", "odd table.several", "odd table.mixed"} {
		sources = append(sources, sweep.SQL(d.DB, sweep.SQLColumn{Column: column, Dialect: d.dialect}))
	}
	bare.Column, bare.Dialect = "odd table.bare", d.dialect
	return append(sources, sweep.SQL(d.DB, bare))
}

// check sweeps what fill has made.
func (d table) check(t *testing.T) {
	bucket := declare(t)
	want, referred := d.fill(t, bucket)
	config := sweep.Config{
		Bucket: bucket, MaxShare: 1, CheckMissing: true, Window: 3,
		Now: func() time.Time { return time.Now().Add(48 * time.Hour) },
	}
	for name, sources := range map[string][]sweep.Source{
		"as they come":     d.sources(sweep.SQLColumn{}),
		"bare keys":        d.sources(sweep.SQLColumn{KeysOnly: true}),
		"bare keys sorted": d.sources(sweep.SQLColumn{KeysOnly: true, Sorted: true}),
	} {
		found := map[string]string{}
		config.References = sources
		config.Found = func(f sweep.Finding) error { found[f.Key] = string(f.Kind); return nil }
		if _, err := sweep.Run(t.Context(), config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !maps.Equal(found, want) {
			t.Errorf("%s: found %v\nwant %v", name, found, want)
		}
		d.checkRefers(t, name, sources, want, referred)
	}
	d.checkStretches(t, referred)

	config.Action = sweep.Delete
	if _, err := sweep.Run(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	var left []string
	for o, err := range bucket.Walk(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, o.Key.String())
	}
	if slices.Sort(referred); !slices.Equal(left, referred) {
		t.Errorf("left are %q\nwant %q", left, referred)
	}

	// The database goes down: nothing happens.
	store(t, bucket, "documents/orphan.txt")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := sweep.Run(t.Context(), config)
	if core.KindOf(err) != core.ErrUnavailable || report.Deleted > 0 || report.Stopped == "" {
		t.Errorf("without its database the run ended with %v, %+v", err, report)
	}
}

// checkRefers asks for all keys again, as right before a deletion.
func (d table) checkRefers(t *testing.T, name string, sources []sweep.Source, want map[string]string, referred []string) {
	t.Helper()
	keys := append(slices.Collect(maps.Keys(want)), referred...)
	got := map[string]bool{}
	for _, source := range sources {
		for batch := range slices.Chunk(keys, 50) {
			some, err := source.Refers(t.Context(), batch)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, key := range some {
				got[key] = true
			}
		}
	}
	for _, key := range keys {
		if refers := want[key] != "orphan"; got[key] != refers {
			t.Errorf("%s: %q is referred to: %t, want %t", name, key, got[key], refers)
		}
	}
}

// checkStretches reads bare keys in the order of bytes, whatever the column's
// collation.
func (d table) checkStretches(t *testing.T, referred []string) {
	t.Helper()
	source := sweep.SQL(d.DB, sweep.SQLColumn{Column: "odd table.bare", Dialect: d.dialect, KeysOnly: true, Sorted: true})
	want := []string{"keys/gone.txt"}
	for _, key := range referred {
		if strings.HasPrefix(key, "keys/") {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	for i, after := range want {
		for j := i; j <= len(want); j++ {
			upto, end := "", len(want)
			if j < len(want) {
				upto, end = want[j], j+1
			}
			var got []string
			for key, err := range source.Between(t.Context(), after, upto) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, key)
			}
			if !slices.Equal(got, want[i+1:end]) {
				t.Errorf("behind %q up to %q are %q, want %q", after, upto, got, want[i+1:end])
			}
		}
	}
}
