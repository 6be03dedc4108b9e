package nethttp

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path"
	"strings"

	"github.com/filefield/filefield/core"
)

// maxZipEntries is how many files an archive of ServeZip may have.
const maxZipEntries = 65_535

// ZipEntry is one file of an archive.
type ZipEntry struct {
	Field  *core.Field
	Object core.Object
	// Name is what it is called in the archive, with "/" between folders. Default:
	// the file's own name. It is made safe (no "..", no absolute path, no character
	// that a system reads as something else) and single ("a (2).png").
	Name string
}

// ServeZip answers a request with an archive of files, named name, that is made
// as it is sent: one file after another, each read with one request, in the
// memory of one. Files are stored as they are; most are compressed already. Who
// may have them is the caller's to decide, before this call.
//
// Errors up to the first file's beginning are returned, for Handle to render. A
// file that is missing or breaks off later cuts the connection: half an archive
// must not look like a whole one. More than 65,535 files are ErrTooMany.
func ServeZip(w http.ResponseWriter, r *http.Request, name string, entries iter.Seq2[ZipEntry, error]) error {
	next, stop := iter.Pull2(entries)
	defer stop()
	archive := &archive{ctx: r.Context(), taken: map[string]int{}, folders: map[string]string{}}
	file, more, err := archive.open(next)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", core.ContentDisposition(core.Attachment, core.ClientName(name)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		if more {
			_ = file.content.Close()
		}
		return nil
	}
	out := zip.NewWriter(w)
	for more {
		if err = file.copyTo(out); err != nil {
			break
		}
		if file, more, err = archive.open(next); err != nil {
			break
		}
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		cut(w)
	}
	return nil
}

// archive opens entries and names them.
type archive struct {
	ctx context.Context
	// taken are the paths in the archive, in lower case, as some systems compare
	// them, with the last number that was put behind each.
	taken map[string]int
	// folders are the paths of folders as they were asked for, in lower case, and as
	// they are.
	folders map[string]string
	entries int
}

// entry is an open one.
type entry struct {
	name    string
	content *core.File
}

// open opens the next entry, if there is one.
func (a *archive) open(next func() (ZipEntry, error, bool)) (*entry, bool, error) {
	e, err, more := next()
	switch {
	case !more || err != nil:
		return nil, false, err
	case a.entries == maxZipEntries:
		return nil, false, &core.Error{Kind: core.ErrTooMany, Op: "zip", Detail: "an archive has at most 65,535 files"}
	case e.Field == nil:
		return nil, false, &core.Error{Kind: core.ErrConfig, Op: "zip", Advice: "name the field of each ZipEntry"}
	}
	content, err := e.Field.Open(a.ctx, e.Object.Key, core.OpenOptions{})
	if err != nil {
		return nil, false, err
	}
	name := e.Name
	for _, other := range []string{e.Object.Name, content.Name, "file"} {
		if name == "" {
			name = strings.ReplaceAll(other, "/", "_")
		}
	}
	a.entries++
	name = safeZipName(name)
	return &entry{a.free(a.folder(path.Dir(name)), path.Base(name)), content}, true, nil
}

// copyTo writes the entry and closes its content.
func (e *entry) copyTo(out *zip.Writer) error {
	defer e.content.Close()
	to, err := out.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store, Modified: e.content.Modified})
	if err != nil {
		return err
	}
	n, err := io.Copy(to, e.content)
	if err == nil && n != e.content.Length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// folder returns the folder to use for one that was asked for: another where a
// file has its name.
func (a *archive) folder(asked string) string {
	if asked == "." {
		return ""
	}
	folded := strings.ToLower(asked)
	used, known := a.folders[folded]
	if !known {
		used = a.free(a.folder(path.Dir(asked)), path.Base(asked))
		a.folders[folded] = used
	}
	return used
}

// free takes the path of a name in a folder, with a number where it is taken.
func (a *archive) free(folder, name string) string {
	whole := path.Join(folder, name)
	folded := strings.ToLower(whole)
	stem, ext := core.SplitExt(name)
	for try := whole; ; {
		if lower := strings.ToLower(try); a.taken[lower] == 0 {
			a.taken[lower] = 1
			return try
		}
		a.taken[folded]++ // where the next of that name goes on, or many would take long
		try = path.Join(folder, fmt.Sprintf("%s (%d)%s", stem, a.taken[folded], ext))
	}
}

// maxZipPath is less than what systems bound paths to, so that an archive can be
// unpacked in some folder.
const maxZipPath = 1024

// safeZipName makes each segment a name that every system takes for what it is.
func safeZipName(name string) string {
	var segments []string
	for _, segment := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		segment = strings.Map(func(r rune) rune {
			if strings.ContainsRune(`<>:"|?*`, r) {
				return '_'
			}
			return r
		}, core.ClientName(segment))
		segment = strings.TrimRight(segment, " .")
		if core.ReservedName(segment) {
			segment = "_" + segment
		}
		if segment != "" {
			segments = append(segments, segment)
		}
	}
	if len(segments) == 0 {
		return "file"
	}
	for len(segments) > 1 && len(strings.Join(segments, "/")) > maxZipPath {
		segments = segments[1:]
	}
	return strings.Join(segments, "/")
}
