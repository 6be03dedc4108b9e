package core

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is what S3 asks for with bucket settings; it guards nothing here
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// maxSetting bounds what is read of a bucket's setting, in bytes. S3's largest,
// a lifecycle of 1,000 rules, stays below it.
const maxSetting = 4 << 20

// answerOf is what storage said to a request about a bucket.
type answerOf struct {
	body   []byte
	header http.Header
}

// bucketRequest is one request about a bucket itself: its settings, not its
// objects. minio-go's own methods read settings into types of their own and lose
// what those do not know, so that writing them back would destroy what others
// have set; these keep the bytes.
type bucketRequest struct {
	method string
	query  url.Values
	header http.Header
	body   []byte
}

// setting names a bucket's setting as a query: "?policy".
func setting(name string) url.Values { return url.Values{name: {""}} }

// ask makes one request about the bucket, again where that is safe and may help.
func (b *Bucket) ask(ctx context.Context, op string, r bucketRequest) (answer answerOf, err error) {
	err = b.store.retry(ctx, b.at(op, Key{}), b.store.patience(), func(ctx context.Context, _ *watchdog, _ int) (err error) {
		answer, err = b.send(ctx, r)
		return err
	})
	return answer, withAction(err, r)
}

// send makes one request. An answer that is no success is a minio.ErrorResponse,
// as from minio-go. The answer's header is given with errors too.
func (b *Bucket) send(ctx context.Context, r bucketRequest) (answerOf, error) {
	target, err := b.address(ctx)
	if err != nil {
		return answerOf{}, err
	}
	target.RawQuery = strings.ReplaceAll(r.query.Encode(), "+", "%20")
	return b.store.send(ctx, &target, b.name, r)
}

// address returns the bucket's own URL. minio-go knows where that is: below the
// endpoint, or a host of its own as with AWS.
func (b *Bucket) address(ctx context.Context) (url.URL, error) {
	if known := b.known.Load(); known != nil {
		return *known, nil
	}
	u, err := b.store.internal.Presign(ctx, http.MethodGet, b.name, "", time.Minute, nil)
	if err != nil {
		return url.URL{}, err
	}
	found := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	b.known.Store(&found)
	return found, nil
}

// send signs a request and sends it.
func (s *Store) send(ctx context.Context, target *url.URL, bucket string, r bucketRequest) (answerOf, error) {
	request, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(r.body))
	if err != nil {
		return answerOf{}, err
	}
	for name, values := range r.header {
		request.Header[name] = values
	}
	if err := s.sign(request, r.body); err != nil {
		return answerOf{}, err
	}
	client := http.Client{
		Transport:     s.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a signature is one host's
	}
	response, err := client.Do(request)
	if err != nil {
		return answerOf{}, err
	}
	defer func() { _ = response.Body.Close() }()
	answer := answerOf{header: response.Header}
	answer.body, err = io.ReadAll(io.LimitReader(response.Body, maxSetting+1))
	switch {
	case err != nil:
		return answer, err
	case response.StatusCode >= 300:
		return answer, errorResponse(response, answer.body, bucket)
	case len(answer.body) > maxSetting:
		return answer, fmt.Errorf("the answer is longer than %s", formatSize(maxSetting))
	}
	return answer, nil
}

func (s *Store) sign(request *http.Request, body []byte) error {
	value, err := s.internal.GetCreds()
	if err != nil {
		return err
	}
	if value.SignerType == credentials.SignatureAnonymous {
		return nil
	}
	sum := sha256.Sum256(body)
	request.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if len(body) > 0 {
		sum := md5.Sum(body) //nolint:gosec // see the import
		request.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	signed := signer.SignV4(*request, value.AccessKeyID, value.SecretAccessKey, value.SessionToken, s.config.Region)
	request.Header = signed.Header
	return nil
}

// errorResponse reads the error a server answered with. Where the body says
// nothing the status has to.
func errorResponse(response *http.Response, body []byte, bucket string) error {
	e := minio.ErrorResponse{BucketName: bucket}
	if xml.Unmarshal(body, &e) != nil || e.Code == "" {
		_ = json.Unmarshal(body, &e) // MinIO's administration answers in JSON
	}
	setDefault(&e.Code, response.Header.Get("X-Minio-Error-Code")) // a HEAD has no body
	if e.Code == "" {
		e.Code = response.Status
		setDefault(&e.Message, plain(body))
		switch response.StatusCode {
		case http.StatusNotFound:
			e.Code = "NoSuchBucket"
		case http.StatusForbidden:
			e.Code = "AccessDenied"
		case http.StatusMovedPermanently:
			e.Code = "PermanentRedirect" // the bucket is another region's
		}
	}
	e.StatusCode = response.StatusCode
	setDefault(&e.Region, response.Header.Get("X-Amz-Bucket-Region"))
	setDefault(&e.RequestID, response.Header.Get("X-Amz-Request-Id"))
	return e
}

// plain returns the beginning of an answer that is not S3's, such as a proxy's.
func plain(body []byte) string {
	const most = 200
	return strings.ToValidUTF8(string(body[:min(len(body), most)]), "")
}

// codeOf returns S3's name of the error a server answered with, or "".
func codeOf(err error) string {
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// notImplemented says whether the server does not know this kind of request at
// all, which is less than refusing it.
func notImplemented(err error) bool {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return errors.Is(err, errNotImplemented)
	}
	return r.StatusCode == http.StatusNotImplemented || r.Code == "NotImplemented" || r.Code == "MethodNotAllowed"
}

// errNotImplemented says that a server refused a request because it does not
// know what was asked for, though its answer was another.
var errNotImplemented = errors.New("this server does not implement it")

// lacksCORS says whether a server is known to have no CORS per bucket, by its
// name: MinIO's community server, which answers a question for it as if there
// were merely none, and refuses to be told. AIStor calls itself "MinIO AIStor/S3".
func lacksCORS(server string) bool { return isCommunityMinIO(server) }

// isCommunityMinIO says whether a server is MinIO's community server.
func isCommunityMinIO(server string) bool { return server == "MinIO" }
