package core

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// A direct upload is claimed in three steps. A marker beside the object, which can
// be created once and stays for longer than the token lives, decides which of
// several requests has it, or an entry in a database (see Claims), if the upload was
// begun so: its token says which, since the two do not know of each other. The content is looked at, at the same time, unless
// CompleteDirect has done so. Then the object is made the row's: where nobody but
// this library can write to its key, the mark is taken off (and its headers are
// made right by a copy onto itself, where they are not); a posted file is copied to
// its key, exactly the version that was looked at.
//
// Without a database two requests could not do all of it: the servers have
// conditions for writing an object but none for tags or a copy's target, so that
// taking and unmarking are two writes. Who completes the upload first gets by with
// those two.

// markerKey is where the marker of a direct upload is.
func markerKey(key Key) Key { return besideKey(key, "direct "+key.Base()) }

// arrival is what was found of an upload.
type arrival struct {
	object Object
	mend   bool // its headers are not as they should be
}

// claimDirect takes the file of a direct upload for this request.
func (f *Field) claimDirect(ctx context.Context, txn *Txn, t Token) (Object, error) {
	b := f.bucket
	type inspected struct {
		arrival
		err error
	}
	found := make(chan inspected, 1)
	looking, stop := context.WithCancel(ctx)
	defer stop()
	if t.direct.verified {
		o := t.Object
		o.ETag = t.direct.etag
		found <- inspected{arrival: arrival{o, t.direct.mend}}
	} else {
		go func() {
			a, err := f.inspect(looking, t)
			found <- inspected{a, err}
		}()
	}
	release, err := f.takeDirect(ctx, t)
	if err != nil {
		stop()
		<-found
		if KindOf(err) == ErrPrecondition {
			return Object{}, f.usedToken("claim")
		}
		return Object{}, err
	}
	seen := <-found
	if seen.err != nil {
		b.tidy(ctx, seen.err, release)
		return Object{}, seen.err
	}
	journal := JournalFrom(ctx)
	if journal != nil { // before a row's file is without its mark
		if err := journal.Writing(ctx, f.claimed(t)); err != nil {
			b.tidy(ctx, err, f.waitAgain(t, journal, nothing, release))
			return Object{}, err
		}
	}
	if unsettle, err := f.settleDirect(ctx, t, seen.arrival); err != nil {
		b.tidy(ctx, err, f.waitAgain(t, journal, unsettle, release))
		return Object{}, err
	}
	return f.tookDirect(ctx, txn, t, seen.object, release)
}

// takeDirect decides that nobody else takes the upload, and returns what takes that
// back; ErrPrecondition where it has been decided before.
func (f *Field) takeDirect(ctx context.Context, t Token) (release func(context.Context) error, err error) {
	b := f.bucket
	// What came into being after its request was given up would end the token.
	kept := context.WithoutCancel(ctx)
	if !t.direct.noted {
		return b.take(kept, markerKey(t.Object.Key))
	}
	claims, ok := JournalFrom(ctx).(Claims)
	if !ok {
		return nil, &Error{
			Kind: ErrConfig, Op: "claim", Field: f.config.Name, Bucket: b.name, Err: errors.New("the upload was begun under a ledger, and is claimed without it"),
			Advice: "have the ledger's middleware around both the endpoint of direct uploads and the routes that take their tokens, or around neither",
		}
	}
	return b.note(kept, claims, Claim{Key: t.Object.Key, Until: t.Expires})
}

// note has claims note a claim, and returns what releases it.
func (b *Bucket) note(ctx context.Context, claims Claims, c Claim) (release func(context.Context) error, err error) {
	c.Bucket, c.ID = b.name, newUploadID()
	release = func(ctx context.Context) error { return claims.Release(ctx, c) }
	limited, cancel := context.WithTimeout(ctx, b.store.patience())
	defer cancel()
	if err = claims.Claim(limited, c); err != nil && KindOf(err) != ErrPrecondition {
		b.tidy(ctx, err, release)
	}
	return release, err
}

func (f *Field) usedToken(op string) error {
	return &Error{
		Kind: ErrToken, Op: op, Field: f.config.Name, Err: errors.New("the upload has been taken before"),
		Detail: "This file has been used before; choose the file again.",
	}
}

// claimed is what a Journal is told of a claim.
func (f *Field) claimed(t Token) Written {
	return Written{Bucket: f.bucket.name, Key: t.Object.Key, Upload: directID(t.Object.Key)}
}

// tookDirect has the transaction decide about a file that was taken.
func (f *Field) tookDirect(ctx context.Context, txn *Txn, t Token, o Object, release func(context.Context) error) (Object, error) {
	journal, claimed := JournalFrom(ctx), f.claimed(t)
	file := txn.took(&txnFile{bucket: claimed.Bucket, key: claimed.Key, upload: claimed.Upload, journal: journal})
	waitAgain := f.waitAgain(t, journal, f.unsettle(t), release)
	undo := func(ctx context.Context) error {
		if !file.end() {
			return f.forgetStaged(ctx, t) // it was kept: it stays taken, since another token stands for it now
		}
		return waitAgain(ctx)
	}
	if err := txn.OnRollback(undo); err != nil {
		f.bucket.tidy(ctx, err, undo) // the transaction ended meanwhile
		return Object{}, err
	}
	if t.direct.method != DirectPost {
		return o, nil
	}
	return o, txn.OnCommit(func(ctx context.Context) error { return f.forgetStaged(ctx, t) })
}

// settleDirect makes the object the row's. Where it fails, unsettle undoes what may
// have happened.
func (f *Field) settleDirect(ctx context.Context, t Token, a arrival) (unsettle func(context.Context) error, err error) {
	b := f.bucket
	if t.direct.method == DirectPost || a.mend {
		err = f.copyDirect(ctx, t, a.object)
	} else {
		err = b.setTags(ctx, t.Object.Key, f.config.Options.Tags)
	}
	switch KindOf(err) {
	case ErrNotFound:
		return nothing, f.badToken("claim", errors.New("the file has been removed"))
	case ErrPrecondition:
		return nothing, &Error{
			Kind: ErrToken, Op: "claim", Field: f.config.Name, Err: err,
			Detail: "This file was changed after it had been checked; choose the file again.",
		}
	}
	if err != nil && reached(err) {
		return f.unsettle(t), err
	}
	return nothing, err
}

// copyDirect copies exactly the version that was looked at to where the row finds
// it, with the headers it should have.
func (f *Field) copyDirect(ctx context.Context, t Token, o Object) error {
	b, key := f.bucket, t.Object.Key
	if o.Size > maxCopySize {
		return f.directError(ErrType, "claim", fmt.Sprintf("the file was found to be of type %s: announce it as that", o.Type))
	}
	options := f.directHeaders(o)
	keep := f.config.Options
	return b.store.retry(ctx, b.at("claim", key), b.store.config.FinishTimeout, func(ctx context.Context, _ *watchdog, _ int) error {
		target := minio.CopyDestOptions{
			Bucket: b.name, Object: key.s, Encryption: keep.Encryption,
			ReplaceMetadata: true, UserMetadata: options.UserMetadata, ReplaceTags: true, UserTags: keep.Tags,
			ContentType: options.ContentType, ContentDisposition: options.ContentDisposition, CacheControl: options.CacheControl,
			Mode: keep.Retention.Mode, RetainUntilDate: keep.Retention.Until,
		}
		if keep.LegalHold {
			target.LegalHold = minio.LegalHoldEnabled
		}
		source := minio.CopySrcOptions{Bucket: b.name, Object: t.at().s, MatchETag: o.ETag}
		_, err := b.store.internal.Client.CopyObject(ctx, target, source)
		return err
	})
}

// waitAgain is what has an upload that was taken wait for the next claim: the object
// first, then what was noted of it, and then another may take it.
func (f *Field) waitAgain(t Token, journal Journal, unsettle, release func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := unsettle(ctx)
		if err == nil && journal != nil {
			err = journal.Gone(ctx, f.claimed(t))
		}
		return errors.Join(err, release(ctx))
	}
}

// unsettle is what makes the object as it was before it was taken.
func (f *Field) unsettle(t Token) func(context.Context) error {
	return func(ctx context.Context) error {
		if t.direct.method == DirectPost {
			return f.bucket.remove(ctx, t.Object.Key)
		}
		return ignoreNotFound(f.bucket.setTags(ctx, t.Object.Key, f.pendingTags()))
	}
}

// nothing undoes nothing.
func nothing(context.Context) error { return nil }

// forgetStaged removes a posted file that has been copied.
func (f *Field) forgetStaged(ctx context.Context, t Token) error {
	if t.direct.method == DirectPost {
		return f.bucket.remove(ctx, t.direct.staging)
	}
	return nil
}

// CompleteDirect says that the client has sent everything. It makes the object of
// a multipart upload, checks the content as Claim would, and returns a token that
// Claim takes with less work, and what is known of the file. For a file that is
// PUT or posted it need not be called, but tells the client early. What the field
// does not take is removed. parts are those a client believes it has sent, or nil.
//
// Errors: ErrUnfinished, ErrTooLarge, ErrEmpty, ErrType, ErrInvalid (the content is
// other than announced, dimensions), ErrToken, and the storage's kinds.
func (f *Field) CompleteDirect(ctx context.Context, t Token, parts []DirectPart) (string, Object, error) {
	if err := f.checkSubject(ctx, t); err != nil {
		return "", Object{}, err
	}
	if t.direct == nil {
		return "", Object{}, f.badToken("complete upload", errors.New("the token is not of a direct upload"))
	}
	if t.direct.verified {
		return f.signDirect(t), t.Object, nil
	}
	if t.direct.method == DirectMultipart {
		if err := f.assemble(ctx, t, parts); err != nil {
			return "", Object{}, err
		}
	}
	a, err := f.inspect(ctx, t)
	if refused := KindOf(err); refused == ErrTooLarge || refused == ErrEmpty || refused == ErrType || refused == ErrInvalid || refused == ErrPixels {
		f.bucket.tidy(ctx, err, func(ctx context.Context) error { return f.abandon(ctx, t) })
	}
	if err != nil {
		return "", Object{}, err
	}
	verified := *t.direct
	verified.verified, verified.mend, verified.etag = true, a.mend, a.object.ETag
	t.direct, t.Object = &verified, a.object
	token := f.signDirect(t)
	a.object.ETag = t.direct.etag
	return token, a.object, nil
}

// AbortDirect ends an upload that nobody wants any more: its parts or its object go,
// and its token is good for nothing. ErrTaken for one that has been claimed.
func (f *Field) AbortDirect(ctx context.Context, t Token) error {
	if err := f.checkSubject(ctx, t); err != nil {
		return err
	}
	if t.direct == nil {
		return f.badToken("abort upload", errors.New("the token is not of a direct upload"))
	}
	if t.direct.method == DirectMultipart {
		err := f.store.retry(ctx, f.bucket.at("abort upload", t.Object.Key), f.store.patience(), func(ctx context.Context, _ *watchdog, _ int) error {
			return f.store.internal.AbortMultipartUpload(ctx, f.bucket.name, t.Object.Key.s, t.direct.uploadID)
		})
		if err != nil && !isUploadGone(err) {
			return err
		}
		if err := f.bucket.remove(ctx, restKey(t.Object.Key)); err != nil { // see AppendDirect
			return err
		}
	}
	err := f.abandon(ctx, t)
	if KindOf(err) == ErrPrecondition {
		return f.directError(ErrTaken, "abort upload", "the file has been used")
	}
	return err
}

// abandon removes what was uploaded. It is taken first, and stays so: what is sent
// to the same place again is never claimed.
func (f *Field) abandon(ctx context.Context, t Token) error {
	if _, err := f.takeDirect(ctx, t); err != nil {
		return err
	}
	return f.bucket.remove(ctx, t.at())
}

// inspect looks at what was uploaded, in one request, and holds it against the
// token and the field's rules, as the uploader does with what passes through.
func (f *Field) inspect(ctx context.Context, t Token) (a arrival, err error) {
	const op = "claim"
	b, key := f.bucket, t.at()
	err = b.store.retry(ctx, b.at(op, key), b.store.patience(), func(ctx context.Context, dog *watchdog, _ int) error {
		// Without a range storage answers with the checksum it has verified.
		request := minio.GetObjectOptions{Checksum: true}
		if t.direct.unsized || t.Object.Size > directHead {
			_ = request.SetRange(0, directHead-1)
			request.Checksum = false
		}
		body, info, header, err := b.store.internal.GetObject(ctx, b.name, key.s, request)
		if err != nil {
			return err
		}
		defer body.Close()
		if _, size, ok := contentRange(header.Get("Content-Range")); ok {
			info.Size = size
		}
		a, err = f.examine(ctx, t, info, header, &watchedReader{body, dog})
		return err
	})
	switch KindOf(err) {
	case ErrNotFound:
		return a, f.directError(ErrUnfinished, op, "The upload of this file has not finished, or has been ended; send it again.")
	case ErrRange: // of an empty object
		return a, f.directError(ErrEmpty, op, "the submitted file is empty")
	}
	return a, err
}

// watchedReader tells the watchdog that storage is still sending.
type watchedReader struct {
	io.Reader
	dog *watchdog
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.dog.moved()
	return n, err
}

func (f *Field) examine(ctx context.Context, t Token, info minio.ObjectInfo, header http.Header, body *watchedReader) (arrival, error) {
	const op = "claim"
	refuse := func(kind Kind, format string, args ...any) (arrival, error) {
		return arrival{}, f.directError(kind, op, fmt.Sprintf(format, args...))
	}
	c := f.config
	switch {
	case !t.direct.unsized && info.Size != t.Object.Size:
		return refuse(ErrInvalid, "the file has %d bytes, and was announced with %d", info.Size, t.Object.Size)
	case f.foreign(t, header) != "":
		return refuse(ErrInvalid, "the file was sent with a header %s that was not agreed", f.foreign(t, header))
	case info.Size > c.MaxSize:
		return refuse(ErrTooLarge, "the file is larger than %s", formatSize(c.MaxSize))
	case info.Size == 0 && !c.AllowEmpty:
		return refuse(ErrEmpty, "the submitted file is empty")
	}
	u := &upload{
		store: f.store, bucket: f.bucket, field: c.Name, image: f.image,
		borrower: f.store.memory.borrower(),
		body:     &meter{ctx: ctx, from: body, max: info.Size},
	}
	u.borrower.dog = body.dog
	u.borrower.most, _ = chunksOf(info.Size, 0)
	head := &rope{}
	defer func() { u.borrower.drop(head.chunks) }()
	if err := fillHead(ctx, u, head, min(info.Size, SniffLen)); err != nil {
		return arrival{}, err
	}
	mediaType, ok := c.Accept.Match(head.head(), t.Object.Name)
	if !ok {
		return refuse(ErrType, "files of type %s are not accepted here, only %s", mediaType, c.Accept)
	}
	if ext := SafeExtension(t.Object.Type, t.Object.Name); ext != "" && ext != SafeExtension(mediaType, t.Object.Name) {
		return refuse(ErrType, "the file is of type %s, and was announced as %s", mediaType, t.Object.Type)
	}
	u.object = Object{
		Bucket: f.bucket.name, Key: t.Object.Key, Name: t.Object.Name, Size: info.Size, Type: mediaType,
		CRC32C: info.ChecksumCRC32C, ETag: info.ETag, Modified: info.LastModified.UTC(),
	}
	if err := u.lookAt(ctx, head); err != nil {
		return arrival{}, err
	}
	if err := f.checksum(t, &u.object, info, head); err != nil {
		return arrival{}, err
	}
	return arrival{u.object, f.unlike(t, u.object, info, header)}, nil
}

func fillHead(ctx context.Context, u *upload, head *rope, want int64) error {
	err := head.fill(ctx, u.borrower, u.body, want)
	switch {
	case err == io.EOF && head.size < want:
		return io.ErrUnexpectedEOF // storage has sent less than it said
	case err == io.EOF:
		return nil
	}
	return err
}

// lookAt reads as much of the content as an image's rules need, or a small file
// whole, and holds an image against them. Frames are counted as far as that goes.
func (u *upload) lookAt(ctx context.Context, head *rope) error {
	if err := u.watch(head.head()); err != nil {
		return err
	}
	want := smallDirect
	if strings.HasPrefix(u.object.Type, "image/") {
		want = directHead
	}
	if err := fillHead(ctx, u, head, min(u.object.Size, want)); err != nil {
		return err
	}
	if err := u.measure(head); err != nil {
		return err
	}
	if head.size == u.object.Size {
		return u.blur(ctx, head)
	}
	return nil
}

const (
	// smallDirect is up to how many bytes a file is read whole when it is claimed.
	smallDirect = 64 * KiB
	// directHead is how much is read of an image: a byte more than its rules look at,
	// which tells a longer one.
	directHead = maxImageHeader + 1
)

// checksum compares the content with the announced checksums: storage's own, or
// made here where the whole content is at hand. Storage has refused other content
// than a signed checksum's before.
func (f *Field) checksum(t Token, o *Object, info minio.ObjectInfo, head *rope) error {
	wrong := func(sum, want string) bool { return sum != "" && want != "" && sum != want }
	if head.size == o.Size {
		o.CRC32C = head.checksum()
		sum := sha256.New()
		_, _ = io.Copy(sum, io.NewSectionReader(head, 0, head.size)) // neither fails
		info.ChecksumSHA256 = base64.StdEncoding.EncodeToString(sum.Sum(nil))
	}
	setDefault(&o.CRC32C, t.Object.CRC32C) // it was signed
	if wrong(o.CRC32C, t.Object.CRC32C) || wrong(info.ChecksumSHA256, t.direct.sha256) {
		return f.directError(ErrInvalid, "claim", "the file's content is other than announced")
	}
	return nil
}

// foreign returns the name of a header that the object has and that was not signed,
// or "": S3 keeps some that a client adds. A copy onto itself would not take them
// away on every server; a posted file is copied elsewhere, without them.
func (f *Field) foreign(t Token, header http.Header) string {
	if t.direct.method == DirectPost {
		return ""
	}
	for _, name := range []string{"Content-Encoding", "Content-Language", "Expires", "X-Amz-Website-Redirect-Location"} {
		if header.Get(name) != "" {
			return name
		}
	}
	switch header.Get("Cache-Control") {
	case f.config.Options.CacheControl:
	case "max-age=0", "no-cache":
		// Browsers add one of them to a request that has If-None-Match, as a PUT does,
		// and no Cache-Control (Fetch standard, HTTP-network-or-cache fetch, step 8).
	default:
		return "Cache-Control"
	}
	return ""
}

// unlike says whether the object is stored with other headers than it should be: a
// client's guess at the type was wrong, or it has sent more than it was told to.
func (f *Field) unlike(t Token, o Object, info minio.ObjectInfo, header http.Header) bool {
	plain := o
	plain.Width, plain.Height, plain.Orientation, plain.Blurhash = 0, 0, 0, "" // rows know them
	want := f.directHeaders(plain)
	if header.Get("Content-Type") != want.ContentType || header.Get("Content-Disposition") != want.ContentDisposition {
		return true
	}
	have := map[string]string{}
	for name, value := range info.UserMetadata {
		have[strings.ToLower(name)] = value
	}
	if len(have) != len(want.UserMetadata) {
		return true
	}
	for name, value := range want.UserMetadata {
		if have[strings.TrimPrefix(strings.ToLower(name), "x-amz-meta-")] != value {
			return true
		}
	}
	locked := f.config.Options
	return locked.Retention != Retention{} || locked.LegalHold
}
