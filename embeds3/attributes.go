package embeds3

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/versity/versitygw/backend/meta"
)

// attributes stores metadata for buckets named by absolute paths and, in copies,
// for keys that climb from climbBucket (see rooted).
type attributes struct {
	inner meta.MetadataStorer
	// sidecar is set where attributes are files of their own.
	sidecar *sidecar
}

// sidecar is what storing attributes under a path takes beyond storing them in
// the file at that path.
type sidecar struct {
	// base is taken off the paths, so that the files lie under short names and
	// move with the folder.
	base string
	// begun holds the files that are being written, as weak.Pointer[os.File].
	begun sync.Map
}

var _ meta.MetadataStorer = attributes{}

// begin makes sure that a new file starts without the attributes of the one it
// is about to replace; in extended attributes that is so by nature. The backend
// stores attributes under the name while the new file has none yet.
func (s *sidecar) begin(inner meta.MetadataStorer, f *os.File, bucket, object string) error {
	key := weak.Make(f)
	if _, begun := s.begun.LoadOrStore(key, struct{}{}); begun {
		return nil
	}
	runtime.AddCleanup(f, func(key weak.Pointer[os.File]) { s.begun.Delete(key) }, key)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(filepath.Join(s.base, bucket, object)); err == nil && os.SameFile(info, now) {
		return nil // not new: attributes of the object itself change
	}
	return inner.DeleteAttributes(bucket, object)
}

// place translates what the backend calls bucket and object. It reports false
// for climbBucket itself, which is no bucket and has no attributes.
func (a attributes) place(bucket, object string) (string, string, bool) {
	if bucket == climbBucket && object == "" {
		return "", "", false
	}
	if strings.HasPrefix(bucket, climbBucket) {
		// The backend may have joined the two already. Cleaning takes off the slash
		// of a key that stands for a folder.
		path := filepath.Clean(unclimb(filepath.Join(bucket, object)))
		bucket, object = filepath.Dir(path), filepath.Base(path)
	}
	if a.sidecar != nil {
		if rel, err := filepath.Rel(a.sidecar.base, bucket); err == nil {
			bucket = rel
		}
	}
	return bucket, object, true
}

// RetrieveAttribute implements meta.MetadataStorer.
func (a attributes) RetrieveAttribute(f *os.File, bucket, object, attribute string) ([]byte, error) {
	b, o, ok := a.place(bucket, object)
	if !ok {
		return nil, meta.ErrNoSuchKey
	}
	return a.inner.RetrieveAttribute(f, b, o, attribute)
}

// StoreAttribute implements meta.MetadataStorer.
func (a attributes) StoreAttribute(f *os.File, bucket, object, attribute string, value []byte) error {
	b, o, ok := a.place(bucket, object)
	if !ok {
		return meta.ErrNoSuchKey
	}
	if a.sidecar != nil && f != nil {
		if err := a.sidecar.begin(a.inner, f, b, o); err != nil {
			return err
		}
	}
	return a.inner.StoreAttribute(f, b, o, attribute, value)
}

// DeleteAttribute implements meta.MetadataStorer.
func (a attributes) DeleteAttribute(bucket, object, attribute string) error {
	b, o, ok := a.place(bucket, object)
	if !ok {
		return meta.ErrNoSuchKey
	}
	return a.inner.DeleteAttribute(b, o, attribute)
}

// ListAttributes implements meta.MetadataStorer.
func (a attributes) ListAttributes(bucket, object string) ([]string, error) {
	b, o, ok := a.place(bucket, object)
	if !ok {
		return nil, nil
	}
	return a.inner.ListAttributes(b, o)
}

// DeleteAttributes implements meta.MetadataStorer.
func (a attributes) DeleteAttributes(bucket, object string) error {
	b, o, ok := a.place(bucket, object)
	if !ok {
		return nil
	}
	return a.inner.DeleteAttributes(b, o)
}

// RenameObject implements meta.MetadataStorer.
func (a attributes) RenameObject(bucket, oldObject, newObject string) error {
	b, _, ok := a.place(bucket, "")
	if !ok {
		return nil
	}
	return a.inner.RenameObject(b, oldObject, newObject)
}
