package static

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encoding is a content coding of precompressed variants, by its name in HTTP.
type Encoding string

// The encodings. Current browsers take Brotli and Zstd from https pages alone,
// Gzip from all.
const (
	Brotli Encoding = "br"
	Zstd   Encoding = "zstd"
	Gzip   Encoding = "gzip"
)

// minVariant is the size from which a variant is worth its object.
const minVariant = 1 << 10

// extension returns what a variant's name ends with, "" for an unknown encoding.
func (e Encoding) extension() string {
	switch e {
	case Brotli:
		return ".br"
	case Zstd:
		return ".zst"
	case Gzip:
		return ".gz"
	}
	return ""
}

// writer compresses as well as it can: once, for many downloads.
func (e Encoding) writer(w io.Writer) (io.WriteCloser, error) {
	switch e {
	case Brotli:
		return brotli.NewWriterLevel(w, brotli.BestCompression), nil
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(8<<20)) // browsers take no larger one: RFC 9659
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestCompression)
	}
	return nil, fmt.Errorf("unknown encoding %q", string(e))
}

// compress streams from, compressed, to w.
func (e Encoding) compress(w io.Writer, from io.Reader) error {
	z, err := e.writer(w)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, from); err != nil {
		_ = z.Close()
		return err
	}
	return z.Close()
}

// choose returns the encoding an Accept-Encoding header (RFC 9110, 12.5.3) likes
// best of those offered, the earlier one where it likes two alike, or "" for none.
func choose(header string, offered []Encoding) Encoding {
	var best Encoding
	var most float64
	for _, e := range offered {
		if q := quality(header, e); q > most {
			best, most = e, q
		}
	}
	if most > 0 && quality(header, "identity") > most {
		return ""
	}
	return best
}

// quality returns the weight a header gives an encoding; for identity only what
// it says in so many words.
func quality(header string, e Encoding) float64 {
	weights := map[string]float64{}
	for entry := range strings.SplitSeq(header, ",") {
		parts := strings.Split(entry, ";")
		name := strings.ToLower(strings.TrimSpace(parts[0]))
		if name == "x-gzip" {
			name = "gzip"
		}
		weight := 1.0
		if i := slices.IndexFunc(parts[1:], func(p string) bool { return strings.HasPrefix(strings.ToLower(strings.TrimSpace(p)), "q=") }); i >= 0 {
			q, err := strconv.ParseFloat(strings.TrimSpace(parts[1+i])[2:], 64)
			if err != nil || !(q >= 0 && q <= 1) {
				q = 0
			}
			weight = q
		}
		weights[name] = weight
	}
	if q, named := weights[string(e)]; named || e == "identity" {
		return q
	}
	return weights["*"]
}
