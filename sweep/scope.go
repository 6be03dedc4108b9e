package sweep

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// scope is where the app's objects lie.
type scope struct {
	listed []string // what is listed: sorted, none below another
	owned  []string // below these every object is the app's
	keyed  []keyed
}

// keyed is a field that may encrypt with a key of its own, and where its files are.
type keyed struct {
	field  *core.Field
	prefix string
}

// newScope derives it from the declarations, and refuses what would take another
// field's files for orphans.
func newScope(c Config) (scope, error) {
	var allowed []string
	listed := map[*core.Field]bool{}
	for _, f := range c.Fields {
		listed[f] = true
		allowed = append(allowed, staticPrefix(f))
	}
	allowed = append(allowed, c.Owned...)
	s := scope{listed: within(allowed, c.Prefix), owned: c.Owned}
	for i, f := range c.Fields {
		if f.Config().Options.Encryption != nil {
			s.keyed = append(s.keyed, keyed{f, allowed[i]})
		}
	}
	if len(s.listed) == 0 {
		return scope{}, configError(fmt.Errorf(
			"no field has files in the bucket %s below %q: declare the fields, or say in Owned which prefixes are the app's", c.Bucket.Name(), c.Prefix))
	}
	for _, f := range c.Bucket.Store().Fields() {
		if listed[f] || f.Bucket().Name() != c.Bucket.Name() {
			continue
		}
		for _, p := range s.listed {
			if theirs := staticPrefix(f); strings.HasPrefix(theirs, p) || strings.HasPrefix(p, theirs) {
				return scope{}, configError(fmt.Errorf(
					"the field %s, which is not among Fields, may have files below %q too: add it, with its references", f.Name(), p))
			}
		}
	}
	return s, nil
}

// within cuts prefixes down to what lies below prefix, sorts them, and leaves out
// those below another.
func within(prefixes []string, prefix string) []string {
	var cut []string
	for _, p := range prefixes {
		switch {
		case strings.HasPrefix(p, prefix):
			cut = append(cut, p)
		case strings.HasPrefix(prefix, p):
			cut = append(cut, prefix)
		}
	}
	slices.Sort(cut)
	kept := cut[:0]
	for _, p := range cut {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// owns says whether an object is the app's by its key alone.
func (s scope) owns(key string) bool {
	return slices.ContainsFunc(s.owned, func(p string) bool { return strings.HasPrefix(key, p) })
}

// staticPrefix returns what all keys of a field begin with, up to a slash: its
// KeyPrefix, or as far as its UploadTo shows when it is asked about files that have
// nothing in common. "" where neither does: then the whole bucket is looked at.
func staticPrefix(f *core.Field) string {
	config := f.Config()
	uploadTo := config.UploadTo
	if config.KeyPrefix != "" || uploadTo == nil {
		return config.KeyPrefix // every save is held to it
	}
	probes := []core.Naming{
		{Name: "alpha.png", Type: "image/png", Now: time.Date(1971, 2, 3, 4, 5, 6, 7, time.UTC)},
		{Name: "zulu.txt", Type: "text/plain", Now: time.Date(2084, 11, 29, 18, 47, 53, 0, time.UTC)},
		{Name: "Mike.PDF", Type: "application/pdf", Now: time.Date(2084, 11, 29, 18, 47, 53, 0, time.UTC), Form: url.Values{}},
	}
	var common string
	for i, n := range probes {
		n.Context, n.Field = context.Background(), f.Name()
		key, ok := probe(uploadTo, n)
		if !ok {
			return ""
		}
		if i == 0 {
			common = key
		}
		common = commonPrefix(common, key)
	}
	return common[:strings.LastIndexByte(common, '/')+1]
}

// probe asks an UploadTo for a key. One that needs more than a file to make it
// may fail in any way.
func probe(uploadTo core.UploadTo, n core.Naming) (key string, ok bool) {
	defer func() {
		if recover() != nil {
			key, ok = "", false
		}
	}()
	key, err := uploadTo(n)
	return key, err == nil
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}
