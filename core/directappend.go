package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
)

// A direct upload in parts can also be sent through the app, piece by piece, as the
// tus protocol does it. A piece has any length and a part has not: what does not
// fill a part waits in an object beside, the rest, until the next piece comes. The
// rest says which part it is the beginning of, so that it goes out of date by
// itself when that part is there. While a piece is sent that may yet be discarded,
// the rest holds the upload where it stood: parts that were sent since do not
// count, and are written over. Any process can go on from what storage knows.

// DirectPiece is the next piece of a file that is sent through the app.
type DirectPiece struct {
	// Offset is where the piece begins: the upload has to stand there.
	Offset int64
	// Body is the content. What it gave before an error is kept.
	Body io.Reader
	// Interrupt, if set, makes a Read of Body that waits for its sender fail soon,
	// and every later one, as Upload.Interrupt does: what Body gave before is kept.
	Interrupt func()
	// Verify, if set, is asked once Body has been read. Its error has the whole piece
	// discarded, also if parts of it have been sent, and is returned as it is.
	Verify func() error
}

// restKey is where the rest of an upload waits. It has a lock's name, so that what
// removes old locks removes it too.
func restKey(key Key) Key { return besideKey(key, "rest "+key.Base()) }

const (
	metaRest = "filefield-rest" // the number of its part, and " held"
	restHeld = " held"
)

// standing is how far an upload has come.
type standing struct {
	full int    // parts that count
	sent int    // the number of the last part that is there, whether it counts or not
	rest int64  // bytes of the next one
	etag string // of the object that the rest is, or ""
	held bool
}

func (s standing) offset(t Token) int64 {
	if s.full == t.parts() {
		return t.Object.Size
	}
	return int64(s.full)*t.direct.partSize + s.rest
}

// DirectOffset returns how many bytes of a file in parts have arrived, of those
// that AppendDirect takes. ErrNotFound where the upload was completed or ended.
func (f *Field) DirectOffset(ctx context.Context, t Token) (int64, error) {
	s, err := f.standing(ctx, t)
	return s.offset(t), err
}

func (f *Field) standing(ctx context.Context, t Token) (s standing, err error) {
	if err := f.appendable("read offset", t); err != nil {
		return s, err
	}
	parts, err := f.DirectParts(ctx, t)
	if err != nil {
		return s, err
	}
	for i, p := range parts {
		s.sent = max(s.sent, p.Number)
		if s.full < i || p.Number != i+1 || i >= t.parts() || p.Size != t.partSize(i+1) {
			continue
		}
		s.full++
	}
	b, key := f.bucket, restKey(t.Object.Key)
	var info minio.ObjectInfo
	err = b.store.retry(ctx, b.at("read offset", key), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		info, err = b.store.internal.StatObject(ctx, b.name, key.s, minio.StatObjectOptions{})
		return err
	})
	if err != nil {
		return s, ignoreNotFound(err)
	}
	s.etag = info.ETag
	for name, value := range info.UserMetadata {
		if !strings.EqualFold(name, metaRest) {
			continue
		}
		text, held := strings.CutSuffix(value, restHeld)
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > t.parts() || info.Size >= t.partSize(n) {
			continue
		}
		if held && n <= s.full {
			s.full = n - 1
		}
		if n == s.full+1 {
			s.rest, s.held = info.Size, held
		}
	}
	return s, nil
}

// appendable says whether an upload takes pieces: one in parts, of a known size.
func (f *Field) appendable(op string, t Token) error {
	if err := f.inParts(op, t); err != nil {
		return err
	}
	if t.direct.unsized {
		return f.badToken(op, errors.New("the upload's size is not known"))
	}
	return nil
}

// AppendDirect adds a piece to a direct upload in parts, through the app, and
// returns how many of its bytes are kept. It holds one part in memory, under the
// Store's budget. An empty file, whose ticket is a PUT, is made by an empty piece.
// When it has all, CompleteDirect makes the file.
//
// One piece goes at a time: of two at once, the later one to keep a rest gets
// ErrPrecondition. So does a piece that begins elsewhere than the upload stands.
// ErrNotFound where the upload was completed or ended; what Body and Verify return;
// otherwise the storage's kinds.
func (f *Field) AppendDirect(ctx context.Context, t Token, piece DirectPiece) (n int64, err error) {
	if err := f.checkSubject(ctx, t); err != nil {
		return 0, err
	}
	if t.direct != nil && t.direct.method == DirectPut && t.Object.Size == 0 {
		with := f.config.Options
		with.Tags = f.pendingTags()
		if _, err = f.bucket.reserve(ctx, t.Object.Key, directID(t.Object.Key), with); KindOf(err) == ErrPrecondition {
			err = nil // it is there
		}
		return 0, err
	}
	s, err := f.standing(ctx, t)
	if err != nil {
		return 0, err
	}
	if at := s.offset(t); at != piece.Offset {
		return 0, f.directError(ErrPrecondition, "append", fmt.Sprintf("the upload stands at %d, the piece begins at %d", at, piece.Offset))
	}
	a := &appending{
		field: f, token: t, piece: piece, standing: s, part: &rope{},
		borrower: f.store.memory.borrower(),
	}
	a.borrower.most, _ = chunksOf(t.Object.Size-int64(s.full)*t.direct.partSize, t.direct.partSize)
	defer func() { a.borrower.drop(a.part.chunks) }()
	if err := a.load(ctx); err != nil {
		return 0, err
	}
	a.borrower.interrupt = piece.Interrupt // from now on it reads from the client
	err = a.run(ctx)
	return a.kept, err
}

// appending is a piece on its way.
type appending struct {
	field *Field
	token Token
	piece DirectPiece
	standing
	borrower *borrower
	part     *rope // the next part, as far as it goes
	kept     int64
}

// load fetches the rest.
func (a *appending) load(ctx context.Context) error {
	if a.rest == 0 {
		return nil
	}
	b, key := a.field.bucket, restKey(a.token.Object.Key)
	return b.store.retry(ctx, b.at("read rest", key), b.store.patience(), func(ctx context.Context, dog *watchdog, _ int) error {
		a.borrower.drop(a.part.chunks)
		a.part = &rope{}
		request := minio.GetObjectOptions{}
		if err := request.SetMatchETag(a.etag); err != nil {
			return err
		}
		body, _, _, err := b.store.internal.GetObject(ctx, b.name, key.s, request)
		if err != nil {
			return err
		}
		defer body.Close()
		a.borrower.dog = dog
		defer func() { a.borrower.dog = nil }()
		err = a.part.fillOf(ctx, a.borrower, &watchedReader{body, dog}, a.rest, a.token.partSize(a.full+1))
		if err == io.EOF && a.part.size < a.rest {
			return io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			return nil
		}
		return err
	})
}

// run reads the piece, and sends every part that it fills.
func (a *appending) run(ctx context.Context) error {
	last := a.token.parts()
	for a.full < last {
		want := a.token.partSize(a.full + 1)
		failed := a.part.fill(ctx, a.borrower, a.piece.Body, want)
		if a.part.size < want {
			return a.end(ctx, failed)
		}
		if err := a.guard(ctx, last); err != nil {
			return err
		}
		if err := a.send(ctx); err != nil {
			return err
		}
		a.count()
	}
	if a.etag != "" {
		if err := a.field.bucket.remove(ctx, restKey(a.token.Object.Key)); err != nil {
			a.kept = 0
			return err
		}
	}
	a.kept = a.token.Object.Size - a.piece.Offset
	return nil
}

// count says what is kept if nothing more comes.
func (a *appending) count() {
	if a.piece.Verify == nil && !a.held {
		a.kept = max(0, min(int64(a.full)*a.token.direct.partSize, a.token.Object.Size)-a.piece.Offset)
	}
}

// guard has a part sent only where the piece can still be discarded, or is known
// to be right.
func (a *appending) guard(ctx context.Context, last int) error {
	switch {
	case a.piece.Verify == nil:
		return nil
	case a.full+1 == last: // nothing may come behind it
		return a.piece.Verify()
	case a.held:
		return nil
	}
	return a.hold(ctx)
}

// hold marks where the upload stood before this piece.
func (a *appending) hold(ctx context.Context) error {
	before := &rope{chunks: a.part.chunks, size: a.rest}
	err := a.keep(ctx, before, restHeld)
	a.held = err == nil
	return err
}

// end keeps what does not fill a part.
func (a *appending) end(ctx context.Context, failed error) error {
	if failed == io.EOF {
		failed = nil
	}
	if a.piece.Verify != nil {
		if failed != nil { // it cannot be right
			return failed
		}
		if err := a.piece.Verify(); err != nil {
			return err
		}
	}
	var err error
	n := int64(a.full)*a.token.direct.partSize + a.part.size - a.piece.Offset
	switch {
	case n == 0:
	case a.sent > a.full: // discarded parts are still there, and must not count
		err = a.keep(ctx, a.part, restHeld)
	case a.part.size > 0:
		err = a.keep(ctx, a.part, "")
	case a.held:
		err = a.field.bucket.remove(ctx, restKey(a.token.Object.Key))
	}
	if err != nil {
		return err
	}
	a.kept = n
	return failed
}

// keep writes the rest, unless somebody else has done so meanwhile.
func (a *appending) keep(ctx context.Context, content *rope, mark string) error {
	b, key, id := a.field.bucket, restKey(a.token.Object.Key), newUploadID()
	options := minio.PutObjectOptions{
		DisableContentSha256: true, ServerSideEncryption: a.field.config.Options.Encryption,
		UserMetadata: map[string]string{metaUpload: id, metaRest: strconv.Itoa(a.full+1) + mark},
		UserTags:     map[string]string{pendingTag: pendingValue},
	}
	must := condition{free: a.etag == "", etag: a.etag}
	return b.store.retry(ctx, b.at("keep rest", key), b.store.patience(), func(ctx context.Context, dog *watchdog, tries int) error {
		reader := &ropeReader{rope: content, read: dog.moved}
		defer reader.release()
		info, err := b.putObject(ctx, key, reader, content.size, options, must)
		if tries > 0 && isPrecondition(err) {
			if own, ours, _ := b.written(ctx, key, id, nil); ours {
				a.etag = own.ETag
				return nil
			}
		}
		if err == nil {
			a.etag = info.ETag
		}
		return err
	})
}

// send sends the part that is full, and begins the next.
func (a *appending) send(ctx context.Context) error {
	b, key, part := a.field.bucket, a.token.Object.Key, a.part
	a.part = &rope{}
	a.borrower.send(part.chunks)
	defer a.borrower.sent(part.chunks)
	options := minio.PutObjectPartOptions{DisableContentSha256: true}
	err := b.store.retry(ctx, b.at("send part", key), b.store.patience(), func(ctx context.Context, dog *watchdog, _ int) error {
		reader := &ropeReader{rope: part, read: dog.moved}
		defer reader.release()
		_, err := b.putPart(ctx, key, a.token.direct.uploadID, a.full+1, reader, part.size, options)
		return err
	})
	if err == nil {
		a.full++
		a.rest = 0
	}
	return err
}
