package core_test

import (
	"slices"
	"testing"

	"github.com/filefield/filefield/core"
)

func TestAPageLearnsTheOriginsOfAFieldsFiles(t *testing.T) {
	t.Parallel()
	store := offlineStore(t)
	store.Declare(core.BucketConfig{Name: "media", Public: true, BaseURL: "https://cdn.example.org/media"})
	store.Declare(core.BucketConfig{Name: "open", Public: true})
	const storage = "http://127.0.0.1:1"
	for bucket, want := range map[string][]string{
		"private": {storage},
		"open":    {storage},
		"media":   {"https://cdn.example.org", storage}, // files are sent to the bucket, not to the CDN
	} {
		field := store.Field(core.FieldConfig{Name: bucket, Bucket: bucket})
		if got, err := field.Origins(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("the origins of a field in %s are %q, %v; want %q", bucket, got, err, want)
		}
	}
	faulty := store.Field(core.FieldConfig{Name: "faulty", Bucket: "no bucket's name"})
	_, err := faulty.Origins(t.Context())
	wantKind(t, "those of a faulty field", err, core.ErrConfig)
}
