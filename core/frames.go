package core

import (
	"bytes"
	"encoding/binary"
	"math"
)

// frameCounter counts the frames of a GIF, PNG or WebP, and the scans of a JPEG,
// while its bytes pass. It holds a few of them at a time, whatever the file's size.
type frameCounter struct {
	frames int64
	skip   uint64 // bytes to pass over
	need   int    // bytes to collect in have before step sees them
	have   []byte
	step   func(have []byte)
	jump   func(p []byte) (rest []byte) // in place of collecting, where set
}

// newFrameCounter returns nil for a type that has neither frames nor scans.
func newFrameCounter(typ string) *frameCounter {
	c := &frameCounter{}
	switch typ {
	case "image/gif":
		c.then(13, 0, c.gifHead)
	case "image/png":
		c.then(8, 8, c.pngChunk)
	case "image/webp":
		c.then(8, 12, c.webpChunk)
	case "image/jpeg":
		c.then(2, 2, c.jpegMarker)
	default:
		return nil
	}
	return c
}

// then has step see the need bytes that follow the next skip.
func (c *frameCounter) then(need int, skip uint64, step func([]byte)) {
	c.need, c.skip, c.step = need, skip, step
}

// end passes over the rest.
func (c *frameCounter) end() { c.then(1, math.MaxUint64, c.step) }

func (c *frameCounter) write(p []byte) {
	for len(p) > 0 {
		if n := min(c.skip, uint64(len(p))); n > 0 {
			c.skip -= n
			p = p[n:]
			continue
		}
		if c.jump != nil {
			p = c.jump(p)
			continue
		}
		n := min(c.need-len(c.have), len(p))
		c.have = append(c.have, p[:n]...)
		p = p[n:]
		if len(c.have) == c.need {
			c.step(c.have)
			c.have = c.have[:0]
		}
	}
}

func (c *frameCounter) pngChunk(b []byte) {
	switch string(b[4:]) {
	case "fcTL":
		c.frames++
	case "IEND":
		c.end()
		return
	}
	c.then(8, uint64(binary.BigEndian.Uint32(b))+4, c.pngChunk)
}

func (c *frameCounter) webpChunk(b []byte) {
	if string(b[:4]) == "ANMF" {
		c.frames++
	}
	size := uint64(binary.LittleEndian.Uint32(b[4:]))
	c.then(8, size+size&1, c.webpChunk)
}

// colours is the length of a GIF's table of colours.
func colours(packed byte) uint64 {
	if packed&0x80 == 0 {
		return 0
	}
	return 3 << (packed&7 + 1)
}

func (c *frameCounter) gifHead(b []byte) { c.then(1, colours(b[10]), c.gifBlock) }

func (c *frameCounter) gifBlock(b []byte) {
	switch b[0] {
	case '!':
		c.then(1, 1, c.gifData) // after the label
	case ',':
		c.frames++
		c.then(9, 0, c.gifImage)
	default: // the end, or damage: no decoder goes on
		c.end()
	}
}

func (c *frameCounter) gifImage(b []byte) { c.then(1, colours(b[8])+1, c.gifData) }

func (c *frameCounter) gifData(b []byte) {
	if b[0] == 0 {
		c.then(1, 0, c.gifBlock)
		return
	}
	c.then(1, uint64(b[0]), c.gifData)
}

func (c *frameCounter) jpegMarker(b []byte) {
	marker := b[1]
	switch {
	case b[0] != 0xFF || marker == 0xD9: // damage, or the end
		c.end()
	case marker == 0xFF: // padding
		c.then(1, 0, func(next []byte) { c.jpegMarker([]byte{0xFF, next[0]}) })
	case marker == 0x01 || marker >= 0xD0 && marker <= 0xD8: // without content
		c.then(2, 0, c.jpegMarker)
	case marker == 0xDA:
		c.frames++
		c.then(2, 0, func(size []byte) { c.jpegSegment(size, c.jpegPixels) })
	default:
		c.then(2, 0, func(size []byte) { c.jpegSegment(size, nil) })
	}
}

// jpegSegment passes over a segment, and has after see what follows it.
func (c *frameCounter) jpegSegment(b []byte, after func([]byte) []byte) {
	size := uint64(binary.BigEndian.Uint16(b))
	if size < 2 {
		c.end()
		return
	}
	c.then(2, size-2, c.jpegMarker)
	c.jump = after
}

// jpegPixels passes over a scan's data, up to its next marker.
func (c *frameCounter) jpegPixels(p []byte) []byte {
	i := bytes.IndexByte(p, 0xFF)
	if i < 0 {
		return nil
	}
	c.jump = nil
	c.then(1, 0, c.jpegAfterFF)
	return p[i+1:]
}

func (c *frameCounter) jpegAfterFF(b []byte) {
	if b[0] == 0 || b[0] >= 0xD0 && b[0] <= 0xD7 { // a byte of data, or a restart
		c.jump = c.jpegPixels
		return
	}
	c.jpegMarker([]byte{0xFF, b[0]})
}
