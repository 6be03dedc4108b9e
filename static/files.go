package static

import (
	"errors"
	"fmt"
	"sync"

	"github.com/filefield/filefield/core"
)

// Files are an app's static files. Safe for concurrent use.
type Files struct {
	config Config
	bucket *core.Bucket

	mu  sync.Mutex // of a reload; without Reload the set never changes
	set *set
}

// New reads the files, names them by their content and resolves the references
// between them. It uses no network. All faults are reported at once, as one error
// of kind core.ErrConfig: those of the configuration, and every reference to a
// file that is not there, with its place.
//
// Call it before the Store's Startup, which then makes the bucket. A bucket that
// is to have more than public access is declared before, with store.Declare.
func New(store *core.Store, config Config) (*Files, error) {
	c := config.withDefaults(store)
	failed := func(err error) error {
		return &core.Error{Kind: core.ErrConfig, Op: "static files", Bucket: c.Bucket, Err: err}
	}
	if faults := c.faults(); len(faults) > 0 {
		return nil, failed(errors.Join(faults...))
	}
	bucket, err := c.bucket(store)
	if err != nil {
		return nil, failed(err)
	}
	s, err := c.build()
	if err != nil {
		return nil, failed(err)
	}
	return &Files{config: c, bucket: bucket, set: s}, nil
}

// MustNew is New for a package-level variable: it panics with the whole list of
// faults.
func MustNew(store *core.Store, config Config) *Files {
	f, err := New(store, config)
	if err != nil {
		panic(err)
	}
	return f
}

// Bucket returns the bucket the files are published to.
func (f *Files) Bucket() *core.Bucket { return f.bucket }

// Names returns the names of all files, sorted: "css/app.css". With Reload they
// are those of the last call that looked.
func (f *Files) Names() []string {
	if f.config.Reload {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	s := f.set
	names := make([]string, len(s.files))
	for i, one := range s.files {
		names[i] = one.name
	}
	return names
}

// Format writes the bucket's name, whatever the verb.
func (f *Files) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "Files(%s)", f.config.Bucket) }

// current returns the files as they are, read again where the configuration says
// so and one has changed.
func (f *Files) current() (*set, error) {
	if !f.config.Reload {
		return f.set, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	listed, err := f.config.list()
	if err == nil && stampOf(listed) == f.set.stamp {
		return f.set, nil
	}
	if err == nil {
		var again *set
		if again, err = f.config.build(); err == nil {
			f.set = again
			return again, nil
		}
	}
	return nil, &core.Error{Kind: core.ErrConfig, Op: "read static files again", Err: err}
}
