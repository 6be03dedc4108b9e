package static

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// hashLength is how many hex digits of the SHA-256 stand in a name, as many as in
// Django's.
const hashLength = 12

// file is one static file as it is published.
type file struct {
	name   string // "css/app.css"
	stored string // "css/app.3f1c9a2b4d5e.css", or name where it keeps that
	typ    string // with its charset
	text   bool   // worth compressing
	size   int64
	sum    [sha256.Size]byte // of what is published

	integrity string
	modified  time.Time

	source  fs.FS
	content []byte // where references in it were rewritten; else it is read from source

	// While a set is built:
	found  []reference
	target []*file // of each of found, or nil where it stays as it is
}

// hashed tells whether the file's name has its hash.
func (f *file) hashed() bool { return f.name != f.stored }

// set is all files at one time. It does not change.
type set struct {
	files  []*file          // by name
	byName map[string]*file // "css/app.css"
	// stored are the names in the bucket, below the prefix, variants included.
	stored map[string]variant
	// stamp tells a changed source.
	stamp string
}

// variant is one object: a file, plain or compressed.
type variant struct {
	file     *file
	encoding Encoding // "" for the plain one
}

// variants returns the encodings a file is stored in beside the plain one.
func (c Config) variants(f *file) []Encoding {
	if !f.text || !f.hashed() || f.size < minVariant {
		return nil
	}
	return c.Encodings
}

// build reads all sources and gives every file its name. All faults are
// reported together.
func (c Config) build() (*set, error) {
	s := &set{byName: map[string]*file{}, stored: map[string]variant{}}
	var faults []error
	listed, err := c.list()
	if err != nil {
		return nil, err
	}
	for _, one := range listed {
		s.byName[one.name] = one
		if err := c.read(one); err != nil {
			faults = append(faults, err)
		}
	}
	s.files = listed
	s.stamp = stampOf(listed)
	faults = append(faults, c.resolve(s)...)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, group := range components(s.files) {
		c.finish(group)
	}
	return s, errors.Join(c.claim(s)...)
}

// list finds the files of all sources, sorted by name.
func (c Config) list() ([]*file, error) {
	found := map[string]*file{}
	for i, source := range c.Sources {
		err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || name == "." || found[name] != nil {
				return err
			}
			excluded := matches(c.Exclude, name) && !matches(c.Include, name)
			switch {
			case excluded && entry.IsDir() && len(c.Include) == 0:
				return fs.SkipDir // .git may be large
			case excluded, entry.IsDir():
				return nil
			}
			info, err := fs.Stat(source, name) // what a link points to
			if err != nil {
				return err
			}
			if info.Mode().IsRegular() {
				found[name] = &file{name: name, source: source, size: info.Size(), modified: info.ModTime()}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list Sources[%d]: %w", i, err)
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *file) int { return strings.Compare(a.name, b.name) }), nil
}

// stampOf changes when a file comes, goes, or is written.
func stampOf(files []*file) string {
	h := sha256.New()
	for _, f := range files {
		_, _ = fmt.Fprintf(h, "%q %d %d\n", f.name, f.size, f.modified.UnixNano())
	}
	return string(h.Sum(nil))
}

// digest takes in a file's content.
type digest struct {
	sha256, sha384 hash.Hash
	utf8           utf8Check
	size           int64
}

func newDigest() *digest { return &digest{sha256: sha256.New(), sha384: sha512.New384()} }

func (d *digest) Write(p []byte) (int, error) {
	_, _ = d.sha256.Write(p)
	_, _ = d.sha384.Write(p)
	_, _ = d.utf8.Write(p)
	d.size += int64(len(p))
	return len(p), nil
}

// read sums up a file, and finds the references in it.
func (c Config) read(f *file) error {
	in, err := f.source.Open(f.name)
	if err != nil {
		return err
	}
	defer in.Close()
	scan := scanner(f.name)
	if scan == nil {
		d := newDigest()
		if _, err := io.Copy(d, in); err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		c.describe(f, d)
		return nil
	}
	content, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.name, err)
	}
	f.found = scan(content)
	c.setContent(f, content)
	return nil
}

func (c Config) setContent(f *file, content []byte) {
	d := newDigest()
	_, _ = d.Write(content)
	f.content = content
	c.describe(f, d)
}

// describe notes what is known of a file by its content, and its name by that.
func (c Config) describe(f *file, d *digest) {
	f.size = d.size
	f.sum = [sha256.Size]byte(d.sha256.Sum(nil))
	f.integrity = "sha384-" + base64.StdEncoding.EncodeToString(d.sha384.Sum(nil))
	f.typ, f.text = c.typeOf(f.name)
	f.typ = withCharset(f.typ, &d.utf8)
	c.rename(f, f.sum)
}

// rename gives a file the name that sum makes of it.
func (c Config) rename(f *file, sum [sha256.Size]byte) {
	f.stored = f.name
	if matches(c.Unhashed, f.name) {
		return
	}
	dir, base := path.Split(f.name)
	ext := path.Ext(base)
	if ext == base { // ".profile" has no extension
		ext = ""
	}
	f.stored = dir + strings.TrimSuffix(base, ext) + "." + hex.EncodeToString(sum[:])[:hashLength] + ext
}

// resolve finds the file of each reference, and names those that have none.
func (c Config) resolve(s *set) (faults []error) {
	for _, f := range s.files {
		f.target = make([]*file, len(f.found))
		for i, r := range f.found {
			name, ok := localName(f.name, r.url)
			if !ok {
				continue
			}
			f.target[i] = s.byName[name]
			if f.target[i] != nil || matches(c.AllowMissing, name) {
				continue
			}
			why := "there is no " + name
			switch {
			case strings.HasPrefix(name, "../"):
				why = "it leads out of the sources"
			case matches(c.Exclude, name):
				why = name + " is excluded, or not there"
			}
			faults = append(faults, fmt.Errorf("%s:%d refers to %q: %s", f.name, lineOf(f.content, r.start), r.url, why))
		}
	}
	return faults
}

// finish rewrites the references in the files of a group and names them. A group
// is one file, or several that refer to each other in a circle. Every file the
// group refers to is finished.
//
// The names of a circle cannot come from their final content, which holds them.
// They come from the whole circle's content with plain names in place of the
// hashed ones, so that a change in any of them changes all.
func (c Config) finish(group []*file) {
	if !circular(group) {
		f := group[0]
		if len(f.found) > 0 {
			c.setContent(f, f.rewrite(nil))
		}
		f.release()
		return
	}
	slices.SortFunc(group, func(a, b *file) int { return strings.Compare(a.name, b.name) })
	whole := sha256.New()
	for _, f := range group {
		content := f.rewrite(group)
		_, _ = fmt.Fprintf(whole, "%q %d\n", f.name, len(content))
		_, _ = whole.Write(content)
	}
	for _, f := range group {
		c.rename(f, sha256.Sum256(append(whole.Sum(nil), f.name...)))
	}
	content := make([][]byte, len(group))
	for i, f := range group {
		content[i] = f.rewrite(nil)
	}
	for i, f := range group {
		stored := f.stored
		c.setContent(f, content[i])
		f.stored = stored
		f.release()
	}
}

// release forgets what only the building needed: what was not rewritten is read
// from its source again.
func (f *file) release() {
	if !slices.ContainsFunc(f.target, func(t *file) bool { return t != nil }) {
		f.content = nil
	}
	f.found, f.target = nil, nil
}

// rewrite returns the content with its references leading to the stored names,
// but for those of plain files.
func (f *file) rewrite(plain []*file) []byte {
	var b bytes.Buffer
	from := 0
	for i, r := range f.found {
		target := f.target[i]
		if target == nil || r.start < from {
			continue
		}
		name := target.stored
		if slices.Contains(plain, target) {
			name = target.name
		}
		b.Write(f.content[from:r.start])
		b.WriteString(rewriteURL(r.url, path.Base(name)))
		from = r.end
	}
	b.Write(f.content[from:])
	return b.Bytes()
}

// claim notes what each object is to be, and finds names that cannot be keys or
// would be used twice.
func (c Config) claim(s *set) (faults []error) {
	add := func(stored string, v variant) {
		if _, err := core.ParseKey(c.key(stored)); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", v.file.name, err))
		}
		if other, taken := s.stored[stored]; taken || stored == ManifestName {
			by := "the manifest"
			if taken {
				by = other.file.name
			}
			faults = append(faults, fmt.Errorf("%s would be stored as %s, as is %s", v.file.name, stored, by))
		}
		s.stored[stored] = v
	}
	for _, f := range s.files {
		add(f.stored, variant{file: f})
		for _, e := range c.variants(f) {
			add(f.stored+e.extension(), variant{f, e})
		}
	}
	return faults
}

// key returns the key of a stored name.
func (c Config) key(stored string) string {
	if c.Prefix == "" {
		return stored
	}
	return c.Prefix + "/" + stored
}

// open returns the content as it is published.
func (f *file) open() (io.ReadCloser, error) {
	if f.content != nil {
		return io.NopCloser(bytes.NewReader(f.content)), nil
	}
	return f.source.Open(f.name)
}
