package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"maps"
	"slices"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

// copier makes variants that are the image itself.
type copier struct{ content []byte }

func (copier) CheckVariant(core.Variant) error { return nil }

func (c copier) MakeVariants(ctx context.Context, f *core.Field, original core.Object, names []string) error {
	stored, err := f.Stat(ctx, original.Key)
	for _, name := range names {
		if err == nil {
			_, err = f.StoreVariant(ctx, stored, name, c.content)
		}
	}
	return err
}

// gallery is a fixture whose field has two variants.
func gallery(t testing.TB, server *s3test.Server) *fixture {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	store := openStore(t, server, server.Endpoint)
	f := &fixture{server: server, store: store, rows: newTable()}
	f.field = store.Field(core.FieldConfig{
		Name: "photo", Bucket: server.Bucket(t), UploadTo: core.Prefix("files", core.KeepName), VariantMaker: copier{b.Bytes()},
		Variants: []core.Variant{{Name: "page"}, {Name: "thumb", Width: 1}},
	})
	f.bucket = f.field.Bucket()
	for _, name := range []string{"a.png", "b.png", "c.png", "x.png", "y.png"} {
		if _, err := f.field.Save(t.Context(), core.Upload{Body: bytes.NewReader(b.Bytes()), Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// with returns keys with those of their variants.
func (f *fixture) with(t testing.TB, keys ...string) []string {
	t.Helper()
	all := slices.Clone(keys)
	for _, key := range keys {
		parsed, err := core.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"page", "thumb"} {
			v, err := f.field.Variant(core.Object{Key: parsed}, name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, v.Key.String())
		}
	}
	return all
}

func TestVariantsStayWithTheirOriginalsAndGoWithThem(t *testing.T) {
	t.Parallel()
	kept := []string{"files/a.png", "files/b.png", "files/c.png"}
	for name, merge := range map[string]bool{"a set": false, "a merge in small windows": true} {
		for _, left := range []bool{false, true} { // variants whose original went without them
			t.Run(fmt.Sprint(name, left), func(t *testing.T) {
				t.Parallel()
				f := gallery(t, s3test.Start(t))
				f.rows.add(kept...)
				if left {
					client := f.server.Client(t)
					if err := client.RemoveObject(t.Context(), f.bucket.Name(), "files/x.png", minio.RemoveObjectOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				c := f.config(sweep.Delete)
				if merge {
					c.Window = 2
					c.References[0].Sorted, c.References[0].Between = true, f.rows.between
				}
				report := mustRunUntilDone(t, c)
				f.wantObjects(t, "afterwards", f.with(t, kept...)...)
				if report.Foreign != 0 {
					t.Errorf("%d variants were taken for somebody else's", report.Foreign)
				}
			})
		}
	}
}

// mustRunUntilDone sweeps twice: where windows are small, a variant may be seen
// while its original, which goes in the same run, still stands.
func mustRunUntilDone(t testing.TB, c sweep.Config) sweep.Report {
	t.Helper()
	report, _ := mustRun(t, c)
	mustRun(t, c)
	return report
}

func TestAQuarantineHoldsVariantsWithTheirOriginal(t *testing.T) {
	t.Parallel()
	for name, isolation := range map[string]sweep.Isolation{"by tag": sweep.ByTag, "by prefix": sweep.ByPrefix} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := gallery(t, s3test.Start(t))
			f.rows.add("files/a.png", "files/b.png", "files/c.png", "files/y.png")
			all := f.with(t, "files/a.png", "files/b.png", "files/c.png", "files/x.png", "files/y.png")
			c := f.config(sweep.Purge)
			c.Isolation = isolation
			mustRun(t, c)
			f.rows.add("files/x.png") // it has a row after all
			for range 2 {
				_, found := mustRun(t, c)
				for key, one := range found {
					if one.Outcome == sweep.Deleted {
						t.Errorf("%s was deleted", key)
					}
				}
			}
			f.wantObjects(t, "after its row came back", all...)
		})
	}
}

func TestARowThatComesBackKeepsTheVariantsToo(t *testing.T) {
	t.Parallel()
	f := gallery(t, s3test.Start(t))
	f.rows.add("files/a.png", "files/b.png", "files/c.png", "files/y.png")
	c := f.config(sweep.Delete)
	c.References[0].Refers = func(_ context.Context, keys []string) ([]string, error) {
		for _, key := range keys {
			if key != "files/x.png" {
				return nil, errors.New("a row was asked for by the key of a variant: " + key)
			}
		}
		return keys, nil
	}
	_, found := mustRun(t, c)
	if len(found) != 3 {
		t.Errorf("found %v, want an original and its two variants", slices.Sorted(maps.Keys(found)))
	}
	f.wantObjects(t, "afterwards", f.with(t, "files/a.png", "files/b.png", "files/c.png", "files/x.png", "files/y.png")...)
}
