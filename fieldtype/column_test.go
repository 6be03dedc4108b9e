package fieldtype_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

var (
	_ driver.Valuer = fieldtype.File[photo]{}
	_ driver.Valuer = fieldtype.Files[photo]{}
	_ sql.Scanner   = (*fieldtype.File[photo])(nil)
	_ sql.Scanner   = (*fieldtype.Files[photo])(nil)
)

const catDocument = `{"v":1,"key":"2026/h5zl3x7q.png","name":"Zoë's \"cat\" & <dog>.png","size":123456,"type":"image/png","crc32c":"yZRlqg==","w":640,"h":480}`

// bare is what a column says of a file by its key alone.
func bare(t testing.TB, bucket, key string) core.Object {
	t.Helper()
	k := mustKey(t, key)
	return core.Object{Bucket: bucket, Key: k, Name: k.Base()}
}

func mustScan(t testing.TB, into sql.Scanner, src any) {
	t.Helper()
	if err := into.Scan(src); err != nil {
		t.Fatalf("scan %.100v: %v", src, err)
	}
}

func mustValue(t testing.TB, v driver.Valuer) driver.Value {
	t.Helper()
	value, err := v.Value()
	if err != nil {
		t.Fatal(err)
	}
	if !driver.IsValue(value) {
		t.Fatalf("%T is no type a driver takes", value)
	}
	return value
}

func TestAColumnHoldsADocumentOrTheKeyAsTheFieldDeclares(t *testing.T) {
	t.Parallel()
	object := cat(t, "photos")
	for _, c := range []struct {
		name string
		file driver.Valuer
		want driver.Value
	}{
		{"a document", fieldtype.Of[photo](object), catDocument},
		{"a key", fieldtype.Of[scan](object), "2026/h5zl3x7q.png"},
		{"no file as a document", fieldtype.File[photo]{}, nil},
		{"no file as a key", fieldtype.File[scan]{}, nil},
		{"a list of documents", fieldtype.Files[photo]{fieldtype.Of[photo](object), fieldtype.Of[photo](bare(t, "photos", "b.png"))}, "[" + catDocument + `,{"v":1,"key":"b.png","name":"b.png","size":0}]`},
		{"a list of keys", fieldtype.Files[scan]{fieldtype.Of[scan](object), fieldtype.Of[scan](bare(t, "photos", `{"b`))}, `["2026/h5zl3x7q.png","{\"b"]`},
		{"a list with gaps", fieldtype.Files[scan]{{}, fieldtype.Of[scan](object), {}}, `["2026/h5zl3x7q.png"]`},
		{"a list of nothing but gaps", fieldtype.Files[photo]{{}, {}}, nil},
		{"an empty list", fieldtype.Files[photo]{}, nil},
		{"no list", fieldtype.Files[photo](nil), nil},
	} {
		if got := mustValue(t, c.file); got != c.want {
			t.Errorf("%s:\n got %#v\nwant %#v", c.name, got, c.want)
		}
	}
}

func TestEitherFormOfColumnIsReadByEitherField(t *testing.T) {
	t.Parallel()
	document, key := cat(t, "photos"), bare(t, "photos", "2026/h5zl3x7q.png")
	t.Run("a field of documents", func(t *testing.T) { t.Parallel(); mustReadBoth[photo](t, document, key) })
	t.Run("a field of keys", func(t *testing.T) { t.Parallel(); mustReadBoth[scan](t, document, key) })
}

func mustReadBoth[S fieldtype.Spec](t *testing.T, document, key core.Object) {
	t.Helper()
	for _, c := range []struct {
		column string
		want   core.Object
	}{
		{catDocument, document},
		{`{"h": 480, "v": 1, "w": 640, "key": "2026/h5zl3x7q.png", "name": "Zoë's \"cat\" & <dog>.png", "size": 123456, "type": "image/png", "crc32c": "yZRlqg=="}`, document}, // as PostgreSQL's jsonb gives it back
		{`{"v":1,"bucket":"photos","key":"2026/h5zl3x7q.png","name":"h5zl3x7q.png","size":0}`, key},
		{"2026/h5zl3x7q.png", key},
	} {
		var fromText, fromBytes fieldtype.File[S]
		mustScan(t, &fromText, c.column)
		mustScan(t, &fromBytes, []byte(c.column))
		mustEqual(t, "text "+c.column, fromText.Object(), c.want)
		mustEqual(t, "bytes "+c.column, fromBytes.Object(), c.want)

		var list fieldtype.Files[S]
		element := c.column
		if !strings.HasPrefix(element, "{") {
			element = mustJSON(t, element)
		}
		mustScan(t, &list, []byte("["+element+`, "b.png" ]`))
		if len(list) != 2 {
			t.Fatalf("a list of two has %d files", len(list))
		}
		mustEqual(t, "list "+c.column, list[0].Object(), c.want)
	}
}

func TestNullAndEmptyColumnsAreNoFile(t *testing.T) {
	t.Parallel()
	for _, src := range []any{nil, "", []byte{}, []byte(nil)} {
		f, l := fieldtype.Of[photo](cat(t, "photos")), fieldtype.Files[photo]{fieldtype.Of[photo](cat(t, "photos"))}
		mustScan(t, &f, src)
		mustScan(t, &l, src)
		if !f.IsZero() || l != nil {
			t.Errorf("%#v leaves %+v and %+v, want no files", src, f, l)
		}
	}
	var l fieldtype.Files[photo]
	mustScan(t, &l, "[]")
	if len(l) != 0 {
		t.Errorf("an empty array gives %+v", l)
	}
}

func TestADatabaseMayUseItsBufferAgain(t *testing.T) {
	t.Parallel()
	for _, column := range []string{catDocument, "2026/h5zl3x7q.png"} {
		buffer, list := []byte(column), []byte("["+catDocument+`,"b.png"]`)
		var f fieldtype.File[photo]
		var l fieldtype.Files[photo]
		mustScan(t, &f, buffer)
		mustScan(t, &l, list)
		want, wantList := mustValue(t, f), mustValue(t, l)
		for _, b := range [][]byte{buffer, list} {
			for i := range b {
				b[i] = 'x'
			}
		}
		mustEqual(t, "the file", mustValue(t, f), want)
		mustEqual(t, "the list", mustValue(t, l), wantList)
	}
}

func TestO14AColumnThatTheFieldCannotHaveWrittenIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 1<<20)
	for name, column := range map[string]any{
		"another bucket":               `{"v":1,"bucket":"posters","key":"a.png","size":1}`,
		"an absolute key":              `{"v":1,"key":"/etc/passwd","size":1}`,
		"a key that leaves its folder": `{"v":1,"key":"a/../../b","size":1}`,
		"a key with backslashes":       `{"v":1,"key":"a\\..\\b","size":1}`,
		"a key with a NUL":             `{"v":1,"key":"a\u0000b","size":1}`,
		"an empty key":                 `{"v":1,"key":"","size":1}`,
		"no key":                       `{"v":1,"size":1}`,
		"no version":                   `{"key":"a.png","size":1}`,
		"an unknown version":           `{"v":2,"key":"a.png","size":1}`,
		"version zero":                 `{"v":0,"key":"a.png","size":1}`,
		"a version in text":            `{"v":"1","key":"a.png","size":1}`,
		"a key that is a number":       `{"v":1,"key":7,"size":1}`,
		"a key that is an object":      `{"v":1,"key":{"s":"a.png"},"size":1}`,
		"a size in text":               `{"v":1,"key":"a.png","size":"1"}`,
		"a size with a fraction":       `{"v":1,"key":"a.png","size":1.5}`,
		"a size beyond 64 bits":        `{"v":1,"key":"a.png","size":9223372036854775808}`,
		"a negative size":              `{"v":1,"key":"a.png","size":-1}`,
		"a negative width":             `{"v":1,"key":"a.png","size":1,"w":-1}`,
		"a negative height":            `{"v":1,"key":"a.png","size":1,"h":-1}`,
		"an unknown member":            `{"v":1,"key":"a.png","size":1,"url":"http://storage.example/"}`,
		"a member twice":               `{"v":1,"key":"a.png","key":"b.png","size":1}`,
		"a member in another case":     `{"v":1,"Key":"a.png","size":1}`,
		"an escaped member":            `{"v":1,"\u006bey":"a.png","size":1}`,
		"half a character":             `{"v":1,"key":"a\ud83d.png","size":1}`,
		"the other half":               `{"v":1,"key":"a\ude00\ud83d.png","size":1}`,
		"half of an escape":            `{"v":1,"key":"a\u00e","size":1}`,
		"an unknown escape":            `{"v":1,"key":"a\x41","size":1}`,
		"a character over two strings": "{\"v\":1,\"key\":\"a\xc3\",\"name\":\"\xa9\",\"size\":1}",
		"a line end in a string":       "{\"v\":1,\"key\":\"a\n\",\"size\":1}",
		"a key of null":                `{"v":1,"key":null,"size":1}`,
		"an orientation of 9":          `{"v":1,"key":"a.png","size":1,"o":9}`,
		"a number with a nought":       `{"v":01,"key":"a.png","size":1}`,
		"a comma too many":             `{"v":1,"key":"a.png",}`,
		"a document and more":          `{"v":1,"key":"a.png","size":1}{"v":1}`,
		"a document and text":          `{"v":1,"key":"a.png","size":1} x`,
		"a document cut off":           catDocument[:len(catDocument)/2],
		"an empty object":              `{}`,
		"a brace":                      `{`,
		"bytes that are not UTF-8":     "{\"v\":1,\"key\":\"a\xff.png\",\"size\":1}",
		"a bare absolute key":          "/etc/passwd",
		"a bare key with dots":         "../b.png",
		"a bare Windows path":          `C:\b.png`,
		"a bare key with a line end":   "a\nb",
		"a bare key of bytes":          "\xff\xfe",
		"a megabyte":                   long,
		"a megabyte in bytes":          []byte(long),
		"a megabyte in a document":     `{"v":1,"key":"a.png","size":1,"name":"` + long + `"}`,
		"a megabyte of brackets":       strings.Repeat("[", 1<<20),
		"a number of the database":     int64(7),
		"a boolean of the database":    true,
		"a struct":                     struct{}{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fieldtype.Of[photo](cat(t, "photos"))
			mustKind(t, "scan", f.Scan(column), core.ErrInvalid)
			mustEqual(t, "the file after the refusal", f.Object(), cat(t, "photos"))
			if text, ok := column.(string); ok {
				column = []byte(text)
			}
			mustKind(t, "scan bytes", f.Scan(column), core.ErrInvalid)

			l := fieldtype.Files[photo]{f}
			for _, src := range []any{column, fmt.Appendf(nil, "[%s]", column), fmt.Appendf(nil, "[%s,%s]", catDocument, column)} {
				mustKind(t, "scan a list", l.Scan(src), core.ErrInvalid)
				mustEqual(t, "the list after the refusal", l, fieldtype.Files[photo]{f})
			}
		})
	}
}

func TestO14AColumnOfOtherJSONIsNotReadAsAKey(t *testing.T) {
	t.Parallel()
	for _, column := range []string{`[` + catDocument + `]`, `["a.png"]`, `[]`, `"a.png"`, `""`} {
		f := fieldtype.Of[photo](cat(t, "photos"))
		mustKind(t, column, f.Scan(column), core.ErrInvalid)
		mustEqual(t, column+": the file after the refusal", f.Object(), cat(t, "photos"))
	}
}

func TestO14AListThatTheFieldCannotHaveWrittenIsRefused(t *testing.T) {
	t.Parallel()
	for name, column := range map[string]string{
		"null":                   `null`,
		"a key":                  `a.png`,
		"a quoted key":           `"a.png"`,
		"a document":             catDocument,
		"an element of null":     `[null]`,
		"an empty element":       `[""]`,
		"a number":               `[1]`,
		"a list in the list":     `[["a.png"]]`,
		"a document in text":     `["` + strings.ReplaceAll(`{"v":1,"bucket":"posters","key":"/a","size":1}`, `"`, `\"`) + `", "/a"]`,
		"a list and more":        `["a.png"]["b.png"]`,
		"a list cut off":         `["a.png","b.p`,
		"more than a megabyte":   `["` + strings.Repeat("a", 1<<20) + `"]`,
		"an element of 128 KiB":  `["` + strings.Repeat("a", 128<<10) + `"]`,
		"an absolute second key": `["a.png","/a.png"]`,
	} {
		l := fieldtype.Files[photo]{fieldtype.Of[photo](cat(t, "photos"))}
		mustKind(t, name, l.Scan(column), core.ErrInvalid)
		mustEqual(t, name+": the list after the refusal", l, fieldtype.Files[photo]{fieldtype.Of[photo](cat(t, "photos"))})
	}
}

func TestAKeyThatLooksLikeJSONComesBack(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		`{a}.png`, `{"v":1}`, `{`, `["a.png"]`, `[1]/a.png`, `"a.png"`, `"`, `[draft] a.png`, `null`, `7`, ` {"v":1}`, `grüße/名前 (1).png`, `a\b.png`, strings.Repeat("a/", 511) + "ab",
	} {
		f := fieldtype.Of[scan](bare(t, "photos", key))
		var back fieldtype.File[scan]
		mustScan(t, &back, mustValue(t, f))
		mustEqual(t, key, back.Object(), f.Object())

		var list fieldtype.Files[scan]
		mustScan(t, &list, mustValue(t, fieldtype.Files[scan]{f, f}))
		mustEqual(t, key+", in a list", list, fieldtype.Files[scan]{f, f})
	}
}

func TestEveryAttributeOfADocumentComesBack(t *testing.T) {
	t.Parallel()
	full := cat(t, "photos")
	objects := []core.Object{full, bare(t, "photos", "a.png")}
	for _, change := range []func(*core.Object){
		func(o *core.Object) { o.Name = "" },
		func(o *core.Object) { o.Name = "a\u2028b\tc\\\"\u202e</script>.png" },
		func(o *core.Object) { o.Size = core.Unlimited },
		func(o *core.Object) { o.Size = 0 },
		func(o *core.Object) { o.Type = "" },
		func(o *core.Object) { o.CRC32C = "" },
		func(o *core.Object) { o.Width, o.Height = 0, 0 },
		func(o *core.Object) { o.Width = 1 << 30 },
		func(o *core.Object) { o.Orientation, o.Blurhash = 6, "LEHV6nWB2yk8pyo0adR*.7kCMdnj" },
		func(o *core.Object) { o.Name = "\x00\x01\b\f\n\r\t\x1f\x7f\"\\/\u2028\u2029\U0001F600" },
		func(o *core.Object) { o.Key = mustKey(t, strings.Repeat("<>&/", 255)+"end") },
	} {
		o := full
		change(&o)
		objects = append(objects, o)
	}
	var list fieldtype.Files[photo]
	for _, o := range objects {
		var back fieldtype.File[photo]
		mustScan(t, &back, mustValue(t, fieldtype.Of[photo](o)))
		mustEqual(t, "file", back.Object(), o)
		list = append(list, back)
	}
	var back fieldtype.Files[photo]
	mustScan(t, &back, mustValue(t, list))
	mustEqual(t, "list", back, list)
}

func TestAColumnDoesNotKeepWhatChangesWithoutIt(t *testing.T) {
	t.Parallel()
	o := cat(t, "photos")
	o.ETag, o.VersionID, o.Modified, o.Metadata = "etag", "version", noon, map[string]string{"owner": "zoe"}
	mustEqual(t, "the column", mustValue(t, fieldtype.Of[photo](o)), driver.Value(catDocument))
}

func TestWhatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	t.Parallel()
	long := cat(t, "photos")
	long.Name = strings.Repeat("n", 64<<10)
	_, err := fieldtype.Of[photo](long).Value()
	mustKind(t, "a document of more than 64 KiB", err, core.ErrInvalid)
	_, err = fieldtype.Files[photo]{fieldtype.Of[photo](long)}.Value()
	mustKind(t, "a list with it", err, core.ErrInvalid)

	long.Name = strings.Repeat("n", 32<<10)
	list := make(fieldtype.Files[photo], 40)
	for i := range list {
		list[i] = fieldtype.Of[photo](long)
	}
	_, err = list.Value()
	mustKind(t, "a list of more than 1 MiB", err, core.ErrInvalid)

	_, err = fieldtype.Of[photo](cat(t, "posters")).Value()
	mustKind(t, "a file of another bucket", err, core.ErrConfig)
	_, err = fieldtype.Files[photo]{fieldtype.Of[photo](cat(t, "posters"))}.Value()
	mustKind(t, "a list with it", err, core.ErrConfig)
}

func TestGORMTakesATextColumn(t *testing.T) {
	t.Parallel()
	for _, v := range []interface{ GormDataType() string }{
		fieldtype.File[photo]{},
		&fieldtype.File[photo]{}, fieldtype.Files[photo](nil), &fieldtype.Files[photo]{},
		photoFile{},
		fieldtype.Image[photo]{},
		fieldtype.File[scan]{},
		fieldtype.File[undeclared]{},
	} {
		if got := v.GormDataType(); got != "text" {
			t.Errorf("%T: got %q, want %q", v, got, "text")
		}
	}
}

func TestGORMTakesAColumnOfJSONBWhereTheFieldSaysSo(t *testing.T) {
	t.Parallel()
	for _, v := range []interface{ GormDataType() string }{fieldtype.File[portrait]{}, fieldtype.Image[portrait]{}, fieldtype.Files[portrait]{}} {
		if got := v.GormDataType(); got != "jsonb" {
			t.Errorf("%T: got %q, want jsonb", v, got)
		}
	}
	mustEqual(t, "value", mustValue(t, fieldtype.Of[portrait](cat(t, "photos"))), driver.Value(catDocument))
}

// FuzzDocument holds what is read in place against encoding/json: whatever is
// taken, it has to read the same.
func FuzzDocument(f *testing.F) {
	f.Add(catDocument)
	f.Add(`{"v":1,"key":"a\u00e9\ud83d\ude00\/\"","name":null,"size":-0,"w":7,"h":5,"o":8,"blur":"x","bucket":"photos"}`)
	f.Fuzz(func(t *testing.T, column string) {
		var ours, bytewise fieldtype.File[photo]
		err := ours.Scan(column)
		if errBytes := bytewise.Scan([]byte(column)); (err == nil) != (errBytes == nil) {
			t.Fatalf("%q: as text %v, as bytes %v", column, err, errBytes)
		}
		mustEqual(t, "as bytes", bytewise, ours)
		if err != nil || !strings.HasPrefix(column, "{") {
			return
		}
		var d struct {
			V, Size, W, H, O              int64
			Bucket, Key, Name, Type, Blur string
			CRC32C                        string `json:"crc32c"`
		}
		if err := json.Unmarshal([]byte(column), &d); err != nil {
			t.Fatalf("%q is taken, and encoding/json says %v", column, err)
		}
		o := ours.Object()
		mustEqual(t, column,
			[]any{o.Key.String(), o.Name, o.Size, o.Type, o.CRC32C, int64(o.Width), int64(o.Height), int64(o.Orientation), o.Blurhash},
			[]any{d.Key, d.Name, d.Size, d.Type, d.CRC32C, d.W, d.H, d.O, d.Blur})
		value := mustValue(t, ours).(string)
		if !json.Valid([]byte(value)) {
			t.Fatalf("%q is no JSON", value)
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, column := range []string{
		catDocument, "[" + catDocument + `,"b.png"]`, "2026/h5zl3x7q.png", `["a.png"]`, `{"v":1,"key":"a"}`, `{"v":1,"key":"a","name":"\ud800"}`,
		`{"V":1,"KEY":"a","Size":3}`, `{"v":1,"key":"{\"v\":1}"}`, `"a"`, `[`, `[1]`, `{`, `null`, "../a", "/a", "a\x00", "\xff", " {}", `[null]`, `[""]`,
	} {
		f.Add(column)
	}
	f.Fuzz(func(t *testing.T, column string) {
		scanAndBack[photo](t, column)
		scanAndBack[scan](t, column)
	})
}

// scanAndBack checks that what Scan accepts lies in the field's bucket under a
// safe key, and is written so that it is read as the same.
func scanAndBack[S fieldtype.Spec](t *testing.T, column string) {
	t.Helper()
	var s S
	bucket, form := s.FileField().Bucket().Name(), s.FileField().Config().Column
	same := func(got, want core.Object) {
		mustEqual(t, "key read again", got.Key, want.Key)
		if form == core.ColumnDocument {
			mustEqual(t, "read again", got, want)
		}
	}
	check := func(o core.Object) {
		mustEqual(t, "bucket", o.Bucket, bucket)
		mustEqual(t, "key", mustKey(t, o.Key.String()), o.Key)
	}

	var f, again fieldtype.File[S]
	if err := f.Scan([]byte(column)); err != nil {
		mustKind(t, "refused", err, core.ErrInvalid)
		mustEqual(t, "after the refusal", f, fieldtype.File[S]{})
	} else if !f.IsZero() {
		check(f.Object())
		mustScan(t, &again, mustValue(t, f))
		same(again.Object(), f.Object())
	}

	var l, twice fieldtype.Files[S]
	if err := l.Scan(column); err != nil {
		mustKind(t, "list refused", err, core.ErrInvalid)
		return
	}
	mustScan(t, &twice, mustValue(t, l))
	if len(twice) != len(l) {
		t.Fatalf("a list of %d files comes back as %d", len(l), len(twice))
	}
	for i := range l {
		check(l[i].Object())
		same(twice[i].Object(), l[i].Object())
	}
}

func BenchmarkScanDocument(b *testing.B) { benchmarkScan[photo](b, catDocument) }
func BenchmarkScanKey(b *testing.B)      { benchmarkScan[scan](b, "2026/h5zl3x7q.png") }

func benchmarkScan[S fieldtype.Spec](b *testing.B, column string) {
	b.Helper()
	var src any = []byte(column) // as a driver hands it over
	var f fieldtype.File[S]
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Scan(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanTwentyDocuments(b *testing.B) {
	var src any = []byte("[" + strings.Repeat(catDocument+",", 19) + catDocument + "]")
	var l fieldtype.Files[photo]
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Scan(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValueDocument(b *testing.B) { benchmarkValue(b, fieldtype.Of[photo](cat(b, "photos"))) }

func BenchmarkValueKey(b *testing.B) { benchmarkValue(b, fieldtype.Of[scan](cat(b, "photos"))) }

func benchmarkValue(b *testing.B, v driver.Valuer) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Value(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshalToken(b *testing.B) {
	token := photos.Sign(cat(b, "photos"), "")
	var f fieldtype.File[photo]
	b.ReportAllocs()
	for b.Loop() {
		if err := f.UnmarshalParam(token); err != nil {
			b.Fatal(err)
		}
	}
}
