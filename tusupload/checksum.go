package tusupload

import (
	"crypto/md5"  //nolint:gosec // clients choose; it tells damage, not forgery
	"crypto/sha1" //nolint:gosec // the one that tus asks of every server
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/filefield/filefield/core"
)

// statusChecksumMismatch is tus's own.
const statusChecksumMismatch = 460

// algorithms are those of Upload-Checksum, the one that clients like best first.
func algorithms() []string { return []string{"sha1", "sha256", "crc32", "md5"} }

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha1":
		return sha1.New() //nolint:gosec // see above
	case "sha256":
		return sha256.New()
	case "crc32":
		return crc32.NewIEEE()
	case "md5":
		return md5.New() //nolint:gosec // see above
	default:
		return nil
	}
}

// sum is a checksum that a client gave, and what its body comes to.
type sum struct {
	io.ReadCloser
	hash hash.Hash
	want []byte
}

// parseChecksum reads an Upload-Checksum: an algorithm, a space, and base64.
func parseChecksum(header string) (*sum, bool) {
	algorithm, text, _ := strings.Cut(header, " ")
	s := &sum{hash: newHash(algorithm)}
	if s.hash == nil {
		return nil, false
	}
	var err error
	s.want, err = base64.StdEncoding.DecodeString(text)
	return s, err == nil && len(s.want) == s.hash.Size()
}

// checksum has the body of a request with a checksum held against it.
func (c *call) checksum(inner *http.Request) error {
	header := inner.Header.Get("Upload-Checksum")
	if header == "" || inner.Method != http.MethodPatch && inner.Method != http.MethodPost {
		return nil
	}
	s, ok := parseChecksum(header)
	if !ok {
		return &core.Error{Kind: core.ErrMalformed, Op: "tus upload", Detail: "Upload-Checksum takes " + strings.Join(algorithms(), ", ") + ", and the sum in base64"}
	}
	s.ReadCloser = inner.Body
	inner.Body = s
	c.sum = s
	return nil
}

func (s *sum) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.hash.Write(p[:n]) // never fails
	return n, err
}

// verify says whether what was read is what the client meant.
func (s *sum) verify() error {
	if subtle.ConstantTimeCompare(s.hash.Sum(nil), s.want) == 1 {
		return nil
	}
	return handler.NewError("ERR_CHECKSUM_MISMATCH", "the content is not what the checksum says", statusChecksumMismatch)
}
