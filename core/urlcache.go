package core

import (
	"sync"

	"github.com/filefield/filefield/internal/sigv4"
)

// defaultURLCache is how many presigned URLs are kept: with keys of usual length,
// some 3 MiB.
const defaultURLCache = 4096

// maxKeptURL bounds what is kept, as names and subjects may come from outside and
// be of any length.
const maxKeptURL = 8 * 1024

// urlCache keeps presigned URLs for as long as making them anew would give the
// same. It has two halves: when the young one is full it becomes the old one, and
// what nobody asked for since is gone with the old one before.
type urlCache struct {
	half int

	mu         sync.RWMutex
	young, old map[madeURL]keptURL
}

// madeURL is what a URL was made of, but for its life and credentials.
type madeURL struct {
	bucket  *Bucket
	key     Key
	options URLOptions
}

// keptURL is one, and what it was made with.
type keptURL struct {
	url         string
	life        life
	credentials sigv4.Credentials
}

func newURLCache(limit int) *urlCache {
	if limit < 0 {
		limit = 0
	}
	return &urlCache{half: limit / 2, young: map[madeURL]keptURL{}}
}

// get returns the URL if it would be the same today.
func (c *urlCache) get(id madeURL, l life, with sigv4.Credentials) (string, bool) {
	if c.half == 0 || l.window == 0 {
		return "", false
	}
	c.mu.RLock()
	kept, young := c.young[id]
	if !young {
		kept = c.old[id]
	}
	c.mu.RUnlock()
	if kept.url == "" || kept.life != l || kept.credentials != with {
		return "", false
	}
	if !young {
		c.keep(id, kept)
	}
	return kept.url, true
}

// put keeps a URL.
func (c *urlCache) put(id madeURL, l life, with sigv4.Credentials, url string) {
	if o := id.options; c.half > 0 && l.window > 0 && len(url)+len(o.Name)+len(o.Subject) <= maxKeptURL {
		c.keep(id, keptURL{url, l, with})
	}
}

func (c *urlCache) keep(id madeURL, kept keptURL) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half {
		c.young, c.old = make(map[madeURL]keptURL, c.half), c.young
	}
	c.young[id] = kept
}
