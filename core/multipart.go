package core

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// largestUniform is the part size up to which an unsure bound (a field's limit,
// not the request's own length) decides for uniform parts. Above it parts grow,
// since buffering for the largest file imaginable would cost every small one.
const largestUniform = 16 * MiB

// partSize returns how many bytes the next part has, of a file of which sent
// bytes are on their way. Where a bound is known all parts are the same size
// (some storage insists on that), the smallest that reaches the bound in 10,000
// parts; else they grow so that 10,000 parts reach 5 TiB.
func (u *upload) partSize(sent int64) int64 {
	if size := u.in.Options.PartSize; size > 0 {
		return size
	}
	uniform := max(minPartSize, roundUp(ceilDiv(u.bound(), maxParts), MiB))
	if u.in.Limit > 0 || uniform <= largestUniform {
		return uniform
	}
	return min(maxPartSize, max(minPartSize, roundUp(sent/growth, MiB)))
}

// growth: a part has a 1,200th of what was sent before it. Parts stay at 5 MiB
// up to 5.9 GiB, have 86 MiB at 100 GiB, and 5 TiB is reached with part 9,216,
// which like those before it has 4.3 GiB.
const growth = 1200

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

func roundUp(n, unit int64) int64 { return ceilDiv(n, unit) * unit }

// large stores a file that goes on after its first part.
func (u *upload) large(ctx context.Context, first *rope) error {
	// One byte more tells a file of exactly one part from a longer one.
	second := &rope{}
	defer func() { u.borrower.drop(second.chunks) }()
	switch err := second.fill(ctx, u.borrower, u.body, 1); err {
	case nil:
	case io.EOF: //nolint:errorlint // the end is io.EOF itself; wrapped, it is a failure
		return u.single(ctx, first)
	default:
		return u.readError(ctx, err)
	}
	reserved, err := u.claimKey(ctx)
	if err != nil {
		if reached(err) {
			u.sweep(ctx, u.object.Key, err)
		}
		return err
	}
	m := &multipart{upload: u, key: u.object.Key, reserved: reserved}
	returned := false
	defer func() {
		if !returned { // the body or the progress function panicked
			m.giveUp(ctx, nil)
		}
	}()
	if err = m.create(ctx); err == nil {
		err = u.note(ctx, m.key, m.id)
	}
	if err == nil {
		if err = m.stream(ctx, first, second); err == nil {
			m.completing = true
			err = m.complete(ctx)
		}
	}
	returned = true
	if err == nil {
		return nil
	}
	m.giveUp(ctx, err)
	if KindOf(err) == ErrPrecondition {
		return u.taken() // at the very end, by one who replaced what held the place
	}
	return err
}

// giveUp removes what a failed upload may have left: its parts, and an object at
// its key where there can be one.
func (m *multipart) giveUp(ctx context.Context, why error) {
	if m.completing {
		// Only after an abort is it certain whether the object came into being.
		m.abort(ctx, why)
		if m.reserved != "" || reached(why) {
			m.upload.sweep(ctx, m.key, why)
		}
		return
	}
	var both sync.WaitGroup // storage that does not answer takes up the time of each
	if m.id != "" {
		both.Go(func() { m.abort(ctx, why) })
	}
	if m.reserved != "" {
		both.Go(func() { m.upload.sweep(ctx, m.key, why) })
	}
	both.Wait()
}

// claimKey makes a key that others may want ours before the parts are sent:
// when a multipart upload is completed it is too late for an alternative. An
// empty object holds the place, and completion replaces exactly that one,
// atomically. It returns the object's ETag, or "" where none was needed.
func (u *upload) claimKey(ctx context.Context) (reserved string, err error) {
	if u.unique || u.in.Replace {
		return "", u.note(ctx, u.object.Key, MultipartStarting)
	}
	for range maxAlternatives {
		err := u.note(ctx, u.object.Key, "")
		if err == nil {
			reserved, err = u.bucket.reserve(ctx, u.object.Key, u.id, ObjectOptions{Encryption: u.in.Options.Encryption})
		}
		if KindOf(err) != ErrPrecondition {
			return reserved, err
		}
		if err := u.rename(ctx); err != nil {
			return "", err
		}
	}
	return "", u.taken()
}

// multipart is an S3 multipart upload under way.
type multipart struct {
	upload *upload
	key    Key
	id     string
	// reserved is the ETag of the empty object that holds the key, or "".
	reserved string
	// completing says that an object may have come into being.
	completing bool

	mu    sync.Mutex
	parts []minio.ObjectPart
}

func (m *multipart) create(ctx context.Context) error {
	u := m.upload
	options := u.putOptions()
	if u.in.Options.Checksum == ChecksumCRC32C {
		options.UserMetadata["x-amz-checksum-algorithm"] = "CRC32C"
		options.UserMetadata["x-amz-checksum-type"] = "FULL_OBJECT"
	}
	repeated := false
	ctx, cancel := outlasting(ctx)
	defer cancel()
	err := u.store.retry(ctx, u.at("start multipart upload", m.key), u.store.patience(), func(ctx context.Context, _ *watchdog, tries int) (err error) {
		repeated = tries > 0
		m.id, err = u.store.internal.NewMultipartUpload(ctx, u.bucket.name, m.key.String(), options)
		return err
	})
	if (repeated || err != nil && reached(err)) && !u.in.Replace {
		m.abortUnknown(ctx, err)
	}
	return err
}

// createGrace is how long the answer to a creation is awaited although the caller
// has gone. Cut off at once, the server may make the upload after we have looked
// for it.
const createGrace = time.Second

// outlasting returns a context that ends createGrace after ctx does.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(createGrace, cancel) })
	return longer, func() { stop(); cancel() }
}

// leftToSystem is how much of the next part is not read while no part may be sent: the
// system's own buffers hold it as well, and reading it takes less than a millisecond
// once it has come.
const leftToSystem = 3 * MiB / 2

// stream sends the parts, reading the next while the last is on its way.
func (m *multipart) stream(ctx context.Context, part, next *rope) error {
	u := m.upload
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u.body.ctx = ctx // a part that fails ends the reading, too
	slots := make(chan struct{}, max(1, u.in.Options.ParallelParts))
	var sending sync.WaitGroup
	arriving, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer m.settle(&sending, cut)

	var sent int64
	for number, ended := 1, false; part.size > 0; number++ {
		if number > maxParts {
			return u.refuse(ErrTooLarge, "the file has more than 10,000 parts of the configured size")
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return m.failed(ctx)
		}
		size, err := u.partSize(sent), error(nil)
		if !ended {
			if ended, err = m.read(ctx, part, size, size); err != nil {
				cancel(err)
				return err
			}
		}
		sent += part.size
		m.dispatch(arriving, cancel, &sending, slots, number, part)
		if ended {
			break
		}
		size = u.partSize(sent)
		if ended, err = m.read(ctx, next, size-min(leftToSystem, size/2), size); err != nil {
			cancel(err)
			return err
		}
		part, next = next, &rope{}
		defer func(r *rope) { u.borrower.drop(r.chunks) }(next)
	}
	// Every slot free again is every part sent.
	for range cap(slots) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return m.failed(ctx)
		}
	}
	if ctx.Err() != nil {
		return m.failed(ctx)
	}
	return m.finish(sent)
}

// read fills a part of a size up to so many bytes, and says whether the file ended
// with them.
func (m *multipart) read(ctx context.Context, part *rope, upTo, size int64) (ended bool, err error) {
	u := m.upload
	switch err := part.fillOf(ctx, u.borrower, u.body, upTo, size); err {
	case nil:
		return false, nil
	case io.EOF: //nolint:errorlint // the end is io.EOF itself; wrapped, it is a failure
		return true, nil
	default:
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
			return false, m.failed(ctx)
		}
		return false, u.readError(ctx, err)
	}
}

// settle waits for parts under way, for a moment, before it cuts them off: an
// abort does not reach what the server is still receiving, and the part would
// bring the upload back (S3's AbortMultipartUpload says so).
func (m *multipart) settle(sending *sync.WaitGroup, cut context.CancelFunc) {
	late := time.AfterFunc(m.upload.store.config.Timeout/5, cut)
	sending.Wait()
	late.Stop()
	cut()
}

// failed returns the error that ended the parts' context: a part's, or the
// caller's cancellation.
func (m *multipart) failed(ctx context.Context) error {
	u := m.upload
	return u.store.mapError(ctx, u.at("send parts", m.key), context.Cause(ctx))
}

// dispatch sends one part in the background. The chunks now belong to it.
func (m *multipart) dispatch(ctx context.Context, fail context.CancelCauseFunc, sending *sync.WaitGroup, slots chan struct{}, number int, part *rope) {
	b := m.upload.borrower
	moving := &rope{chunks: part.chunks, size: part.size, crc: part.crc}
	part.chunks = nil
	b.send(moving.chunks)
	sending.Go(func() {
		defer func() {
			b.sent(moving.chunks)
			<-slots
		}()
		if err := m.send(ctx, number, moving); err != nil {
			fail(err)
		}
	})
}

func (m *multipart) send(ctx context.Context, number int, part *rope) error {
	u := m.upload
	options := minio.PutObjectPartOptions{SSE: customerKey(u.in.Options.Encryption), DisableContentSha256: true}
	return u.store.retry(ctx, u.at("send part", m.key), u.store.patience(), func(ctx context.Context, dog *watchdog, _ int) error {
		options.CustomHeader = http.Header{}
		if u.in.Options.Checksum == ChecksumCRC32C {
			options.CustomHeader.Set("x-amz-checksum-crc32c", part.checksum())
		}
		reader := &ropeReader{rope: part, read: dog.moved}
		defer reader.release()
		done, err := u.bucket.putPart(ctx, m.key, m.id, number, reader, part.size, options)
		if err != nil {
			return err
		}
		if u.in.Options.Checksum == ChecksumCRC32C {
			done.ChecksumCRC32C = part.checksum()
		}
		m.mu.Lock()
		m.parts = append(m.parts, done)
		m.mu.Unlock()
		return nil
	})
}

// finish puts the parts in order and combines their checksums.
func (m *multipart) finish(size int64) error {
	u := m.upload
	slices.SortFunc(m.parts, func(a, b minio.ObjectPart) int { return a.PartNumber - b.PartNumber })
	u.object.Size = size
	if u.in.Options.Checksum != ChecksumCRC32C {
		return nil
	}
	sum, err := minio.ChecksumFullObjectCRC32C.FullObjectChecksum(m.parts)
	if err != nil {
		return &Error{Kind: ErrChecksum, Op: "combine checksums", Bucket: u.bucket.name, Key: m.key.String(), Err: err}
	}
	u.object.CRC32C = sum.Encoded()
	return nil
}

func (m *multipart) complete(ctx context.Context) error {
	u := m.upload
	options := minio.PutObjectOptions{ServerSideEncryption: customerKey(u.in.Options.Encryption)}
	if u.object.CRC32C != "" {
		options.UserMetadata = map[string]string{"x-amz-checksum-crc32c": u.object.CRC32C, "x-amz-checksum-type": "FULL_OBJECT"}
	}
	switch {
	case m.reserved != "":
		options.SetMatchETag(m.reserved)
	case !u.in.Replace:
		options.SetMatchETagExcept("*")
	}
	parts := make([]minio.CompletePart, len(m.parts))
	for i, p := range m.parts {
		parts[i] = minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C}
	}
	return u.store.retry(ctx, u.at("complete upload", m.key), u.store.config.FinishTimeout, func(ctx context.Context, _ *watchdog, tries int) error {
		info, err := u.store.internal.CompleteMultipartUpload(ctx, u.bucket.name, m.key.String(), m.id, parts, options)
		if tries > 0 && (isPrecondition(err) || isUploadGone(err)) {
			own, ours, lookUp := u.bucket.written(ctx, m.key, u.id, u.in.Options.Encryption)
			if ours && own.Size == u.object.Size { // not the reserved place
				u.stored(own.ETag, own.VersionID)
				return nil // the answer to an earlier try was lost, not the object
			}
			err = orUnknown(err, lookUp)
		}
		u.stored(info.ETag, info.VersionID)
		return err
	})
}

func isUploadGone(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.Code == "NoSuchUpload"
}

// abort gives the parts back to the storage, on a context of its own.
func (m *multipart) abort(ctx context.Context, why error) {
	u := m.upload
	ctx, cancel := u.store.afterwards(ctx, why)
	defer cancel()
	if err := m.abortID(ctx, m.id); err != nil {
		u.store.warn(ctx, "a multipart upload may have been left open", err)
	}
}

func (m *multipart) abortID(ctx context.Context, id string) error {
	u := m.upload
	return u.store.retry(ctx, u.at("abort upload", m.key), u.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
		err := u.store.internal.AbortMultipartUpload(ctx, u.bucket.name, m.key.String(), id)
		if isUploadGone(err) {
			return nil
		}
		return err
	})
}

// abortUnknown ends an upload whose creation was not answered, so that its id
// is not known. Under a random key every upload but this one is such a one; under
// a reserved key those that were started since it was reserved are.
func (m *multipart) abortUnknown(ctx context.Context, why error) {
	u := m.upload
	ctx, cancel := u.store.afterwards(ctx, why)
	defer cancel()
	var since time.Time
	if m.reserved != "" {
		own, ours, err := u.bucket.written(ctx, m.key, u.id, u.in.Options.Encryption)
		if err != nil || !ours {
			u.store.warn(ctx, "a multipart upload may have been left open", why)
			return
		}
		since = own.LastModified.Truncate(time.Second)
	}
	open, err := u.bucket.openUploads(ctx, m.key)
	if err != nil {
		u.store.warn(ctx, "a multipart upload may have been left open", err)
		return
	}
	for _, one := range open {
		if one.UploadID == m.id || one.Initiated.Before(since) {
			continue
		}
		if err := m.abortID(ctx, one.UploadID); err != nil {
			u.store.warn(ctx, "a multipart upload may have been left open", err)
		}
	}
}
