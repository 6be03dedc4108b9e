package fieldtype_test

import (
	"database/sql/driver"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/filefield/filefield/fieldtype"
)

// TestScanAndValueAllocateOnce runs by itself: AllocsPerRun counts the whole
// program's allocations.
func TestScanAndValueAllocateOnce(t *testing.T) {
	const escaped = `{"v":1,"key":"2026/gr\u00fc\u00dfe.png","name":"Zo\u00eb \ud83d\ude00\\\".png","size":1,"type":"image/png","blur":"LEHV6nWB2yk8pyo0adR*.7kCMdnj"}`
	for name, src := range map[string]any{
		"a document":                  []byte(catDocument),
		"a document in a string":      catDocument,
		"a document of jsonb":         []byte(strings.ReplaceAll(strings.ReplaceAll(catDocument, `":`, `": `), `,"`, `, "`)),
		"a document with escapes":     []byte(escaped),
		"a document of an older form": []byte(`{"v":1,"bucket":"photos","key":"a.png","size":0}`),
		"a key":                       []byte("2026/Übersicht Straße.png"),
		"a key in a string":           "2026/h5zl3x7q.png",
		"NULL":                        nil,
	} {
		var f fieldtype.File[photo]
		wantAllocs(t, "Scan of "+name, func() error { return f.Scan(src) })
		var i fieldtype.Image[photo]
		wantAllocs(t, "Scan of an Image, "+name, func() error { return i.Scan(src) })
		var value driver.Value
		wantAllocs(t, "Value after "+name, func() (err error) { value, err = f.Value(); return err })
		wantAllocs(t, "Value of an Image after "+name, func() (err error) { value, err = i.Value(); return err })
		_ = value
	}
	for n := range 20 { // every size of block
		o := cat(t, "photos")
		o.Name = strings.Repeat("n", n*90)
		f, k := fieldtype.Of[photo](o), fieldtype.Of[scan](o)
		var value driver.Value
		wantAllocs(t, fmt.Sprintf("Value with a name of %d bytes", len(o.Name)), func() (err error) { value, err = f.Value(); return err })
		wantAllocs(t, "Value of a key", func() (err error) { value, err = k.Value(); return err })
		_ = value
	}
}

func wantAllocs(t *testing.T, what string, run func() error) {
	t.Helper()
	if n := testing.AllocsPerRun(100, func() {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%s: %v allocations, want at most 1", what, n)
	}
}

// TestValuesOutliveTheirFilesAndTheCollector holds on to values while the
// collector runs: their text and its bytes are one piece of memory.
func TestValuesOutliveTheirFilesAndTheCollector(t *testing.T) {
	t.Parallel()
	values := make([]driver.Value, 0, 400)
	var wants []string
	for n := range 400 {
		o := cat(t, "photos")
		o.Name = strings.Repeat(string(rune('a'+n%26)), n*6)
		values = append(values, mustValue(t, fieldtype.Of[photo](o)))
		wants = append(wants, fmt.Sprintf(`"name":"%s"`, o.Name))
		if n%50 == 0 {
			runtime.GC()
		}
	}
	runtime.GC()
	for n, v := range values {
		text, ok := v.(string)
		if n > 0 && (!ok || !strings.Contains(text, wants[n])) {
			t.Fatalf("value %d is %.100v, want one with %.100s", n, v, wants[n])
		}
		var back fieldtype.File[photo]
		mustScan(t, &back, v)
	}
}

func BenchmarkValueKeyOfARow(b *testing.B) {
	var f fieldtype.File[scan]
	mustScan(b, &f, "2026-11-22/cat.png")
	benchmarkValue(b, f)
}
