package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/sweep"
)

func collect(keys iter.Seq2[string, error]) (got []string, err error) {
	for key, err := range keys {
		if err != nil {
			return got, err
		}
		got = append(got, key)
	}
	return got, nil
}

func TestLinesAreReadAsColumnsAreWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, input, end string
		want             []string
		says             string
	}{
		{"keys", "a.txt\nb c/ü.txt\n", "", []string{"a.txt", "b c/ü.txt"}, ""},
		{"nothing", "", "", nil, ""},
		{"empty lines, and Windows'", "\na.txt\r\n\n", "", []string{"a.txt"}, ""},
		{"documents", `{"v":1,"key":"a&\"b.txt","name":"x","size":3}` + "\n", "", []string{`a&"b.txt`}, ""},
		{"documents as jsonb writes them", `{"v": 1, "key": "a.txt", "size": 3}` + "\n", "", []string{"a.txt"}, ""},
		{"lists", `["a.txt",{"v":1,"key":"b.txt"},null]` + "\n", "", []string{"a.txt", "b.txt"}, ""},
		{"a key in quotes", `"a.txt"` + "\n", "", []string{"a.txt", `"a.txt"`}, ""},
		{"an empty list", "[]\n", "", nil, ""},
		{"a key that looks like a list", "[draft] a.txt\n", "", []string{"[draft] a.txt"}, ""},
		{"with an end", "a.txt\nEND\n", "END", []string{"a.txt"}, ""},
		{"without its end", "a.txt\n", "END", nil, "cut off"},
		{"nothing, without its end", "", "END", nil, "cut off"},
		{"with more behind its end", "END\na.txt\n", "END", nil, "behind the end"},
		{"cut off in a line", "a.txt\nb", "", nil, "cut off"},
		{"a document of another version", `{"v":2,"key":"a.txt"}` + "\n", "", nil, "version 1"},
		{"a document without a key", `{"v":1}` + "\n", "", nil, "version 1"},
		{"a document that was cut off", `{"v":1,"key":"a.t` + "\n", "", nil, "not JSON"},
		{"a list of something else", "[1,2]\n", "", nil, "neither a key nor a document"},
		{"a document that is not UTF-8", "{\"v\":1,\"key\":\"\xff\"}\n", "", nil, "not UTF-8"},
		{"a line without end", strings.Repeat("x", 2<<20), "", nil, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := collect(sweep.Lines("input", strings.NewReader(c.input), c.end).Keys(t.Context()))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the error is %v, want %q in it", err, c.says)
				}
				return
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("read %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestInputThatFailsIsNoEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	source := sweep.Lines("input", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a.txt\nb.txt\n"))), "")
	if _, err := collect(source.Keys(t.Context())); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("the error is %v, want the reader's", err)
	}
	source = sweep.Lines("input", iotest.ErrReader(broken), "")
	if _, err := collect(source.Keys(t.Context())); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want the reader's", err)
	}
	if _, err := collect(source.Keys(t.Context())); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second reading says %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := collect(sweep.Lines("input", strings.NewReader("a\n"), "").Keys(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("under a context that ended: %v", err)
	}
}

func TestKeysAreTheAppsOwn(t *testing.T) {
	t.Parallel()
	key := mustKey(t, "a.txt")
	source := sweep.Keys("rows", func(context.Context) iter.Seq2[core.Key, error] {
		return func(yield func(core.Key, error) bool) {
			_ = yield(key, nil) && yield(core.Key{}, errors.New("down")) && yield(key, nil)
		}
	})
	if got, err := collect(source.Keys(t.Context())); !slices.Equal(got, []string{"a.txt"}) || err == nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestAManifestRefersToStaticFiles(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.put(t, "static/css/app.css", "static/css/app.55e7cbb9ba48.css", "static/css/app.55e7cbb9ba48.css.gz", "static/css/app.old.css", "static/js/x.js")
	manifest := mustKey(t, "static/staticfiles.json")
	write := func(content string) {
		if _, err := f.bucket.Save(t.Context(), manifest.String(), core.Upload{Body: strings.NewReader(content), Replace: true}); err != nil {
			t.Fatal(err)
		}
	}
	c := f.config(sweep.Delete)
	c.Owned, c.Prefix, c.CheckMissing = []string{"static/"}, "static/", true
	c.References = []sweep.Source{sweep.Manifest(f.bucket, manifest)}
	for _, broken := range []string{"{", "[]", "{}", `{"paths": 3}`} {
		write(broken)
		_, _, err := run(t, c)
		wantKind(t, broken, err, core.ErrUnavailable)
	}
	write(`{"paths": {"css/app.css": "css/app.55e7cbb9ba48.css", "img/gone.png": "img/gone.123.png"}, "version": "1.1", "hash": "0"}`)
	_, found := mustRun(t, c)
	wantOutcomes(t, found, map[string]string{
		"static/css/app.old.css": "orphan deleted", "static/js/x.js": "orphan deleted",
	})
	if err := f.bucket.Delete(t.Context(), manifest); err != nil {
		t.Fatal(err)
	}
	_, _, err := run(t, c)
	wantKind(t, "no manifest", err, core.ErrNotFound)
	f.wantObjects(t, "afterwards", "static/css/app.css", "static/css/app.55e7cbb9ba48.css", "static/css/app.55e7cbb9ba48.css.gz")
}

// attachments is a field of several files, to see what fieldtype writes.
type attachments struct{}

var attachmentsField *core.Field

func (attachments) FileField() *core.Field { return attachmentsField }

func FuzzWhatAColumnHoldsIsFoundAgain(f *testing.F) {
	store, err := core.Open(core.Config{Endpoint: "127.0.0.1:1", AccessKey: "a", SecretKey: "not a real secret", SigningKeys: []core.Secret{"a key for tests, long enough"}})
	if err != nil {
		f.Fatal(err)
	}
	fields := map[core.Column]*core.Field{}
	for _, form := range []core.Column{core.ColumnDocument, core.ColumnKey} {
		fields[form] = store.Field(core.FieldConfig{Name: "file", Model: string('a' + rune(form)), Bucket: "photos", Column: form})
	}
	for _, seed := range append(awkward, `a"b\c.txt`, "{a}.txt", "[a].txt", `"a".txt`, `["a"]`, "a\u2028b", "<&>.txt", "a%b_c!.txt", "null", "1") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := core.ParseKey(text)
		if err != nil {
			return
		}
		for form, field := range fields {
			attachmentsField = field
			one := fieldtype.Of[attachments](core.Object{Bucket: "photos", Key: key, Name: "x", Size: 1})
			value, err := one.Value()
			if err != nil {
				t.Fatal(err)
			}
			list, err := fieldtype.Files[attachments]{one, one}.Value()
			if err != nil {
				t.Fatal(err)
			}
			for _, column := range []any{value, list} {
				got, err := collect(sweep.Lines("", strings.NewReader(column.(string)+"\n"), "").Keys(t.Context()))
				if err != nil || !slices.Contains(got, text) {
					t.Errorf("form %d: of %s came %q, %v", form, column, got, err)
				}
			}
		}
	})
}

func FuzzColumnsAreReadOrRefused(f *testing.F) {
	for _, seed := range []string{"", "a", "{}", "[]", `{"v":1,"key":"a"}`, `[{"v":1,"key":"a"}]`, `["a",null]`, `"a"`, "[[]]", "{\"key\":\"\xff\"}", `{"v":1,"KEY":"a"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\r\n") || text == "" || len(text) > 1<<16 {
			return
		}
		got, err := collect(sweep.Lines("", strings.NewReader(text+"\n"), "").Keys(t.Context()))
		if err == nil && len(got) == 0 && text[0] != '[' {
			t.Errorf("%q refers to nothing, and that is no error", text)
		}
		if err != nil && json.Valid([]byte(text)) && utf8.ValidString(text) && text[0] == '"' {
			t.Errorf("%q is refused: %v", text, err)
		}
	})
}
