package core

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/filefield/filefield/internal/sigv4"
)

// DirectConfig shapes the uploads that browsers send straight to a field's
// bucket. The zero value is good for most.
type DirectConfig struct {
	// Expiry is how long a signature that was handed out can be used: 1 second to
	// 24 hours. Default 15 minutes. A part's signature can be had again.
	Expiry time.Duration
	// MultipartOver is the size in bytes above which a file is sent in parts, which
	// can be resumed. Default 32 MiB; at most 5 GiB, S3's limit for one request.
	MultipartOver int64
	// PartSize is the size of a part, 5 MiB to 5 GiB. Default 8 MiB, or what it takes
	// to send the file in 10,000 parts.
	PartSize int64
	// Origins are those of the pages that may upload, as "https://app.example.org",
	// with at most one "*" each: the bucket's CORS rules let them (see DirectCORS).
	// Default: what the bucket's declaration says.
	Origins []string
}

// The limits of direct uploads.
const (
	defaultDirectExpiry  = 15 * time.Minute
	maxDirectExpiry      = 24 * time.Hour // also of tokens: what guards them lives at least as long
	defaultMultipartOver = 32 * MiB
	defaultDirectPart    = 8 * MiB
	maxSinglePut         = 5 * GiB
	// What is verified, or has parts, says more: an ETag, an id, where it lies.
	maxDirectToken = 2500
)

// UnknownSize is the size of a direct upload whose client does not say.
const UnknownSize int64 = -1

func (c *DirectConfig) defaults() {
	setDefault(&c.Expiry, defaultDirectExpiry)
	setDefault(&c.MultipartOver, defaultMultipartOver)
	c.Origins = slices.Clone(c.Origins)
}

func (c *DirectConfig) faults(fault func(bool, string, ...any)) {
	fault(c.Expiry != 0 && (c.Expiry < time.Second || c.Expiry > maxDirectExpiry), "Direct.Expiry is %s: it must lie between 1s and 24h", c.Expiry)
	fault(c.MultipartOver < 0 || c.MultipartOver > maxSinglePut, "Direct.MultipartOver is %d: it must lie between 1 byte and 5 GiB", c.MultipartOver)
	fault(c.PartSize != 0 && (c.PartSize < minPartSize || c.PartSize > maxPartSize), "Direct.PartSize is %d: it must lie between 5 MiB and 5 GiB", c.PartSize)
	if len(c.Origins) > 0 {
		DirectCORS(c.Origins...).faults(func(wrong bool, text string) { fault(wrong, "Direct.Origins: %s", text) })
	}
}

// DirectMethod is how a file is sent straight to a bucket.
type DirectMethod string

const (
	// DirectPut is one PUT whose headers are signed: length, type, checksum, and
	// that the key is free, so that nothing can be put in the file's place later.
	DirectPut DirectMethod = "PUT"
	// DirectPost is a form that is posted, for browsers without scripts, and for
	// clients that do not say how long the file is. Claiming it copies it.
	DirectPost DirectMethod = "POST"
	// DirectMultipart is a PUT for each part, for files that are long.
	DirectMultipart DirectMethod = "MULTIPART"
)

// DirectUpload is a file that a client wants to send straight to the bucket: what
// it says of it. Nothing of this is believed: it is signed, and checked when the
// file is there.
type DirectUpload struct {
	// Name is the file's own name.
	Name string
	// Size is its length in bytes, or UnknownSize.
	Size int64
	// Type is the media type the client declares, or empty.
	Type string
	// CRC32C and SHA256 are checksums in base64, as S3 writes them, or empty. Storage
	// refuses other content. A multipart upload has none.
	CRC32C, SHA256 string
	// Method chooses. Default: DirectPut, DirectMultipart for long files, and
	// DirectPost where the size is not known.
	Method DirectMethod
	// PartSize is the size of the parts where the client decides it. Default: the
	// field's (see DirectConfig).
	PartSize int64
	// Form holds values for UploadTo. A client writes them.
	Form url.Values
}

// Ticket is what a client needs to send a file. The names in JSON are those that
// browsers read.
type Ticket struct {
	Method DirectMethod `json:"method"`
	// Token is what the file is in a form, once it has been sent: it fills the field
	// by Claim, as any other. A multipart upload is also carried on by it.
	Token string `json:"token"`
	// URL is where to send it. None for a multipart upload: see SignParts.
	URL string `json:"url,omitempty"`
	// Headers have to be sent with a PUT exactly as they stand here.
	Headers map[string]string `json:"headers,omitempty"`
	// Fields have to be in a POST's form, before the file, whose field is "file".
	Fields map[string]string `json:"fields,omitempty"`
	// PartSize and Parts say how to cut the file; the last part has what is left.
	PartSize int64 `json:"part_size,omitempty"`
	Parts    int   `json:"parts,omitempty"`
	// Expires is until when the signature can be used.
	Expires time.Time `json:"expires"`
}

// Format writes how and until when, whatever the verb: the rest is for the client
// that gets the ticket, who may send a file by it.
func (t Ticket) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "Ticket(%s until %s)", t.Method, t.Expires.UTC().Format(time.RFC3339))
}

// LogValue is what Format writes. JSON, though, is the whole ticket.
func (t Ticket) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// directToken is what a token of a direct upload says beside the file.
type directToken struct {
	method   DirectMethod
	unsized  bool   // the client did not say how long it is
	verified bool   // Complete has looked at the content
	mend     bool   // it is stored with other headers than it should be
	noted    bool   // Claims decide who has it, not a marker
	uploadID string // of a multipart upload
	etag     string // of what was verified
	sha256   string
	partSize int64
	staging  Key // where a POST goes; the token's own text names it
}

// signDirect makes a direct upload's token.
func (f *Field) signDirect(t Token) string {
	d := t.direct
	flags := byte(0)
	for i, set := range []bool{d.unsized, d.verified, d.mend, d.noted} {
		if set {
			flags |= 1 << i
		}
	}
	b := f.payload(purposeDirect, t.Object, t.Subject, t.Expires)
	b = append(b, flags)
	for _, s := range []string{string(d.method), d.uploadID, d.etag, d.sha256, d.stagingText()} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return f.seal(binary.AppendUvarint(b, uint64(d.partSize)))
}

// stagingText is empty in the first token of a POST, which names the place itself.
func (d *directToken) stagingText() string {
	if d.verified {
		return d.staging.s
	}
	return ""
}

// direct reads what signDirect wrote. text is the token itself.
func (f *Field) decodeDirect(d *tokenDecoder, text string) *directToken {
	flags := d.byte()
	t := &directToken{unsized: flags&1 != 0, verified: flags&2 != 0, mend: flags&4 != 0, noted: flags&8 != 0}
	d.failed = d.failed || flags >= 16 // a later version's, which may mean that something else decides
	t.method = DirectMethod(d.string())
	t.uploadID, t.etag, t.sha256 = d.string(), d.string(), d.string()
	t.staging = Key{s: d.string()}
	t.partSize = int64(d.uvarint())
	if t.method == DirectPost && t.staging.IsZero() {
		t.staging = f.stagingKey(text)
	}
	return t
}

// stagingFolder is where posted files wait until they are claimed, below the
// field's KeyPrefix. A form's
// signature can be used again and again while it lives, so what it leads to is
// never the file of a row.
const stagingFolder = ".filefield-upload/"

// stagingKey is the key of a posted file: its token, in segments that file systems
// can hold, so that a client that knows the key alone knows the token.
func (f *Field) stagingKey(token string) Key {
	const segment, most = 200, 960
	folder := f.config.KeyPrefix + stagingFolder
	if len(folder)+len(token) > most {
		sum := sha256.Sum256([]byte(token))
		return Key{s: folder + "=" + hex.EncodeToString(sum[:])}
	}
	var b strings.Builder
	b.WriteString(folder)
	for i, chunk := range slices.Collect(slices.Chunk([]byte(token), segment)) {
		if i > 0 {
			b.WriteByte('/')
		}
		b.Write(chunk)
	}
	return Key{s: b.String()}
}

// unstaged returns the token that a staging key is, and whether text is one; any
// other text as it is.
func (f *Field) unstaged(text string) (token string, staged bool) {
	if token, staged = strings.CutPrefix(text, f.config.KeyPrefix+stagingFolder); staged {
		return strings.ReplaceAll(token, "/", ""), true
	}
	return text, false
}

// at is where the object lies until it is claimed.
func (t Token) at() Key {
	if t.direct.method == DirectPost {
		return t.direct.staging
	}
	return t.Object.Key
}

// BeginDirect lets a client send a file straight to the field's bucket, if what it
// says of the file follows the field's rules, for the subject that ctx names. The
// key is the server's choice, and always random. Nothing is asked of storage but,
// for a file in parts, to begin.
//
// The object is pending (see Keep) until Claim has looked at its content and taken
// it. Where ctx has a Journal that is a Claims, that decides who takes it, and it is
// claimed, completed and ended under the same alone (ErrConfig). Errors: ErrTooLarge, ErrEmpty, ErrType, ErrInvalid (the name, a checksum that
// is none), ErrName, ErrConfig, and the storage's kinds.
func (f *Field) BeginDirect(ctx context.Context, in DirectUpload) (Ticket, error) {
	if f.fault != nil {
		return Ticket{}, f.fault
	}
	in.Name = ClientName(in.Name)
	mediaType, err := f.announced(in)
	if err != nil {
		return Ticket{}, err
	}
	if err := f.directOptions(); err != nil {
		return Ticket{}, err
	}
	_, noted := JournalFrom(ctx).(Claims)
	t := Token{Subject: SubjectFrom(ctx), Pending: true, direct: &directToken{method: f.directMethod(in), unsized: in.Size < 0, noted: noted, sha256: in.SHA256}}
	if len(t.Subject) > maxSubject {
		return Ticket{}, f.directError(ErrConfig, "begin upload", "a subject has at most 1024 bytes")
	}
	t.Expires = f.store.config.Now().Add(min(f.store.config.TokenExpiry, maxDirectExpiry))
	key, err := f.directKey(ctx, in, mediaType)
	if err != nil {
		return Ticket{}, err
	}
	t.Object = Object{Bucket: f.bucket.name, Key: key, Name: in.Name, Type: mediaType, CRC32C: in.CRC32C, Size: max(in.Size, 0)}
	setDefault(&t.Object.Name, key.Base())
	if len(f.signDirect(t)) > maxDirectToken {
		return Ticket{}, f.directError(ErrConfig, "begin upload", "key, name and subject are too long together for a token")
	}
	switch t.direct.method {
	case DirectPost:
		return f.beginPost(ctx, t)
	case DirectMultipart:
		return f.beginMultipart(ctx, t, in)
	default:
		return f.beginPut(ctx, t)
	}
}

func (f *Field) directError(kind Kind, op, detail string) error {
	return &Error{Kind: kind, Op: op, Field: f.config.Name, Bucket: f.bucket.name, Detail: detail}
}

// announced holds what a client says of its file against the field's rules, and
// returns the type it says it is.
func (f *Field) announced(in DirectUpload) (mediaType string, err error) {
	const op = "begin upload"
	refuse := func(kind Kind, detail string) (string, error) { return "", f.directError(kind, op, detail) }
	c := f.config
	switch {
	case in.Size > c.MaxSize:
		return refuse(ErrTooLarge, "the file is larger than "+formatSize(c.MaxSize))
	case in.Size == 0 && !c.AllowEmpty:
		return refuse(ErrEmpty, "the submitted file is empty")
	case !checksumOf(in.CRC32C, 4) || !checksumOf(in.SHA256, sha256.Size):
		return refuse(ErrInvalid, "a checksum is the base64 of the bytes that its algorithm gives")
	case !slices.Contains([]DirectMethod{"", DirectPut, DirectPost, DirectMultipart}, in.Method):
		return refuse(ErrInvalid, "the method is none of PUT, POST and MULTIPART")
	case in.Method == DirectPut && in.Size < 0:
		return refuse(ErrInvalid, "the size of a file that is PUT has to be known")
	case in.Method == DirectPut && in.Size > maxSinglePut, in.Method == DirectPost && in.Size > maxSinglePut:
		return refuse(ErrTooLarge, "a file of more than 5 GiB is sent in parts")
	case in.Method == DirectMultipart && in.Size == 0:
		return refuse(ErrInvalid, "an empty file has no parts")
	}
	if err := c.checkName(in.Name); err != nil {
		return "", err
	}
	mediaType = canonicalType(bareType(in.Type))
	if mediaType == typeBinary || !strings.Contains(mediaType, "/") || len(mediaType) > 127 {
		mediaType = InlineTypeByName(in.Name)
		setDefault(&mediaType, textTypeByName(in.Name))
	}
	if mediaType != "" && !f.accept.admits(mediaType, in.Name) {
		return refuse(ErrType, fmt.Sprintf("files of type %s are not accepted here, only %s", mediaType, c.Accept))
	}
	setDefault(&mediaType, typeBinary)
	return mediaType, nil
}

// admits says whether a file that is declared to be of a type may turn out to be
// taken. The content decides, later.
func (a accepted) admits(declared, name string) bool {
	byName := textTypeByName(name)
	return a.takes(declared) || byName != "" && a.takes(byName) || harmlessText(declared) && a.takes(typeText)
}

func checksumOf(text string, bytes int) bool {
	sum, err := base64.StdEncoding.DecodeString(text)
	// The decoder passes over line breaks; a header has none.
	return text == "" || err == nil && len(sum) == bytes && base64.StdEncoding.EncodeToString(sum) == text
}

func (f *Field) directMethod(in DirectUpload) DirectMethod {
	switch {
	case in.Method != "":
		return in.Method
	case in.Size < 0:
		return DirectPost
	case in.Size > f.config.Direct.MultipartOver:
		return DirectMultipart
	default:
		return DirectPut
	}
}

// directOptions says why the field's options do not go with direct uploads.
func (f *Field) directOptions() error {
	o := f.config.Options
	if o.Encryption != nil && o.Encryption.Type() == encrypt.SSEC {
		return f.directError(ErrConfig, "begin upload", "a browser would have to be told the encryption's key")
	}
	if len(o.Tags) > 9 {
		return f.directError(ErrConfig, "begin upload", "leave one of the ten tags an object may have to the library")
	}
	return nil
}

// directKey makes a key that nobody can guess or have taken.
func (f *Field) directKey(ctx context.Context, in DirectUpload, mediaType string) (Key, error) {
	key, unique, err := f.makeKey(Naming{Context: ctx, Name: in.Name, Type: mediaType, Form: in.Form})
	if err != nil || unique {
		return key, err
	}
	other, err := Alternative(key.s, f.config.MaxKeyLength, strings.ToLower(rand.Text()))
	if err != nil {
		return Key{}, err
	}
	return ParseKey(other)
}

// directHeaders are the object's own headers, as the uploader writes them. Locks
// come when it is claimed, or what nobody claims could not be removed.
func (f *Field) directHeaders(o Object) minio.PutObjectOptions {
	u := &upload{in: Upload{Options: f.config.Options}, object: o, id: directID(o.Key)}
	u.in.Options.Retention, u.in.Options.LegalHold = Retention{}, false
	return u.putOptions()
}

// directID marks the object of a direct upload as the library's own.
func directID(key Key) string {
	sum := sha256.Sum256([]byte("direct " + key.s))
	return strings.ToUpper(hex.EncodeToString(sum[:13]))
}

// pendingTags are the field's tags with the mark.
func (f *Field) pendingTags() map[string]string {
	set := maps.Clone(f.config.Options.Tags)
	if set == nil {
		set = map[string]string{}
	}
	set[pendingTag] = pendingValue
	return set
}

// directSigning is what signs for clients: credentials, the moment, and how long.
type directSigning struct {
	signing
	life
	at *place
}

func (f *Field) directSigning(ctx context.Context, op string) (directSigning, error) {
	var s directSigning
	var err error
	store, now := f.store, f.store.config.Now()
	if s.signing, err = store.presigner.credentials(ctx); err == nil {
		s.at, err = f.bucket.place(ctx, URLOptions{})
	}
	if err != nil {
		return s, store.mapError(ctx, f.bucket.at(op, Key{}), err)
	}
	s.life = life{from: now.Truncate(time.Second), expires: f.config.Direct.Expiry}
	if !s.ends.IsZero() {
		if s.expires = min(s.expires, s.ends.Sub(s.from)); s.expires < time.Second {
			return s, f.directError(ErrCredentials, op, "the storage's temporary credentials have expired")
		}
	}
	return s, nil
}

// until is when a client can use the signature last.
func (s directSigning) until() time.Time { return s.from.Add(s.expires).UTC() }

// beginPut signs a PUT. What is signed the client has to send as it is: the key is
// free, the length, the type, the checksum, the mark.
func (f *Field) beginPut(ctx context.Context, t Token) (Ticket, error) {
	s, err := f.directSigning(ctx, "begin upload")
	if err != nil {
		return Ticket{}, err
	}
	options := f.directHeaders(t.Object)
	options.UserTags = f.pendingTags()
	h := options.Header()
	h.Set("If-None-Match", "*")
	if len(h["Cache-Control"]) == 0 {
		// Browsers add "no-cache" where a script sets If-None-Match and this is not set
		// (Fetch, "HTTP-network-or-cache fetch"), and storage would keep it.
		h["Cache-Control"] = []string{""}
	}
	setChecksums(h, t)
	ticket := Ticket{Method: DirectPut, Token: f.signDirect(t), Headers: map[string]string{}, Expires: s.until()}
	var signed []sigv4.Param
	for name := range h {
		signed = append(signed, sigv4.Param{Name: strings.ToLower(name), Value: h.Get(name)})
		ticket.Headers[http.CanonicalHeaderKey(name)] = h.Get(name)
	}
	signed = append(signed, sigv4.Param{Name: "content-length", Value: fmt.Sprint(t.Object.Size)}) // browsers send it by themselves
	slices.SortFunc(signed, func(a, b sigv4.Param) int { return strings.Compare(a.Name, b.Name) })
	ticket.URL = f.store.presigner.sign(s.Credentials, &sigv4.Request{
		Method: http.MethodPut, Scheme: s.at.scheme, Host: s.at.host, Path: s.at.path + EscapeKeyV4(t.Object.Key.s),
		Header: signed, Time: s.from, Expires: s.expires,
	})
	return ticket, nil
}

func setChecksums(h http.Header, t Token) {
	if t.Object.CRC32C != "" {
		h.Set("x-amz-checksum-crc32c", t.Object.CRC32C)
	} else if t.direct.sha256 != "" { // S3 takes one
		h.Set("x-amz-checksum-sha256", t.direct.sha256)
	}
}

// DirectToken returns the token of a direct upload of this field, for the subject
// that ctx names. Errors as Verify.
func (f *Field) DirectToken(ctx context.Context, token string) (Token, error) {
	t, err := f.Verify(token)
	if err != nil {
		return Token{}, err
	}
	if t.direct == nil {
		return Token{}, f.badToken("verify token", errors.New("the token is not of a direct upload"))
	}
	return t, f.checkSubject(ctx, t)
}
