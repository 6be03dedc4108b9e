// Package sink is an S3 server that throws away what it is sent. It speaks as
// much of the protocol as uploads need, and has objects of zeros to download,
// whose keys are their sizes: "zeros/1073741824". It checks nothing (no signature,
// no checksum, no bucket), and costs as little as a server can.
//
//	http.Serve(listener, sink.Handler())
//
// The command sink in cmd/sink is it as a process of its own.
package sink

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const etag = `"00000000000000000000000000000000"`

// RequestsPath answers how many requests the sink has had, in digits. Asking is
// not counted.
const RequestsPath = "/-/requests"

// Handler answers HEAD and PUT of buckets and objects, multipart uploads, and
// DELETE. GET answers 404, but for the keys of zeros and RequestsPath.
func Handler() http.Handler { return new(server) }

// server counts what it answers.
type server struct{ requests atomic.Int64 }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == RequestsPath {
		fmt.Fprint(w, s.requests.Load())
		return
	}
	s.requests.Add(1)
	serve(w, r)
}

// buffers are large, since every read is a system call of the process that shares
// its cores with the one that is measured.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// discard reads body to its end.
func discard(body io.Reader) error {
	buffer := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buffer)
	for {
		if _, err := body.Read(buffer[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	if err := discard(r.Body); err != nil {
		return // the client has gone
	}
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		answerXML(w, "<InitiateMultipartUploadResult><Bucket>sink</Bucket><Key>sink</Key><UploadId>sink</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPost && query.Has("uploadId"):
		answerXML(w, "<CompleteMultipartUploadResult><Bucket>sink</Bucket><Key>sink</Key><ETag>"+etag+"</ETag></CompleteMultipartUploadResult>")
	case r.Method == http.MethodPut, r.Method == http.MethodHead:
		w.Header().Set("ETag", etag)
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/zeros/"):
		sendZeros(w, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	case r.Method == http.MethodGet && query.Has("policy"):
		w.WriteHeader(http.StatusNotFound)
		answerXML(w, "<Error><Code>NoSuchBucketPolicy</Code></Error>")
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
		answerXML(w, "<Error><Code>NoSuchKey</Code></Error>")
	}
}

var zeros [256 << 10]byte

// sendZeros answers with size bytes.
func sendZeros(w http.ResponseWriter, size string) {
	left, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", size)
	for left > 0 {
		n, err := w.Write(zeros[:min(left, int64(len(zeros)))])
		if left -= int64(n); err != nil {
			return // the client has gone
		}
	}
}

func answerXML(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprint(w, body) // the client has gone if this fails
}
