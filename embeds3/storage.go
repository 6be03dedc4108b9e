package embeds3

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"unsafe"

	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
)

// Folders inside Config.Dir.
const (
	objectsDir  = "objects"  // one folder per bucket, one file per object
	versionsDir = "versions" // earlier versions of objects in versioned buckets
	metadataDir = "metadata" // attributes, where the file system has none of its own
)

// maxCopy is the largest object S3 copies with one request; the backend's zero
// value would refuse every copy.
const maxCopy = 5 << 30

// concurrency bounds file operations at a time. Every one may block a thread,
// and an upload holds its slot until its last byte arrived, so it must exceed
// the number of simultaneous uploads one expects.
const concurrency = 4096

// storage is the folder an engine works in.
type storage struct {
	dir       string
	temporary bool
}

// openStorage makes the folder ready, as far as possible before any server is
// started, so that its faults are reported in its own words.
func openStorage(dir string) (storage, error) {
	st := storage{dir: dir, temporary: dir == ""}
	var err error
	if st.temporary {
		if st.dir, err = os.MkdirTemp("", "embeds3-"); err != nil {
			return storage{}, fmt.Errorf("embeds3: make a temporary folder: %w (set Config.Dir, or TMPDIR, to a folder this user may write to)", err)
		}
	}
	if st.dir, err = filepath.Abs(st.dir); err == nil {
		// The owner's alone: object contents are as private as the secret key.
		err = os.MkdirAll(filepath.Join(st.dir, objectsDir), 0o700)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(st.dir, versionsDir), 0o700)
	}
	if err == nil {
		err = probeWrite(st.dir)
	}
	if err != nil {
		return storage{}, errors.Join(
			fmt.Errorf("embeds3: prepare Dir %q: %w (choose a folder this user may write to)", st.dir, err),
			st.remove(),
		)
	}
	return st, nil
}

func probeWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// remove deletes the folder if it was made for this engine only.
func (st storage) remove() error {
	if !st.temporary || st.dir == "" {
		return nil
	}
	if err := os.RemoveAll(st.dir); err != nil {
		return fmt.Errorf("embeds3: remove temporary folder: %w", err)
	}
	return nil
}

// metadata returns where the attributes of objects are kept: in the files'
// extended attributes, or beside them in small files of their own where the
// file system (an older tmpfs, some container and network mounts) has none.
// A folder that was begun with sidecar files stays with them.
func (st storage) metadata() (attributes, error) {
	side := filepath.Join(st.dir, metadataDir)
	_, err := os.Stat(side)
	if errors.Is(err, fs.ErrNotExist) {
		if hasXattr(st.dir) {
			return attributes{inner: meta.XattrMeta{}}, nil
		}
		err = os.Mkdir(side, 0o700)
	}
	if err != nil {
		return attributes{}, err
	}
	inner, err := meta.NewSideCar(side)
	return attributes{inner: inner, sidecar: &sidecar{base: st.dir}}, err
}

// hasXattr writes an attribute instead of asking for one: some file systems
// answer reads politely and refuse writes.
func hasXattr(dir string) bool {
	f, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return meta.XattrMeta{}.StoreAttribute(f, dir, filepath.Base(f.Name()), "probe", make([]byte, 1024)) == nil
}

// backend opens the folder as the gateway's file system backend.
func (st storage) backend() (backend.Backend, error) {
	storer, err := st.metadata()
	if err != nil {
		return nil, fmt.Errorf("embeds3: metadata in %q: %w", st.dir, err)
	}
	// The backend makes its folder the process's working directory. Given the one
	// that is, it changes nothing; rooted supplies the right paths.
	be, err := posix.New(".", storer, posix.PosixOpts{
		CopyObjectThreshold: maxCopy,
		Concurrency:         concurrency,
	})
	if err != nil {
		return nil, fmt.Errorf("embeds3: open %q: %w", st.dir, err)
	}
	r := rooted{be: be, objects: filepath.Join(st.dir, objectsDir), versions: filepath.Join(st.dir, versionsDir)}
	if err := setString(be, "rootdir", r.objects); err != nil { // where lock files go
		return nil, err
	}
	if storer.sidecar == nil {
		// Beside sidecar files the backend mixes up the attributes of versions, so
		// there it refuses to enable versioning.
		err = setString(be, "versioningDir", r.versions)
	}
	return r, err
}

// setString sets an unexported field of the backend. There is an option for
// versioningDir, which announces itself on the app's standard output, and that
// cannot be prevented without racing with whatever else the app prints; for
// rootdir there is only the one that changes the working directory.
func setString(be *posix.Posix, name, value string) error {
	f := reflect.ValueOf(be).Elem().FieldByName(name)
	if f.Kind() != reflect.String {
		return fmt.Errorf("embeds3: this version of versitygw has no field %s: use the version in embeds3's go.mod", name)
	}
	*(*string)(unsafe.Pointer(f.UnsafeAddr())) = value //nolint:gosec // see above
	return nil
}
