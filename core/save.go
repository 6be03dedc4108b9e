package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// maxAlternatives bounds the tries to find a free key.
const maxAlternatives = 10

// upload is one file on its way into a bucket. Its steps, in save, are those of
// the design: fill the first part, sniff, make the key, then one PUT if the file
// ended and a multipart upload if it did not.
type upload struct {
	store  *Store
	bucket *Bucket
	field  string
	in     Upload

	maxSize    int64
	maxKey     int
	allowEmpty bool
	accept     accepted
	image      imageRules
	makeKey    func(mediaType string) (key Key, unique bool, err error)

	// alternative makes the key to use instead of one that is taken. Default:
	// Django's, with a random suffix.
	alternative func(taken Key) (Key, error)

	id       string  // marks the object as written by this upload
	journal  Journal // is told what is written, or nil
	body     *meter
	borrower *borrower
	object   Object
	unique   bool   // the key is random: nobody else can want it
	source   string // of a variant: of which content of its original it was made
}

func newUploadID() string { return rand.Text() }

func (u *upload) at(op string, key Key) Error {
	return Error{Op: op, Field: u.field, Bucket: u.bucket.name, Key: key.String()}
}

func (u *upload) save(ctx context.Context) (Object, error) {
	setDefault(&u.in.Options.PartSize, u.store.config.PartSize)
	if txn := TxnFrom(ctx); txn != nil {
		return u.saveIn(ctx, txn)
	}
	o, err := u.run(ctx)
	if err == nil && u.in.Replace {
		err = u.bucket.removeVariants(ctx, o.Key)
	}
	if err == nil {
		o.loose = new(atomic.Bool)
		o.loose.Store(true)
	}
	return o, err
}

// saveIn saves under a transaction: the object goes again with a rollback. What
// replaces an existing object is kept beside it until the commit; a key that is
// free is written at once, so that no row can come to point at nothing.
func (u *upload) saveIn(ctx context.Context, txn *Txn) (Object, error) {
	if txn.Done() {
		return Object{}, errTxnDone()
	}
	u.journal = JournalFrom(ctx)
	var instead *replacement
	if u.in.Replace {
		instead = u.replaceLater()
	}
	o, err := u.run(ctx)
	if err != nil {
		return Object{}, err
	}
	if instead != nil && instead.target.IsZero() {
		instead = nil // its key was free
	}
	file := &txnFile{bucket: o.Bucket, key: o.Key, upload: u.id, journal: u.journal}
	if instead == nil {
		txn.Spare(o.Bucket, o.Key) // what was to go from this key was not there any more
	} else {
		file.target, file.options = instead.target, recordOptions(instead.options)
		instead.file, file.instead = file, instead
	}
	txn.took(file)
	undo := func(ctx context.Context) error {
		if !file.end() { // it was kept
			if instead != nil && file.settled.Load() {
				return instead.commit(ctx) // by a row that says so
			}
			return nil
		}
		err := u.remove(ctx)
		if errors.Is(err, errNotOurs) {
			return nil // nor is the journal's entry
		}
		if err != nil || u.journal == nil {
			return err
		}
		return u.journal.Gone(ctx, file.written())
	}
	err = txn.OnRollback(undo)
	if err == nil && instead != nil {
		err = txn.OnCommit(instead.commit)
	}
	if err != nil {
		u.bucket.tidy(ctx, err, u.remove) // the transaction ended meanwhile
		return Object{}, err
	}
	if instead != nil {
		o.Key, o.ETag, o.VersionID = instead.target, "", "" // the copy will have its own
	}
	return o, nil
}

// errNotOurs is of an object that the journal says others see to.
var errNotOurs = errors.New("another has taken the key over")

// remove removes what this upload stored, but not what another has put in its
// place: only a random key is surely ours.
func (u *upload) remove(ctx context.Context) error {
	if u.unique {
		return u.bucket.removeFile(ctx, u.object.Key)
	}
	if u.journal != nil {
		err := u.journal.Undoing(ctx, Written{Bucket: u.bucket.name, Key: u.object.Key, Upload: u.id})
		if KindOf(err) == ErrPrecondition {
			return errNotOurs
		}
		if err != nil {
			return err
		}
	}
	removed, err := u.bucket.removeOwn(ctx, u.object.Key, u.id, u.in.Options.Encryption)
	if !removed {
		return err
	}
	return u.bucket.removeVariants(ctx, u.object.Key)
}

func (u *upload) run(ctx context.Context) (Object, error) {
	if u.in.Body == nil {
		return Object{}, &Error{Kind: ErrConfig, Op: "save", Field: u.field, Bucket: u.bucket.name, Detail: "Upload.Body is nil"}
	}
	u.id = newUploadID()
	u.in.Name = ClientName(u.in.Name)
	u.borrower = u.store.memory.borrower()
	u.borrower.interrupt = u.in.Interrupt
	faults := u.in.Options.faults()
	if u.in.Trusted != nil {
		faults = append(faults, u.in.Trusted.faults()...)
		u.in.Type = u.in.Trusted.Type
	}
	if len(faults) > 0 {
		return Object{}, &Error{Kind: ErrConfig, Op: "save", Field: u.field, Bucket: u.bucket.name, Err: errors.Join(faults...)}
	}
	u.body = &meter{ctx: ctx, from: u.in.Body, max: u.bound(), progress: u.in.Options.Progress}
	u.borrower.most, u.borrower.part = chunksOf(u.bound(), u.partSize(0))

	first := &rope{}
	defer func() { u.borrower.drop(first.chunks) }()
	ended, err := u.begin(ctx, first)
	if err != nil {
		return Object{}, err
	}
	if ended {
		if err = u.blur(ctx, first); err != nil {
			return Object{}, err
		}
		err = u.single(ctx, first)
	} else {
		err = u.large(ctx, first)
	}
	if err != nil {
		return Object{}, err
	}
	return u.object, nil
}

// bound returns the most bytes the content may have.
func (u *upload) bound() int64 {
	if u.in.Limit > 0 {
		return min(u.maxSize, u.in.Limit)
	}
	return u.maxSize
}

// begin reads the first part, decides type and key from its head, and says
// whether the file ended with it.
func (u *upload) begin(ctx context.Context, first *rope) (ended bool, err error) {
	err = first.fill(ctx, u.borrower, u.body, SniffLen)
	if err != nil && err != io.EOF {
		return false, u.readError(ctx, err)
	}
	if first.size == 0 && !u.allowEmpty {
		return false, u.refuse(ErrEmpty, "the submitted file is empty")
	}
	if refused := u.identify(first); refused != nil {
		return false, refused
	}
	if refused := u.watch(first.head()); refused != nil {
		return false, refused
	}
	if err == nil {
		err = first.fill(ctx, u.borrower, u.body, u.partSize(0))
	}
	if err != nil && err != io.EOF {
		return false, u.readError(ctx, err)
	}
	return err == io.EOF, u.measure(first)
}

// identify sets type and key by the file's head.
func (u *upload) identify(first *rope) error {
	head := first.head()
	mediaType, ok := u.accept.match(head[:min(len(head), SniffLen)], u.in.Name)
	if !ok {
		return u.refuse(ErrType, fmt.Sprintf("files of type %s are not accepted here, only %s", mediaType, u.accept.Accept))
	}
	setDefault(&u.in.Type, mediaType)
	key, unique, err := u.makeKey(u.in.Type)
	if err != nil {
		return err
	}
	u.unique = unique
	u.object = Object{Bucket: u.bucket.name, Key: key, Name: u.in.Name, Type: u.in.Type}
	setDefault(&u.object.Name, key.Base())
	return nil
}

func (u *upload) refuse(kind Kind, detail string) error {
	return &Error{Kind: kind, Op: "save", Field: u.field, Bucket: u.bucket.name, Detail: detail}
}

// readError says why the content could not be read to its end.
func (u *upload) readError(ctx context.Context, err error) error {
	var (
		known   *Error
		tooMany *http.MaxBytesError
		network net.Error
	)
	e := &Error{Op: "read upload", Field: u.field, Bucket: u.bucket.name, Err: err}
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, errTooLong):
		return u.refuse(ErrTooLarge, fmt.Sprintf("the file is larger than %s", formatSize(u.bound())))
	case errors.As(err, &tooMany):
		e.Kind, e.Detail = ErrTooLarge, fmt.Sprintf("the request is larger than %s", formatSize(tooMany.Limit))
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return u.store.mapError(ctx, *e, err)
	case errors.As(err, &network) && network.Timeout(): // net/http ends ctx as well
		e.Kind, e.Detail = ErrSlow, "no data arrived for too long"
	case ctx.Err() != nil:
		e.Kind = ErrCanceled
	default:
		e.Kind, e.Detail = ErrMalformed, "the file could not be read to its end"
	}
	return e
}

// single stores a file that ended within its first part: one PUT with its exact
// length, or a few where the name was taken.
func (u *upload) single(ctx context.Context, part *rope) error {
	u.object.Size, u.object.CRC32C = part.size, part.checksum()
	chunks := part.chunks
	part.chunks = nil
	u.borrower.send(chunks)
	sending := &rope{chunks: chunks, size: part.size, crc: part.crc}
	defer func() { u.borrower.sent(chunks) }()

	for range maxAlternatives {
		err := u.put(ctx, sending)
		if KindOf(err) != ErrPrecondition {
			return err
		}
		if err := u.rename(ctx); err != nil {
			return err
		}
	}
	return u.taken()
}

// rename chooses an alternative to a key that is taken. The upload has another id from
// here on: a journal that noted the old one at the taken key, and could not forget it,
// must not have removed by that entry what is put there in the end.
func (u *upload) rename(ctx context.Context) error {
	if u.journal != nil {
		if err := u.journal.Gone(ctx, Written{Bucket: u.bucket.name, Key: u.object.Key, Upload: u.id}); err != nil {
			return err
		}
	}
	u.id = newUploadID()
	if u.alternative != nil {
		key, err := u.alternative(u.object.Key)
		if err == nil {
			u.object.Key = key
		}
		return err
	}
	next, err := Alternative(u.object.Key.String(), u.maxKey, RandomSuffix())
	if err != nil {
		return err
	}
	u.object.Key, err = ParseKey(next)
	return err
}

func (u *upload) taken() error {
	e := u.at("save", u.object.Key)
	e.Kind, e.Detail = ErrTaken, "the name and all alternatives tried are taken"
	return &e
}

func (u *upload) put(ctx context.Context, part *rope) error {
	key := u.object.Key
	options := u.putOptions()
	if u.in.Options.Checksum == ChecksumCRC32C {
		options.UserMetadata["x-amz-checksum-crc32c"] = part.checksum()
	}
	must := condition{free: !u.in.Replace}
	if err := u.note(ctx, key, ""); err != nil {
		return err
	}
	err := u.store.retry(ctx, u.at("save", key), u.store.patience(), func(ctx context.Context, dog *watchdog, tries int) error {
		reader := &ropeReader{rope: part, read: dog.moved}
		defer reader.release()
		info, err := u.bucket.putObject(ctx, key, reader, part.size, options, must)
		if tries > 0 && isPrecondition(err) {
			own, ours, lookUp := u.bucket.written(ctx, key, u.id, u.in.Options.Encryption)
			if ours {
				u.stored(own.ETag, own.VersionID)
				return nil // the answer to an earlier try was lost, not the object
			}
			err = orUnknown(err, lookUp)
		}
		u.stored(info.ETag, info.VersionID)
		return err
	})
	if err != nil && reached(err) {
		u.sweep(ctx, key, err)
	}
	return err
}

func (u *upload) stored(etag, version string) {
	u.object.ETag, u.object.VersionID = etag, version
	u.object.Modified = u.store.config.Now().UTC().Truncate(time.Second)
}

// sweep removes what a failed write may have stored after all, if it is ours.
func (u *upload) sweep(ctx context.Context, key Key, why error) {
	if u.in.Replace {
		return
	}
	u.bucket.tidy(ctx, why, func(ctx context.Context) error {
		return u.bucket.removeWritten(ctx, key, u.id, u.in.Options.Encryption)
	})
}

// putOptions are the headers of the object as a whole.
func (u *upload) putOptions() minio.PutObjectOptions {
	o := u.in.Options
	p := minio.PutObjectOptions{
		UserMetadata:         make(map[string]string, len(o.Metadata)+6),
		UserTags:             o.Tags,
		ContentType:          SafeServeType(u.object.Type),
		ContentDisposition:   ContentDisposition(DispositionOf(u.object.Type), u.object.Name),
		CacheControl:         o.CacheControl,
		StorageClass:         o.StorageClass,
		ServerSideEncryption: o.Encryption,
		Mode:                 o.Retention.Mode,
		RetainUntilDate:      o.Retention.Until,
		// The checksum header and TLS guard the content; hashing it once more
		// for the signature would double the CPU an upload costs.
		DisableContentSha256: true,
	}
	if t := u.in.Trusted; t != nil {
		p.ContentType, p.ContentEncoding, p.ContentDisposition = t.Type, t.Encoding, ""
	}
	if o.LegalHold {
		p.LegalHold = minio.LegalHoldEnabled
	}
	for name, value := range o.Metadata {
		// With the prefix no name of the app's can stand for another header.
		p.UserMetadata["x-amz-meta-"+name] = encodeMetadata(value)
	}
	p.UserMetadata[metaUpload] = u.id
	if u.source != "" {
		p.UserMetadata[metaSource] = u.source
	}
	p.UserMetadata[metaName] = url.PathEscape(u.object.Name)
	if p.ContentType != u.object.Type {
		p.UserMetadata[metaType] = u.object.Type
	}
	if u.object.Width > 0 {
		p.UserMetadata[metaSize] = strconv.Itoa(u.object.Width) + "x" + strconv.Itoa(u.object.Height)
	}
	if u.object.Orientation > 0 {
		p.UserMetadata[metaTurn] = strconv.Itoa(u.object.Orientation)
	}
	if u.object.Blurhash != "" {
		p.UserMetadata[metaBlur] = url.PathEscape(u.object.Blurhash)
	}
	return p
}

// customerKey returns the encryption where every request needs it (SSE-C).
func customerKey(e encrypt.ServerSide) encrypt.ServerSide {
	if e != nil && e.Type() == encrypt.SSEC {
		return e
	}
	return nil
}

var errTooLong = errors.New("over the limit")

// meter counts the content, ends it at its limit and sees that the caller still
// wants it.
type meter struct {
	ctx      context.Context
	from     io.Reader
	max      int64
	read     int64
	progress func(int64)

	frames        *frameCounter // nil: not counted
	tooManyFrames func(frames int64) error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, context.Cause(m.ctx)
	}
	n, err := m.from.Read(p)
	m.read += int64(n)
	if m.read > m.max {
		return 0, errTooLong
	}
	if refused := m.passed(p[:max(n, 0)]); refused != nil {
		return 0, refused
	}
	if n > 0 && m.progress != nil {
		m.progress(m.read)
	}
	return n, err
}
