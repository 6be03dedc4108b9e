package core

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"sync"
	"testing"
)

// ropeOf returns a rope that holds content.
func ropeOf(t *testing.T, content []byte) *rope {
	t.Helper()
	p := &rope{}
	b := newMemory(8*MiB, 0).borrower()
	if err := p.fill(t.Context(), b, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAReleasedPartIsNotTouched(t *testing.T) {
	t.Parallel()
	p := ropeOf(t, bytes.Repeat([]byte("secret"), 50_000))
	r := &ropeReader{rope: p, read: func() {}}
	buffer := make([]byte, 1000)
	if n, err := r.Read(buffer); n != 1000 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	r.release()
	clear(buffer)
	n, err := r.Read(buffer)
	if n != 0 || !errors.Is(err, errReleased) {
		t.Errorf("after its release, read %d, %v; want nothing and errReleased", n, err)
	}
	if !bytes.Equal(buffer, make([]byte, 1000)) {
		t.Error("after its release, the buffer was written to")
	}
	r.release() // once more does no harm
}

// A transport may still read a body while the next owner already fills the
// chunks: the race detector sees it if the gate leaks.
func TestReadersRaceWithTheRelease(t *testing.T) {
	t.Parallel()
	for range 50 {
		p := ropeOf(t, bytes.Repeat([]byte("x"), 2*chunkSize))
		r := &ropeReader{rope: p}
		var reading sync.WaitGroup
		reading.Go(func() {
			buffer := make([]byte, 512)
			for {
				if _, err := r.Read(buffer); err != nil {
					return
				}
			}
		})
		r.release()
		for _, c := range p.chunks {
			c[0], c[chunkSize-1] = 'y', 'y'
		}
		reading.Wait()
	}
}

func TestAPartIsNeitherClosedNorSeekedByTheClient(t *testing.T) {
	t.Parallel()
	var r any = &ropeReader{}
	if _, ok := r.(io.Closer); ok {
		t.Error("a part's reader can be closed: the client would do so")
	}
	if _, ok := r.(io.Seeker); ok {
		t.Error("a part's reader can be seeked: the client would retry by itself")
	}
}

func TestEveryReadIsNoticed(t *testing.T) {
	t.Parallel()
	reads := 0
	r := &ropeReader{rope: ropeOf(t, make([]byte, chunkSize+1)), read: func() { reads++ }}
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if reads < 2 {
		t.Errorf("%d reads were noticed, want at least one for each of two chunks", reads)
	}
}

func TestTheChecksumIsS3s(t *testing.T) {
	t.Parallel()
	// RFC 3720, B.4: the CRC32C of 32 bytes of zeros.
	if got, want := ropeOf(t, make([]byte, 32)).checksum(), "ipE2qg=="; got != want {
		t.Errorf("the checksum is %s, want %s", got, want)
	}
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	want := encodeCRC(crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
	if got := ropeOf(t, content).checksum(); got != want {
		t.Errorf("the checksum of several chunks is %s, want %s", got, want)
	}
}

// schedule returns the number of parts of a file of size bytes, its largest
// part and whether all but the last have one size.
func schedule(u *upload, size int64) (parts int, largest int64, uniform bool) {
	first := u.partSize(0)
	uniform = true
	for sent := int64(0); sent < size; parts++ {
		part := u.partSize(sent)
		uniform = uniform && part == first
		largest = max(largest, part)
		sent += part
	}
	return parts, largest, uniform
}

func TestPartsReachTheirBoundInTenThousand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		upload  upload
		size    int64
		uniform bool
	}{
		{"a small field", upload{maxSize: 10 * MiB}, 10 * MiB, true},
		{"a field of 48 GiB", upload{maxSize: 48 * GiB}, 48 * GiB, true},
		{"a field of 100 GiB", upload{maxSize: 100 * GiB}, 100 * GiB, true},
		{"a field of 156 GiB, the last uniform one", upload{maxSize: 156 * GiB}, 156 * GiB, true},
		{"a field of 200 GiB", upload{maxSize: 200 * GiB}, 200 * GiB, false},
		{"no limit", upload{maxSize: Unlimited}, Unlimited, false},
		{"a request of known length", upload{maxSize: Unlimited, in: Upload{Limit: 100 * MiB}}, 100 * MiB, true},
		{"a request of 5 TiB", upload{maxSize: Unlimited, in: Upload{Limit: Unlimited}}, Unlimited, true},
		{"a request longer than its field allows", upload{maxSize: 20 * MiB, in: Upload{Limit: 5 * TiB}}, 20 * MiB, true},
		{"a size that was chosen", upload{maxSize: Unlimited, in: Upload{Options: ObjectOptions{PartSize: 600 * MiB}}}, Unlimited, true},
	} {
		parts, largest, uniform := schedule(&c.upload, c.size)
		if parts > maxParts || largest > maxPartSize || uniform != c.uniform {
			t.Errorf("%s: %d parts of up to %d MiB, uniform %t; want at most 10,000 of up to 5 GiB, uniform %t",
				c.name, parts, largest/MiB, uniform, c.uniform)
		}
		if small := c.upload.partSize(0); small < minPartSize {
			t.Errorf("%s: the first part has %d bytes, S3 takes no less than 5 MiB", c.name, small)
		}
	}
}

// The figures of growth's comment.
func TestGrowingPartsAreAsDocumented(t *testing.T) {
	t.Parallel()
	u := &upload{maxSize: Unlimited}
	if at, after := u.partSize(6000*MiB), u.partSize(6000*MiB+1200); at != 5*MiB || after != 6*MiB {
		t.Errorf("at 6,000 MiB parts have %d and then %d bytes, want 5 MiB and 6 MiB", at, after)
	}
	if got := u.partSize(100 * GiB); got != 86*MiB {
		t.Errorf("at 100 GiB parts have %d MiB, want 86", got/MiB)
	}
	parts, largest, _ := schedule(u, Unlimited)
	if parts != 9216 || largest != 4369*MiB {
		t.Errorf("5 TiB takes %d parts of up to %d MiB, want 9,216 of up to 4,369", parts, largest/MiB)
	}
}
