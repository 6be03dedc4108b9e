package static

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/filefield/filefield/core"
)

// markName is the metadata that tells what an object with an unhashed name holds.
const markName = "static-sha256"

const (
	manifestVersion = "1.1" // Django's
	defaultParallel = 8
)

// PublishOptions shape one Publish. The zero value is the usual run.
type PublishOptions struct {
	// DryRun writes nothing and reports what would be written.
	DryRun bool
	// Rewrite writes every object again, as after a change of CacheControl or
	// Types, which do not show in the names.
	Rewrite bool
	// Parallel is how many objects are written at once. Default 8.
	Parallel int
	// Progress, if set, is told of every object that was written, or in a dry run
	// would be, one at a time. It must not block.
	Progress func(Progress)
}

// Progress is how far a Publish is.
type Progress struct {
	// Item is what was just written.
	Item Item
	// Done of Total objects to write are written.
	Done, Total int
	// Bytes are written so far.
	Bytes int64
}

// Item is one object of a Publish.
type Item struct {
	// Name is the file's name: "css/app.css".
	Name string `json:"name"`
	// Key is the object's key: "static/css/app.3f1c9a2b4d5e.css.br".
	Key string `json:"key"`
	// Encoding is the variant's, or empty.
	Encoding Encoding `json:"encoding,omitempty"`
	// Type is the Content-Type.
	Type string `json:"type"`
	// Size is its length in bytes as stored. In a dry run a variant has none, as it
	// is not made.
	Size int64 `json:"size"`
}

// Report is what a Publish did, or in a dry run would do.
type Report struct {
	// DryRun says that nothing was written.
	DryRun bool `json:"dry_run,omitempty"`
	// Uploaded are the objects that were new or had changed, by key, the manifest
	// included.
	Uploaded []Item `json:"uploaded"`
	// UploadedBytes are theirs together.
	UploadedBytes int64 `json:"uploaded_bytes"`
	// Unchanged is how many objects were there already.
	Unchanged int `json:"unchanged"`
	// UnchangedBytes are theirs together.
	UnchangedBytes int64 `json:"unchanged_bytes"`
	// Manifest is the manifest's key.
	Manifest string `json:"manifest"`
}

// Publish brings the files to the bucket: Django's collectstatic. Only what is not
// there yet is written: the hashed names are compared with one listing of the
// prefix, and each unhashed name, the manifest's too, is asked for once. So a
// second run writes nothing. Nothing is deleted: pages that are still open, and
// instances of the app that still run, find their files.
//
// Every object is whole or not there. The order is: hashed names, unhashed names,
// manifest. When a write fails, nothing further is begun, and the report tells what
// was written; the next run goes on from there.
//
// Errors: the storage's kinds, and core.ErrChecksum where a source changed since
// New read it.
func (f *Files) Publish(ctx context.Context, options PublishOptions) (Report, error) {
	s, err := f.current()
	if err != nil {
		return Report{}, err
	}
	p := &publisher{files: f, options: options, report: Report{DryRun: options.DryRun, Uploaded: []Item{}, Manifest: f.config.key(ManifestName)}}
	hashed, unhashed, err := p.plan(ctx, s)
	if err != nil {
		return p.report, err
	}
	p.total = len(hashed) + len(unhashed)
	manifest, fresh, err := p.manifest(ctx, s)
	if err != nil {
		return p.report, err
	}
	phases := [][]job{hashed, unhashed}
	if !fresh {
		p.total++
		phases = append(phases, []job{manifest})
	}
	for _, phase := range phases {
		if err = p.run(ctx, phase); err != nil {
			break
		}
	}
	slices.SortFunc(p.report.Uploaded, func(a, b Item) int { return cmp.Compare(a.Key, b.Key) })
	return p.report, err
}

// publisher is one Publish under way.
type publisher struct {
	files   *Files
	options PublishOptions
	total   int
	there   map[string]int64 // the size of each object that is there, by stored name

	mu     sync.Mutex
	report Report
}

// job is one object to write.
type job struct {
	Item
	cacheControl string
	mark         string // of an unhashed name
	open         func() (io.ReadCloser, error)
}

func (p *publisher) job(stored string, v variant) job {
	c := p.files.config
	j := job{
		Item:         Item{Name: v.file.name, Key: c.key(stored), Encoding: v.encoding, Type: v.file.typ, Size: v.file.size},
		cacheControl: c.CacheControl,
		open:         v.open,
	}
	if v.encoding != "" {
		j.Size = 0
	}
	if !v.file.hashed() {
		j.cacheControl = c.UnhashedCacheControl
		j.setMark(v.file.sum)
	}
	return j
}

// setMark notes what the object holds and how it is served.
func (j *job) setMark(sum [sha256.Size]byte) {
	all := sha256.Sum256(fmt.Appendf(nil, "%x\n%s\n%s\n%s", sum, j.Type, j.Encoding, j.cacheControl))
	j.mark = hex.EncodeToString(all[:])
}

// plan tells what is to be written.
func (p *publisher) plan(ctx context.Context, s *set) (hashed, unhashed []job, err error) {
	if err := p.list(ctx, s); err != nil {
		return nil, nil, err
	}
	for _, stored := range slices.Sorted(maps.Keys(s.stored)) {
		v := s.stored[stored]
		j := p.job(stored, v)
		size, exists := p.there[stored]
		// The size of a variant is its compressor's affair. A release of it that
		// compresses otherwise is no reason to write.
		fits := exists && !p.options.Rewrite && (size == j.Size || v.encoding != "" && size > 0)
		if fits && j.mark != "" {
			if fits, err = p.holds(ctx, j); err != nil {
				return nil, nil, err
			}
		}
		switch {
		case fits:
			p.unchanged(size)
		case j.mark != "":
			unhashed = append(unhashed, j)
		default:
			hashed = append(hashed, j)
		}
	}
	return hashed, unhashed, nil
}

func (p *publisher) unchanged(size int64) {
	p.report.Unchanged++
	p.report.UnchangedBytes += size
}

// list finds which of the objects lie under the prefix. Of others there may be
// any number.
func (p *publisher) list(ctx context.Context, s *set) error {
	prefix := p.files.config.key("")
	p.there = map[string]int64{}
	for o, err := range p.files.bucket.Walk(ctx, prefix) {
		if err != nil {
			return err
		}
		stored := strings.TrimPrefix(o.Key.String(), prefix)
		if _, ours := s.stored[stored]; ours || stored == ManifestName {
			p.there[stored] = o.Size
		}
	}
	return nil
}

// holds asks whether an object is what the job would write.
func (p *publisher) holds(ctx context.Context, j job) (bool, error) {
	key, err := core.ParseKey(j.Key)
	if err != nil {
		return false, err
	}
	o, err := p.files.bucket.Stat(ctx, key)
	if core.KindOf(err) == core.ErrNotFound {
		return false, nil
	}
	return err == nil && o.Size == j.Size && o.Metadata[markName] == j.mark, err
}

// manifest makes the job of the manifest, and says whether it is there already.
func (p *publisher) manifest(ctx context.Context, s *set) (j job, fresh bool, err error) {
	content, err := s.manifest()
	if err != nil {
		return job{}, false, err
	}
	j = job{
		Item:         Item{Name: ManifestName, Key: p.report.Manifest, Type: "application/json", Size: int64(len(content))},
		cacheControl: manifestCacheControl,
		open:         func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
	j.setMark(sha256.Sum256([]byte(content)))
	if size, exists := p.there[ManifestName]; !exists || size != j.Size || p.options.Rewrite {
		return j, false, nil
	}
	fresh, err = p.holds(ctx, j)
	if fresh {
		p.unchanged(j.Size)
	}
	return j, fresh, err
}

// manifest returns the content of a manifest that Django reads.
func (s *set) manifest() (string, error) {
	m := struct {
		Paths   map[string]string `json:"paths"`
		Version string            `json:"version"`
		Hash    string            `json:"hash"`
	}{map[string]string{}, manifestVersion, ""}
	h := sha256.New()
	for _, f := range s.files {
		m.Paths[f.name] = f.stored
		_, _ = fmt.Fprintf(h, "%q %q\n", f.name, f.stored)
	}
	m.Hash = hex.EncodeToString(h.Sum(nil))[:hashLength]
	text, err := json.MarshalIndent(m, "", "  ")
	return string(text) + "\n", err
}

// run writes one phase's objects, several at once. After a failure none is begun.
func (p *publisher) run(ctx context.Context, jobs []job) error {
	if p.options.DryRun {
		for _, j := range jobs {
			p.done(j.Item)
		}
		return nil
	}
	parallel := p.options.Parallel
	if parallel < 1 {
		parallel = defaultParallel
	}
	// Writes under way go on when another fails, so that the report is right.
	begin, stop := context.WithCancel(ctx)
	defer stop()
	next := make(chan job)
	var writers sync.WaitGroup
	errs := make([]error, min(parallel, len(jobs)))
	for i := range errs {
		writers.Go(func() {
			for j := range next {
				if errs[i] = p.write(ctx, j); errs[i] != nil {
					stop()
					return
				}
			}
		})
	}
	feed(begin, next, jobs)
	writers.Wait()
	err := errors.Join(errs...)
	if err == nil && ctx.Err() != nil {
		err = &core.Error{Kind: core.ErrCanceled, Op: "publish static files", Err: context.Cause(ctx)}
	}
	return err
}

// feed hands out the jobs until ctx ends, and says then that there are no more.
func feed(ctx context.Context, next chan<- job, jobs []job) {
	defer close(next)
	for _, j := range jobs {
		if ctx.Err() != nil {
			return
		}
		select {
		case next <- j:
		case <-ctx.Done():
			return
		}
	}
}

// write stores one object.
func (p *publisher) write(ctx context.Context, j job) error {
	in, err := j.open()
	if err != nil {
		return &core.Error{Kind: core.ErrNotFound, Op: "publish", Bucket: p.files.bucket.Name(), Key: j.Key, Err: err}
	}
	defer in.Close()
	up := core.Upload{
		Body: in, Replace: true,
		Trusted: &core.Trusted{Type: j.Type, Encoding: string(j.Encoding)},
		Options: core.ObjectOptions{CacheControl: j.cacheControl},
	}
	if j.mark != "" {
		up.Options.Metadata = map[string]string{markName: j.mark}
	}
	stored, err := p.files.bucket.Save(ctx, j.Key, up)
	if err != nil {
		return err
	}
	j.Size = stored.Size
	p.done(j.Item)
	return nil
}

func (p *publisher) done(item Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Uploaded = append(p.report.Uploaded, item)
	p.report.UploadedBytes += item.Size
	if p.options.Progress != nil {
		p.options.Progress(Progress{Item: item, Done: len(p.report.Uploaded), Total: p.total, Bytes: p.report.UploadedBytes})
	}
}

// open returns the variant's content as it is stored. Its end is an error where
// the source is no longer what its name was made of.
func (v variant) open() (io.ReadCloser, error) {
	in, err := v.file.open()
	if err != nil {
		return nil, err
	}
	checked := &checkedReader{in: in, sum: sha256.New(), file: v.file}
	if v.encoding == "" {
		return checked, nil
	}
	from, to := io.Pipe()
	go func() {
		err := v.encoding.compress(to, checked)
		_ = checked.Close()
		_ = to.CloseWithError(err) // nil is the end
	}()
	return from, nil // closing it ends the compression
}

// checkedReader compares a file's content with what it was when its name was made.
type checkedReader struct {
	in   io.ReadCloser
	sum  hash.Hash
	file *file
}

func (r *checkedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	_, _ = r.sum.Write(p[:n])
	if err == io.EOF && [sha256.Size]byte(r.sum.Sum(nil)) != r.file.sum {
		return n, &core.Error{
			Kind: core.ErrChecksum, Op: "read static file", Key: r.file.name,
			Detail: "its content is not what it was when it was read first", Advice: "publish again, when nothing writes to the sources",
		}
	}
	return n, err
}

func (r *checkedReader) Close() error { return r.in.Close() }

// modTime is when the file was written, for Last-Modified; zero in an embed.FS.
func (v variant) modTime() time.Time { return v.file.modified }
