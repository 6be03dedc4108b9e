package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

const (
	// blockSize is how much is sent from one buffer, and chunkSize that of the
	// chunks of a request of unknown length: what Go's own client sends.
	blockSize = 1 << 20
	chunkSize = 32 << 10

	boundary = "------------------------d74496d66958873e"
)

// request is what a client sends, ready for writev: every upload of a run is the
// same bytes, and no byte of them is copied or made while time is taken.
type request struct {
	pieces net.Buffers
}

// newRequest prepares the upload of a file of size bytes.
func newRequest(w way, host string, size int64, unknown bool) request {
	head, tail := envelope(w.speaks)
	if w.speaks == raw {
		unknown = false
	}
	var header strings.Builder
	path := "/upload"
	if w.speaks == tus {
		path = "/files/"
	}
	fmt.Fprintf(&header, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: compare\r\n", path, host)
	switch w.speaks {
	case form:
		header.WriteString("Content-Type: multipart/form-data; boundary=" + boundary + "\r\n")
	case raw:
		header.WriteString("Content-Type: application/octet-stream\r\n")
	case tus:
		fmt.Fprintf(&header, "Content-Type: application/offset+octet-stream\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %d\r\n", size)
	}
	if unknown {
		header.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		return request{pieces: chunked(header.String(), head, size, tail)}
	}
	fmt.Fprintf(&header, "Content-Length: %d\r\n\r\n", int64(len(head))+size+int64(len(tail)))
	pieces := net.Buffers{[]byte(header.String() + head)}
	block := randomBlock()
	for left := size; left > 0; left -= blockSize {
		pieces = append(pieces, block[:min(left, blockSize)])
	}
	return request{pieces: append(pieces, []byte(tail))}
}

// envelope is what is sent before and after the file.
func envelope(p protocol) (head, tail string) {
	if p != form {
		return "", ""
	}
	return "--" + boundary + "\r\n" +
		"Content-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n" +
		"Content-Type: application/octet-stream\r\n\r\n", "\r\n--" + boundary + "--\r\n"
}

// chunked frames the blocks once, however often they are sent.
func chunked(header, head string, size int64, tail string) net.Buffers {
	pieces := net.Buffers{append([]byte(header), chunks([]byte(head))...)}
	block := randomBlock()
	framed := chunks(block)
	for left := size; left > 0; left -= blockSize {
		if left < blockSize {
			framed = chunks(block[:left])
		}
		pieces = append(pieces, framed)
	}
	return append(pieces, append(chunks([]byte(tail)), "0\r\n\r\n"...))
}

func chunks(content []byte) []byte {
	var framed []byte
	for len(content) > 0 {
		n := min(len(content), chunkSize)
		framed = append(strconv.AppendInt(framed, int64(n), 16), "\r\n"...)
		framed = append(append(framed, content[:n]...), "\r\n"...)
		content = content[n:]
	}
	return framed
}

// randomBlock is content that does not compress and has line ends, and bytes that
// begin a boundary, as often as chance has them.
func randomBlock() []byte {
	block := make([]byte, blockSize)
	rand.NewChaCha8([32]byte{8}).Read(block)
	return block
}
