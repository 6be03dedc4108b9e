package sweep

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"sync/atomic"

	"github.com/filefield/filefield/core"
)

// Source is where references come from: keys of the swept bucket that rows refer
// to. Several are united. An error of any of them ends the run.
//
// All rows count, whatever the app's own queries leave out: those that are
// soft-deleted, of other tenants, unpublished.
type Source struct {
	// Name says in reports and errors what it is: "profiles.avatar".
	Name string
	// Keys yields every key, in any order, again where one is repeated; "" is none.
	// It is called once, when the bucket has been listed, and must show what has
	// been committed by then.
	Keys func(context.Context) iter.Seq2[string, error]
	// Sorted says that Keys yields them in the order of their bytes, as S3 lists
	// them and LC_ALL=C sort sorts them. Then, if it is so of all sources, listing
	// and keys are merged, and memory does not grow with either. A key out of order
	// ends the run.
	Sorted bool
	// Between yields the keys behind after, up to and with upto ("" is no bound),
	// in the order of their bytes. It takes the place of Keys, and is called for
	// each stretch of the bucket after that was listed. It needs Refers.
	Between func(ctx context.Context, after, upto string) iter.Seq2[string, error]
	// Optional says that a key need not have an object: it keeps one, and is not
	// reported as missing.
	Optional bool
	// Refers returns those of the keys that are referred to now. Where it is set,
	// each object is asked for again right before it is touched, and each missing
	// one before it is reported.
	Refers func(ctx context.Context, keys []string) ([]string, error)
}

// ordered says whether the source can be read stretch by stretch.
func (s Source) ordered() bool { return s.Between != nil || s.Sorted }

// Keys is a Source of keys that the app has.
func Keys(name string, keys func(context.Context) iter.Seq2[core.Key, error]) Source {
	return Source{Name: name, Keys: func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for key, err := range keys(ctx) {
				if !yield(key.String(), err) {
					return
				}
			}
		}
	}}
}

// maxLine is the longest line of Lines, in bytes: a column of several files.
const maxLine = 1 << 20

// Lines is a Source that reads one value a line: a key, or a column as File and
// Files write it. Empty lines count for nothing. So any database can feed a run:
//
//	psql -At -c 'SELECT avatar FROM profiles' | …
//
// A program that dies in the middle ends its output as one that is done does. With
// end, the last line must be that text: `{ psql … && echo END; }`. Without, input
// whose last line does not end with a newline is taken for cut off. Either is an
// error.
//
// What r holds is as old as the program that wrote it. MinAge covers that for all
// objects but those of which a row that refers to an old object was made
// meanwhile; prefer SQL, which reads after the listing.
func Lines(name string, r io.Reader, end string) Source {
	var used atomic.Bool
	return Source{Name: name, Keys: func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			if used.Swap(true) {
				yield("", errors.New("it has been read already, and can be only once"))
				return
			}
			if err := readLines(ctx, r, end, yield); err != nil {
				yield("", err)
			}
		}
	}}
}

func readLines(ctx context.Context, r io.Reader, end string, yield func(string, error) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	lines.Split(wholeLines)
	ended := false
	for n := 1; lines.Scan(); n++ {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		line := lines.Text()
		if ended {
			return fmt.Errorf("line %d comes behind the end %q", n, end)
		}
		if end != "" && line == end {
			ended = true
			continue
		}
		keys, err := columnKeys(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		for _, key := range keys {
			if !yield(key, nil) {
				return nil
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if end != "" && !ended {
		return fmt.Errorf("the input ended without the line %q: it was cut off", end)
	}
	return nil
}

// wholeLines is bufio.ScanLines, but refuses a last line that is cut off.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) { //nolint:revive // a bufio.SplitFunc
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, bytes.TrimSuffix(data[:i], []byte{'\r'}), nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errors.New("the input ended in the middle of a line: it was cut off")
	}
	return 0, nil, nil
}

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 64 << 20

// Manifest is a Source of the static files that a manifest in the swept bucket
// names, as package static and Django's ManifestStaticFilesStorage write it
// (staticfiles.json): the files as they were named, those with a hash in their
// names, their variants (.br, .gz), and itself. Names are below the manifest's own
// folder. It is Optional, since which of these there are is not written down.
func Manifest(bucket *core.Bucket, manifest core.Key) Source {
	return Source{Name: manifest.String(), Optional: true, Keys: func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			paths, err := readManifest(ctx, bucket, manifest)
			if err != nil {
				yield("", err)
				return
			}
			if !yield(manifest.String(), nil) {
				return
			}
			for name, hashed := range paths {
				for _, kept := range []string{name, hashed, hashed + ".br", hashed + ".gz"} {
					if !yield(path.Join(manifest.Dir(), kept), nil) {
						return
					}
				}
			}
		}
	}}
}

func readManifest(ctx context.Context, bucket *core.Bucket, manifest core.Key) (map[string]string, error) {
	f, err := bucket.Open(ctx, manifest, core.OpenOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var content struct {
		Paths map[string]string `json:"paths"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&content); err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if content.Paths == nil {
		return nil, errors.New(`the manifest has no "paths"`)
	}
	return content.Paths, nil
}
