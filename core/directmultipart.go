package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/sigv4"
)

// DirectPart is a part of a direct upload that has arrived.
type DirectPart struct {
	Number int    `json:"number"`
	Size   int64  `json:"size"`
	ETag   string `json:"etag"`
}

// beginMultipart starts an upload in parts. Its id goes into the token, so that the
// server keeps nothing.
func (f *Field) beginMultipart(ctx context.Context, t Token, in DirectUpload) (Ticket, error) {
	t.direct.partSize = f.directPartSize(in)
	t.Object.CRC32C, t.direct.sha256 = "", ""
	options := f.directHeaders(t.Object)
	options.UserTags = f.pendingTags()
	err := f.store.retry(ctx, f.bucket.at("begin upload", t.Object.Key), f.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		t.direct.uploadID, err = f.store.internal.NewMultipartUpload(ctx, f.bucket.name, t.Object.Key.s, options)
		return err
	})
	if err != nil {
		return Ticket{}, err
	}
	ticket := Ticket{Method: DirectMultipart, Token: f.signDirect(t), PartSize: t.direct.partSize, Expires: t.Expires}
	if !t.direct.unsized {
		ticket.Parts = int(ceilDiv(t.Object.Size, t.direct.partSize))
	}
	return ticket, nil
}

func (f *Field) directPartSize(in DirectUpload) int64 {
	size := in.PartSize
	setDefault(&size, f.config.Direct.PartSize)
	setDefault(&size, defaultDirectPart)
	bound := in.Size
	if bound < 0 {
		bound = f.config.MaxSize
	}
	least := ceilDiv(bound, maxParts)
	if size >= least {
		return max(size, minPartSize)
	}
	if in.PartSize > 0 { // the client's own rule, which knows no MiB
		return least
	}
	return roundUp(least, MiB)
}

// parts returns how many parts the upload has: all there can be where its size is
// not known.
func (t Token) parts() int {
	if t.direct.unsized {
		return maxParts
	}
	return int(ceilDiv(t.Object.Size, t.direct.partSize))
}

// partSize returns how long a part has to be.
func (t Token) partSize(number int) int64 {
	if number == t.parts() {
		return t.Object.Size - int64(number-1)*t.direct.partSize
	}
	return t.direct.partSize
}

// maxBatch is how many parts are signed at once.
const maxBatch = 1000

// SignParts returns the URLs that the parts of an upload are PUT to, in the order
// of their numbers as given, 1 to 10,000, at most 1,000 at once. Each allows the
// length that the part has to have, and nothing else; it can be had again when it
// has expired. It uses no network. Errors: ErrInvalid for a part that there is
// none of, ErrToken for another kind of upload.
func (f *Field) SignParts(ctx context.Context, t Token, numbers []int) ([]string, error) {
	const op = "sign parts"
	if err := f.inParts(op, t); err != nil {
		return nil, err
	}
	if len(numbers) > maxBatch {
		return nil, f.directError(ErrTooMany, op, "at most 1,000 parts are signed at once")
	}
	for _, n := range numbers {
		if n < 1 || n > t.parts() {
			return nil, f.directError(ErrInvalid, op, fmt.Sprintf("the upload has the parts 1 to %d, and no part %d", t.parts(), n))
		}
	}
	s, err := f.directSigning(ctx, op)
	if err != nil {
		return nil, err
	}
	urls := make([]string, len(numbers))
	query := []sigv4.Param{{Name: "partNumber"}, {Name: "uploadId", Value: t.direct.uploadID}}
	header := []sigv4.Param{{Name: "content-length"}}
	r := sigv4.Request{
		Method: http.MethodPut, Scheme: s.at.scheme, Host: s.at.host, Path: s.at.path + EscapeKeyV4(t.Object.Key.s),
		Query: query, Time: s.from, Expires: s.expires,
	}
	if !t.direct.unsized {
		r.Header = header
	}
	for i, n := range numbers {
		query[0].Value = strconv.Itoa(n)
		header[0].Value = strconv.FormatInt(t.partSize(n), 10)
		urls[i] = f.store.presigner.sign(s.Credentials, &r)
	}
	return urls, nil
}

func (f *Field) inParts(op string, t Token) error {
	if f.fault != nil {
		return f.fault
	}
	if t.direct == nil || t.direct.method != DirectMultipart {
		return f.badToken(op, errors.New("the upload has no parts"))
	}
	return nil
}

// DirectParts returns the parts of an upload that have arrived, so that a client
// goes on after a reload. ErrNotFound where it was completed or ended.
func (f *Field) DirectParts(ctx context.Context, t Token) ([]DirectPart, error) {
	if err := f.inParts("list parts", t); err != nil {
		return nil, err
	}
	parts := []DirectPart{}
	for marker := 0; ; {
		var page minio.ListObjectPartsResult
		err := f.store.retry(ctx, f.bucket.at("list parts", t.Object.Key), f.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
			page, err = f.store.internal.ListObjectParts(ctx, f.bucket.name, t.Object.Key.s, t.direct.uploadID, marker, 1000)
			return err
		})
		if isUploadGone(err) {
			return nil, &Error{Kind: ErrNotFound, Op: "list parts", Field: f.config.Name, Bucket: f.bucket.name, Err: err, Detail: "the upload is not open: it was completed, or ended"}
		}
		if err != nil {
			return nil, err
		}
		for _, p := range page.ObjectParts {
			parts = append(parts, DirectPart{p.PartNumber, p.Size, strings.Trim(p.ETag, `"`)})
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return parts, nil
		}
		marker = page.NextPartNumberMarker
	}
}

// assemble makes the object of the parts that have arrived, if they are the parts
// that were announced. Claimed are those that the client believes it sent.
func (f *Field) assemble(ctx context.Context, t Token, claimed []DirectPart) error {
	parts, err := f.DirectParts(ctx, t)
	if KindOf(err) == ErrNotFound {
		return nil // completed before, or ended; whether the object is there will be seen
	}
	if err == nil {
		err = f.checkParts(t, parts, claimed)
	}
	if err != nil {
		return err
	}
	complete := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		complete[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag}
	}
	var options minio.PutObjectOptions
	options.SetMatchETagExcept("*")
	err = f.store.retry(ctx, f.bucket.at("complete upload", t.Object.Key), f.store.config.FinishTimeout, func(ctx context.Context, _ *watchdog, _ int) error {
		_, err := f.store.internal.CompleteMultipartUpload(ctx, f.bucket.name, t.Object.Key.s, t.direct.uploadID, complete, options)
		if isUploadGone(err) || isPrecondition(err) {
			return nil // by an earlier try, whose answer was lost, or another request
		}
		return err
	})
	return err
}

// checkParts holds the parts that arrived against the announced size, before they
// become an object.
func (f *Field) checkParts(t Token, parts, claimed []DirectPart) error {
	const op = "complete upload"
	var size int64
	for i, p := range parts {
		size += p.Size
		switch {
		case p.Number != i+1:
			return f.directError(ErrUnfinished, op, fmt.Sprintf("part %d of the upload is missing", i+1))
		case !t.direct.unsized && (p.Number > t.parts() || p.Size != t.partSize(p.Number)):
			return f.directError(ErrInvalid, op, fmt.Sprintf("part %d of the upload has %d bytes, other than announced", p.Number, p.Size))
		}
	}
	switch {
	case len(parts) == 0 || !t.direct.unsized && len(parts) < t.parts():
		return f.directError(ErrUnfinished, op, fmt.Sprintf("part %d of the upload is missing", len(parts)+1))
	case size > f.config.MaxSize:
		return f.directError(ErrTooLarge, op, "the file is larger than "+formatSize(f.config.MaxSize))
	}
	for _, c := range claimed {
		if c.Number < 1 || c.Number > len(parts) || strings.Trim(c.ETag, `"`) != parts[c.Number-1].ETag {
			return f.directError(ErrInvalid, op, fmt.Sprintf("part %d of the upload is another than the one named", c.Number))
		}
	}
	return nil
}
