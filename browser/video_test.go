package browser

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

const (
	videoSeconds = 60
	// videoPadding stands behind each second, so that the video is too long for a
	// browser to fetch the whole of it before it is asked for another place.
	videoPadding = 1 << 20
)

// frame is a picture of 64 by 48 red dots: a key frame of VP8, as ffmpeg makes it:
//
//	ffmpeg -f lavfi -i color=c=red:size=64x48 -frames:v 1 -c:v libvpx -b:v 20k frame.ivf
//
// without the 44 bytes of IVF before it.
const frame = "9003009d012a4000300000470885858899848802020275aa03f803fa02073b861d31b3c59900fefd6ef3ffe46fe3e746ffc8e3fffc4a9ee389e3fffc4680"

// video is a WebM (Matroska, RFC 9559) that shows the frame once in a second. Its
// index stands in front, so that a player finds any second with one request.
func video(t testing.TB) []byte {
	t.Helper()
	picture, err := hex.DecodeString(frame)
	if err != nil {
		t.Fatal(err)
	}
	info := element(0x1549A966, element(0x2AD7B1, number(1_000_000)), // a millisecond is the unit
		element(0x4489, float(videoSeconds*1000)), element(0x4D80, []byte("test")), element(0x5741, []byte("test")))
	tracks := element(0x1654AE6B, element(0xAE, element(0xD7, number(1)), element(0x73C5, number(1)), element(0x83, number(1)),
		element(0x86, []byte("V_VP8")), element(0xE0, element(0xB0, number(64)), element(0xBA, number(48)))))
	cluster := func(second int) []byte {
		block := append([]byte{0x81, 0, 0, 0x80}, picture...) // track 1, at the cluster's time, a key frame
		return append(element(0x1F43B675, element(0xE7, number(second*1000)), element(0xA3, block)), element(0xEC, make([]byte, videoPadding))...)
	}
	size, front := len(cluster(0)), len(info)+len(tracks)
	index := func(at int) []byte {
		var points []byte
		for second := range videoSeconds {
			points = append(points, element(0xBB, element(0xB3, number(second*1000)),
				element(0xB7, element(0xF7, number(1)), element(0xF1, number(at+second*size))))...)
		}
		return element(0x1C53BB6B, points)
	}
	content := append(append(info, tracks...), index(front+len(index(0)))...)
	for second := range videoSeconds {
		content = append(content, cluster(second)...)
	}
	head := element(0x1A45DFA3, element(0x4286, number(1)), element(0x42F7, number(1)), element(0x42F2, number(4)), element(0x42F3, number(8)),
		element(0x4282, []byte("webm")), element(0x4287, number(2)), element(0x4285, number(2)))
	return append(head, element(0x18538067, content)...)
}

// element writes an element of EBML (RFC 8794), with a length of eight bytes.
func element(id uint32, content ...[]byte) []byte {
	whole := bytes.Join(content, nil)
	out := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	return append(binary.BigEndian.AppendUint64(out, uint64(len(whole))|1<<56), whole...)
}

func number(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func float(f float64) []byte {
	return binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
}

func TestAVideoPlaysAndSeeks(t *testing.T) {
	t.Parallel()
	content := video(t)
	for way, address := range map[string]func(*app) string{
		"through the app": func(*app) string { return "/files/video" },
		"by link":         func(a *app) string { return a.link(t, "video") },
		"by redirect":     func(*app) string { return "/away/video" },
	} {
		t.Run(way, func(t *testing.T) {
			a := newApp(t, core.FieldConfig{}) // another tab's requests would count
			a.put(t, "video", "a.webm", content)
			if got := a.rows["video"].Type; got != "video/webm" {
				t.Fatalf("the video is known as %s", got)
			}
			storage := a.inside
			if way == "by redirect" {
				storage = a.outside
			}
			storage.Reset()
			b := newTab(t)
			b.open(a.URL + "/video?src=" + address(a))
			b.wait(`v.readyState >= 1`)
			if got := eval[float64](b, `v.duration`); got != videoSeconds {
				t.Errorf("it lasts %g s, want %d", got, videoSeconds)
			}
			eval[any](b, `v.play().then(() => null)`)
			b.wait(`v.currentTime > 0.1`)
			eval[any](b, `(v.pause(), null)`)
			// far counts the requests for what the seek leads to. What comes next the
			// browser fetches ahead, which is some of the video, but not nearly so much.
			far := func() (n int) {
				for _, r := range storage.Requests() {
					first, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-")
					if from, err := strconv.Atoi(first); err == nil && from > len(content)/videoSeconds*49 && r.Method == http.MethodGet {
						n++
					}
				}
				return n
			}
			if n := far(); n != 0 {
				t.Errorf("before the seek, %d requests went for where it leads: %+v", n, storage.Requests())
			}

			eval[any](b, `new Promise(done => { v.onseeked = () => done(null); v.currentTime = 50 })`)
			if at := eval[float64](b, `v.currentTime`); at != 50 {
				t.Errorf("after the seek it is at %g s, want 50", at)
			}
			b.wait(`v.readyState >= 2`) // the frame there is there
			eval[any](b, `v.play().then(() => null)`)
			b.wait(`v.currentTime > 50.1`)
			if far() == 0 {
				t.Errorf("the seek asked for nothing there: %+v", storage.Requests())
			}
		})
	}
}
