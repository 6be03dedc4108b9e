package variant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/filefield/filefield/core"
)

const (
	defaultMemory  = 256 << 20
	defaultTimeout = 30 * time.Second
	defaultQuality = 82
	// headBytes is how much of a file is read before it is decided what it may cost.
	headBytes = 1 << 20
	// maxScans bounds the scans of a progressive JPEG, each of which costs the decoder
	// a pass over the image. Encoders write about 10.
	maxScans = 50
)

// Config shapes a Maker. The zero value is good for most.
type Config struct {
	// Codec decodes and encodes. Default: Standard.
	Codec Codec
	// Memory is how many bytes all images may take that are being made at a time:
	// files, pixels and results. Others wait; one that needs more by itself is
	// refused with core.ErrPixels. Default 256 MiB, which is enough for a JPEG of
	// 100 megapixels as cameras write it, for a progressive one of 25, and for 40 megapixels
	// of most other formats.
	Memory int64
	// Parallel is how many images are made at a time, if they have room. Default:
	// as many as there are processors.
	Parallel int
	// Timeout is how long making the variants of an image may take, waiting for its
	// turn included. Default 30 seconds.
	Timeout time.Duration
}

// Maker makes variants: a core.VariantMaker. One serves any number of fields and
// Stores, and bounds what they take together. It starts no goroutine that outlives
// its Timeout. Safe for concurrent use.
type Maker struct {
	config Config
	turns  *semaphore.Weighted
	memory *semaphore.Weighted
	flight singleflight.Group
	failed failures
}

// New returns a Maker.
func New(config Config) *Maker {
	if config.Codec == nil {
		config.Codec = Standard{}
	}
	if config.Memory <= 0 {
		config.Memory = defaultMemory
	}
	if config.Parallel <= 0 {
		config.Parallel = runtime.GOMAXPROCS(0)
	}
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	return &Maker{config: config, turns: semaphore.NewWeighted(int64(config.Parallel)), memory: semaphore.NewWeighted(config.Memory)}
}

// CheckVariant says whether the codec writes the variant's format.
func (m *Maker) CheckVariant(v core.Variant) error {
	if v.Format != "" && !m.config.Codec.Writes(v.Format) {
		return fmt.Errorf("the codec does not write %s: give variant.Config a Codec that does, or declare image/jpeg or image/png", v.Format)
	}
	return nil
}

// MakeVariants makes the named variants of a file that do not exist. All who want
// the same at a time get the same answer, of work that is done once; it goes on when
// they leave. Errors: core.ErrType, core.ErrPixels and core.ErrInvalid for what is
// not to be decoded, which is remembered for some minutes; core.ErrUnavailable
// where there was no turn within Timeout; otherwise the storage's kinds.
func (m *Maker) MakeVariants(ctx context.Context, f *core.Field, original core.Object, names []string) error {
	id := strings.Join(append([]string{f.Store().Endpoint(), f.Bucket().Name(), f.Config().Model, f.Name(), original.Key.String()}, names...), "\x00")
	done := m.flight.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), m.config.Timeout, errTime)
		defer cancel()
		err := m.make(ctx, f, original, names)
		if core.KindOf(err) == core.ErrPrecondition { // replaced meanwhile: of the new one, then
			err = m.make(ctx, f, original, names)
		}
		if core.KindOf(err) == core.ErrCanceled { // nobody but the clock ends this context
			err = &core.Error{Kind: core.ErrUnavailable, Op: "make variant", Field: f.Name(), Err: errTime, Advice: "raise the Maker's Timeout, or make fewer at a time"}
		}
		return nil, err
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return &core.Error{Kind: core.ErrCanceled, Op: "make variant", Field: f.Name(), Err: context.Cause(ctx)}
	}
}

var errTime = errors.New("making the variants took too long")

// job is one original on its way to its variants.
type job struct {
	*Maker
	field    *core.Field
	original core.Object // as it was opened
	variants []core.Variant
	head     core.ImageHead
}

func (j *job) refuse(kind core.Kind, detail string, cause error) error {
	return &core.Error{
		Kind: kind, Op: "make variant", Field: j.field.Name(), Bucket: j.original.Bucket, Key: j.original.Key.String(), Detail: detail, Err: cause,
	}
}

func (m *Maker) make(ctx context.Context, f *core.Field, original core.Object, names []string) error {
	j := &job{Maker: m, field: f, original: original}
	if err := m.turns.Acquire(ctx, 1); err != nil {
		return j.refuse(core.ErrUnavailable, "too many images are being made", context.Cause(ctx))
	}
	defer m.turns.Release(1)
	file, err := f.Open(ctx, original.Key, core.OpenOptions{})
	if err != nil {
		return err
	}
	defer file.Close()
	j.original = file.Object
	if original.Name != "" {
		j.original.Name = original.Name
	}
	if err := m.failed.of(j.original); err != nil {
		return err
	}
	if err := j.missing(ctx, names); err != nil || len(j.variants) == 0 {
		return err
	}
	err = j.run(ctx, file)
	switch core.KindOf(err) {
	case core.ErrType, core.ErrPixels, core.ErrInvalid:
		m.failed.note(j.original, err)
	}
	return err
}

// missing chooses the variants that do not exist.
func (j *job) missing(ctx context.Context, names []string) error {
	for _, name := range names {
		for _, v := range j.field.Config().Variants {
			if v.Name != name {
				continue
			}
			has, err := j.field.HasVariant(ctx, j.original, name)
			if err != nil {
				return err
			}
			if !has {
				j.variants = append(j.variants, v)
			}
		}
	}
	return nil
}

// run decides what the image costs, waits until there is room, and makes the
// variants.
func (j *job) run(ctx context.Context, file *core.File) error {
	start, err := io.ReadAll(io.LimitReader(file, headBytes))
	if err != nil {
		return err
	}
	cost, err := j.admit(start, file.Size)
	if err != nil {
		return err
	}
	if err := j.memory.Acquire(ctx, cost); err != nil {
		return j.refuse(core.ErrUnavailable, "too many images are being made", context.Cause(ctx))
	}
	defer j.memory.Release(cost)

	content := make([]byte, file.Size)
	n := copy(content, start)
	if _, err := io.ReadFull(file, content[n:]); err != nil {
		return err
	}
	_ = file.Close() // decoding may take a while
	return j.makeAll(ctx, content)
}

// admit reads the head of the file and returns what making its variants takes in
// bytes, or why it is not done.
func (j *job) admit(start []byte, size int64) (cost int64, err error) {
	typ, _ := core.Accept("").Match(start[:min(len(start), core.SniffLen)], j.original.Name)
	if !j.config.Codec.Reads(typ) {
		return 0, j.refuse(core.ErrType, "there are no variants of files of type "+typ, nil)
	}
	j.original.Type = typ // by content, whatever is stored
	head, ok := core.ReadImageHead(typ, bytes.NewReader(start))
	if !ok {
		return 0, j.refuse(core.ErrInvalid, "the image's width and height cannot be read", nil)
	}
	j.head = head
	most := j.field.Config().MaxPixels
	if most > 0 && int64(head.Width) > most/int64(head.Height) {
		return 0, j.refuse(core.ErrPixels, fmt.Sprintf("the image is %d by %d pixels, the most is %d in all", head.Width, head.Height, most), nil)
	}
	if size > j.config.Memory || int64(head.Width) > j.config.Memory/int64(head.Height) { // before they are multiplied
		return 0, j.tooMuch()
	}
	for _, v := range j.variants {
		cost = max(cost, renderBytes(v, head))
	}
	cost += size + decodedBytes(typ, start, head.Width, head.Height)
	if cost > j.config.Memory {
		return 0, j.tooMuch()
	}
	return cost, nil
}

func (j *job) tooMuch() error {
	return j.refuse(core.ErrPixels, fmt.Sprintf("an image of %d by %d pixels takes more memory than variants may", j.head.Width, j.head.Height), nil)
}

// prepare looks at the whole file and decodes it.
func (j *job) prepare(ctx context.Context, content []byte) (image.Image, error) {
	if scans, _ := core.CountFrames(j.original.Type, bytes.NewReader(content)); j.original.Type == "image/jpeg" && scans > maxScans {
		return nil, j.refuse(core.ErrPixels, fmt.Sprintf("the image has more than %d scans", maxScans), nil)
	}
	if j.head.Orientation == 0 { // it may stand behind the pixels
		whole, _ := core.ReadImageHead(j.original.Type, bytes.NewReader(content))
		j.head.Orientation = whole.Orientation
	}
	return j.decode(ctx, content)
}

func (j *job) makeAll(ctx context.Context, content []byte) error {
	picture, err := j.prepare(ctx, content)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range j.variants {
		made, err := j.encode(ctx, picture, v)
		if err == nil {
			_, err = j.field.StoreVariant(ctx, j.original, v.Name, made)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// decode decodes the image. A decoder that panics over what it is given has refused
// it.
func (j *job) decode(ctx context.Context, content []byte) (m image.Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, j.refuse(core.ErrInvalid, "the image is damaged", fmt.Errorf("the decoder panicked: %v", r))
		}
	}()
	m, err = j.config.Codec.Decode(j.original.Type, &timedReader{ctx, bytes.NewReader(content)})
	switch {
	case ctx.Err() != nil:
		return nil, j.refuse(core.ErrUnavailable, "", context.Cause(ctx))
	case err != nil:
		return nil, j.refuse(core.ErrInvalid, "the image is damaged", err)
	}
	full := image.Rect(0, 0, j.head.Width, j.head.Height)
	switch {
	case j.original.Type == "image/gif" && m.Bounds().In(full):
		return whole(m, j.head.Width, j.head.Height), nil
	case m.Bounds().Size() != full.Size():
		return nil, j.refuse(core.ErrInvalid, "the image is damaged", errors.New("the pixels are of another size than the head says"))
	}
	return m, nil
}

// encode makes one variant.
func (j *job) encode(ctx context.Context, picture image.Image, v core.Variant) (content []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			content, err = nil, j.refuse(core.ErrInvalid, "the variant cannot be made", fmt.Errorf("the codec panicked: %v", r))
		}
	}()
	made, err := render(ctx, picture, j.head.Orientation, v)
	if err != nil {
		return nil, j.refuse(core.ErrUnavailable, "", err)
	}
	format, quality := v.FormatOf(j.original.Type), v.Quality
	if format == "image/jpeg" {
		made = onWhite(made)
	}
	if quality == 0 {
		quality = defaultQuality
	}
	var to bytes.Buffer
	if err := j.config.Codec.Encode(format, &to, made, quality); err != nil {
		return nil, j.refuse(core.ErrInvalid, "the variant cannot be made", err)
	}
	return to.Bytes(), nil
}

// timedReader has a decoder stop when its time is up.
type timedReader struct {
	ctx  context.Context
	from io.Reader
}

func (r *timedReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.from.Read(p)
}
