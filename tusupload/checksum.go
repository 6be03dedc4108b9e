package tusupload

import (
	"crypto/md5"  //nolint:gosec // clients choose; it tells damage, not forgery
	"crypto/sha1" //nolint:gosec // the one that tus asks of every server
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"hash/crc32"
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

// parseChecksum reads an Upload-Checksum: an algorithm, a space, and base64.
func parseChecksum(header string) (sum hash.Hash, want []byte, ok bool) {
	algorithm, text, _ := strings.Cut(header, " ")
	sum = newHash(algorithm)
	if sum == nil {
		return nil, nil, false
	}
	want, err := base64.StdEncoding.DecodeString(text)
	return sum, want, err == nil && len(want) == sum.Size()
}

// checksum has the body of a request with a checksum held against it.
func (c *call) checksum(inner *http.Request) error {
	header := inner.Header.Get("Upload-Checksum")
	if header == "" || inner.Method != http.MethodPatch && inner.Method != http.MethodPost {
		return nil
	}
	var ok bool
	if c.body.sum, c.body.want, ok = parseChecksum(header); !ok {
		return &core.Error{Kind: core.ErrMalformed, Op: "tus upload", Detail: "Upload-Checksum takes " + strings.Join(algorithms(), ", ") + ", and the sum in base64"}
	}
	return nil
}

// verify says whether what was read is what the client meant.
func (b *body) verify() error {
	switch {
	case b.err != nil: // it has not come to its end
		return b.err
	case subtle.ConstantTimeCompare(b.sum.Sum(nil), b.want) == 1:
		return nil
	}
	return handler.NewError("ERR_CHECKSUM_MISMATCH", "the content is not what the checksum says", statusChecksumMismatch)
}
