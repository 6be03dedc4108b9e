package core

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/filefield/filefield/internal/exchange"
	"github.com/filefield/filefield/internal/sigv4"
)

// Objects and parts are the requests that an upload costs, so the Store makes them
// by itself, in one pass and with the day's signing key kept; minio-go makes all
// others, and these too where a signature is other than S3's of version 4. Both
// send through the same transport, with the same credentials.

// outgoing is a PUT of an object or a part.
type outgoing struct {
	key    Key
	query  string // as sigv4 wants it
	header http.Header
	body   *ropeReader // nil: nothing
	size   int64
}

// putObject writes an object where its key is as must says. Its error is minio-go's.
func (b *Bucket) putObject(ctx context.Context, key Key, body *ropeReader, size int64, options minio.PutObjectOptions, must condition) (minio.UploadInfo, error) {
	c, own, err := b.signer(ctx)
	if err != nil {
		return minio.UploadInfo{}, err
	}
	if !own {
		must.set(&options)
		return b.store.internal.PutObject(ctx, b.name, key.s, body.orNothing(), size, "", "", options)
	}
	answer, err := b.roundTrip(ctx, c, outgoing{key: key, header: putHeader(options, must), body: body, size: size})
	if err != nil {
		return minio.UploadInfo{}, err
	}
	return minio.UploadInfo{Bucket: b.name, Key: key.s, Size: size, ETag: unquoted(answer), VersionID: first(answer, "X-Amz-Version-Id")}, nil
}

// putPart writes a part of a multipart upload. Its error is minio-go's.
func (b *Bucket) putPart(ctx context.Context, key Key, uploadID string, number int, body *ropeReader, size int64, options minio.PutObjectPartOptions) (minio.ObjectPart, error) {
	c, own, err := b.signer(ctx)
	if err != nil {
		return minio.ObjectPart{}, err
	}
	if !own {
		return b.store.internal.PutObjectPart(ctx, b.name, key.s, uploadID, number, body.orNothing(), size, options)
	}
	header := options.CustomHeader
	if header == nil {
		header = http.Header{}
	}
	if sse := customerKey(options.SSE); sse != nil {
		sse.Marshal(header)
	}
	query := sigv4.AppendQuery([]byte("partNumber="+strconv.Itoa(number)+"&uploadId="), uploadID)
	answer, err := b.roundTrip(ctx, c, outgoing{key: key, query: string(query), header: header, body: body, size: size})
	if err != nil {
		return minio.ObjectPart{}, err
	}
	return minio.ObjectPart{PartNumber: number, Size: size, ETag: unquoted(answer), ChecksumCRC32C: first(answer, checksumHeader)}, nil
}

// orNothing returns the reader as minio-go wants it: it takes any other empty body
// for a stream.
func (r *ropeReader) orNothing() io.Reader {
	if r == nil || r.rope.size == 0 {
		return http.NoBody
	}
	return r
}

// first is Header.Get of a name in its canonical form.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func unquoted(h http.Header) string {
	return strings.TrimSuffix(strings.TrimPrefix(first(h, "Etag"), `"`), `"`)
}

// signer returns the credentials of now, and whether a request to the bucket is
// signed with them as S3 itself wants it, or not at all.
func (b *Bucket) signer(ctx context.Context) (c credentials.Value, own bool, err error) {
	c, err = b.store.presigner.value(ctx)
	if err != nil || b.store.otherService || s3utils.IsS3ExpressBucket(b.name) {
		return c, false, err
	}
	return c, !c.SignerType.IsV2(), nil
}

// isOtherService says whether requests to an endpoint are signed for a service other
// than S3's own.
func isOtherService(endpoint url.URL) bool {
	return s3utils.IsAmazonExpressRegionalEndpoint(endpoint) || s3utils.IsAmazonOutpostsEndpoint(endpoint)
}

// userAgent is what the Store's own requests name as the client.
const userAgent = "filefield (" + runtime.GOOS + "; " + runtime.GOARCH + ")"

// roundTrip makes a request of the Store's own, and returns the headers of its success.
func (b *Bucket) roundTrip(ctx context.Context, c credentials.Value, out outgoing) (http.Header, error) {
	at, err := b.place(ctx, URLOptions{Internal: true})
	if err != nil {
		return nil, err
	}
	path := string(sigv4.AppendPath(append(make([]byte, 0, len(at.path)+len(out.key.s)+32), at.path...), out.key.s))
	u := &url.URL{Scheme: at.scheme, Host: at.host, Path: path, RawQuery: out.query}
	if path[len(at.path):] != out.key.s { // it has something escaped
		u.Path, u.RawPath = at.path+out.key.s, path
	}
	r := &http.Request{
		Method: http.MethodPut, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.header, Host: at.host, ContentLength: out.size,
	}
	r.Header["User-Agent"] = []string{userAgent}
	b.store.presigner.authorize(r, path, c)
	response, err := b.store.carry(ctx, r, out.body) //nolint:bodyclose // drain closes it
	if err != nil {
		return nil, &url.Error{Op: "Put", URL: u.String(), Err: err}
	}
	if response.Body == nil { // of a Transport that is not net/http's
		response.Body = http.NoBody
	}
	defer drain(response.Body)
	if response.StatusCode != http.StatusOK {
		return nil, responseError(response, b.name, out.key.s)
	}
	return response.Header, nil
}

// carry sends a request of the Store's own: a small one in one write and by itself,
// unless the app's Transport or its tracing has to see it.
func (s *Store) carry(ctx context.Context, r *http.Request, body *ropeReader) (*http.Response, error) {
	if s.exchanges != nil && r.ContentLength <= exchange.MaxBody && httptrace.ContextClientTrace(ctx) == nil {
		var moved func()
		if body != nil {
			moved = body.read
		}
		return s.exchanges.Do(ctx, r, body.buffers(), moved)
	}
	if body != nil && r.ContentLength > 0 {
		ctx = expectBody(ctx)
		r.Body = sentRope{body}
	}
	return s.transport.RoundTrip(r.WithContext(ctx))
}

// drain reads what is left of an answer, so that its connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.Copy(io.Discard, body) // the request is over either way
	_ = body.Close()
}

// authorize signs a request, unless the credentials are anonymous. The signature
// covers all headers but not the body: that has its checksum in a header.
func (p *presigner) authorize(r *http.Request, path string, c credentials.Value) {
	if c.SignerType.IsAnonymous() || c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return
	}
	now := time.Now()
	values := [...]string{sigv4.Unsigned, sigv4.Stamp(now), c.SessionToken, ""}
	r.Header["X-Amz-Content-Sha256"], r.Header["X-Amz-Date"] = values[0:1:1], values[1:2:2]
	if c.SessionToken != "" {
		r.Header["X-Amz-Security-Token"] = values[2:3:3]
	}
	values[3] = p.signer.Authorization(
		sigv4.Credentials{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken},
		&sigv4.Sent{Method: r.Method, Host: r.Host, Path: path, Query: r.URL.RawQuery, Header: r.Header, Time: now},
	)
	r.Header["Authorization"] = values[3:4:4]
}

// maxErrorBody bounds what is read of an answer that says what is wrong.
const maxErrorBody = MiB

// responseError makes minio-go's error of an answer that is none of success: by its
// XML, or else by its status.
func responseError(response *http.Response, bucket, key string) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	if err != nil {
		return err
	}
	e := minio.ErrorResponse{StatusCode: response.StatusCode, Server: response.Header.Get("Server")}
	if xml.NewDecoder(bytes.NewReader(body)).Decode(&e) != nil {
		e = errorOfStatus(response, bytes.TrimSpace(body))
		e.BucketName, e.Key = bucket, key
	}
	setHeader := func(to *string, name string) {
		if value := response.Header.Get(name); value != "" {
			*to = strings.Trim(value, `"`)
		}
	}
	setHeader(&e.Code, "X-Minio-Error-Code")
	setHeader(&e.Message, "X-Minio-Error-Desc")
	setDefault(&e.RequestID, response.Header.Get("X-Amz-Request-Id"))
	setDefault(&e.HostID, response.Header.Get("X-Amz-Id-2"))
	e.Region = strings.TrimSpace(e.Region)
	setDefault(&e.Region, response.Header.Get("X-Amz-Bucket-Region"))
	return e
}

// maxErrorText bounds what an error cites of an answer.
const maxErrorText = 1024

// errorOfStatus is the error of an answer without XML.
func errorOfStatus(response *http.Response, body []byte) minio.ErrorResponse {
	e := minio.ErrorResponse{StatusCode: response.StatusCode}
	switch response.StatusCode {
	case http.StatusNotFound:
		e.Code = minio.NoSuchKey
	case http.StatusForbidden:
		e.Code = minio.AccessDenied
	case http.StatusConflict:
		e.Code = minio.Conflict
	case http.StatusPreconditionFailed:
		e.Code = minio.PreconditionFailed
	default:
		e.Code, e.Message = response.Status, response.Status
		if len(body) > 0 {
			e.Message = string(body[:min(len(body), maxErrorText)])
		}
	}
	return e
}

// value returns the credentials of now. Where they have to be fetched, ctx bounds
// the wait, though not the fetching, which others may wait for too. A panic of their
// provider is the caller's.
func (p *presigner) value(ctx context.Context) (credentials.Value, error) {
	if !p.source.IsExpired() {
		return p.source.GetWithContext(p.context)
	}
	type answer struct {
		value    credentials.Value
		err      error
		panicked any
	}
	fetched := make(chan answer, 1)
	go func() {
		a := answer{err: errNoCredentials}
		defer func() {
			a.panicked = recover()
			fetched <- a
		}()
		a.value, a.err = p.source.GetWithContext(p.context)
	}()
	select {
	case a := <-fetched:
		if a.panicked != nil {
			panic(a.panicked)
		}
		return a.value, a.err
	case <-ctx.Done():
		return credentials.Value{}, context.Cause(ctx)
	}
}

// errNoCredentials is of a provider that ended its goroutine.
var errNoCredentials = errors.New("the credentials' provider did not return")
