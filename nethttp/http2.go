package nethttp

import (
	"net/http"

	"github.com/filefield/filefield/core"
)

const (
	http2Streams = 30
	http2Stream  = 128 << 10
)

// HTTP2 returns settings for http.Server.HTTP2 with which uploads over one HTTP/2
// connection do not hold each other up. A server that speaks TLS to browsers should have
// them. Behind a proxy that speaks HTTP/1.1 to the app, as most do, they change nothing.
// Echo's server is e.TLSServer; Gin's engine is the Handler of a server of yours.
//
// All requests of a connection share its receive window (RFC 9113, section 5.2). With
// net/http's defaults, a window of 1 MiB for the connection and as much for each
// request, what one upload has sent while it waits for memory (core.Config.Memory) may
// fill it, and keep even those from sending that have memory; of these some are then
// refused with core.ErrUnavailable. Here all requests together can't fill it:
// 30 at a time (clients let more wait), with 128 KiB each, and 3.75 MiB for the
// connection, within the bounds that net/http documents.
//
// One request alone sends at most 128 KiB in a round trip, 2.5 MiB a second at 50 ms.
// Who changes the values keeps MaxConcurrentStreams times MaxReceiveBufferPerStream
// at or below MaxReceiveBufferPerConnection. Each call returns a value of its own.
func HTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          http2Streams,
		MaxReceiveBufferPerStream:     http2Stream,
		MaxReceiveBufferPerConnection: http2Streams * http2Stream,
	}
}

// errHeldUp is of an upload over HTTP/2 that did not move while others waited for its
// memory. Its client need not be slow: others of its connection may have held it up.
func errHeldUp(err error) error {
	return &core.Error{
		Kind: core.ErrUnavailable, Op: "read upload", Err: err,
		Detail: "nothing arrived while other uploads waited for memory",
		Advice: "set http.Server.HTTP2 to nethttp.HTTP2(), so that uploads of one connection do not hold each other up, or raise Config.Memory",
	}
}
