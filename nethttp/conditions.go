package nethttp

import (
	"net/http"
	"strings"
	"time"

	"github.com/filefield/filefield/core"
)

// conditions are the request's preconditions (RFC 9110, 13).
type conditions struct {
	match, noneMatch     tags
	modified, unmodified time.Time
}

// tags are the entity tags of a header, without their quotes.
type tags struct {
	list []string
	any  bool // "*"
	set  bool // the header is there
}

const (
	// maxTag is longer than any storage's tag.
	maxTag = 256
	// maxTags bounds how many are compared.
	maxTags = 64
)

func conditionsOf(r *http.Request) conditions {
	c := conditions{match: tagsOf(r.Header["If-Match"]), noneMatch: tagsOf(r.Header["If-None-Match"])}
	// A time counts only without tags, whatever those are.
	if since, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil && !c.noneMatch.set {
		c.modified = since
	}
	if since, err := http.ParseTime(r.Header.Get("If-Unmodified-Since")); err == nil && !c.match.set {
		c.unmodified = since
	}
	return c
}

// tagsOf reads a list of tags, weak ones too: storage has strong ones only, and a
// proxy that compressed an answer marks them as weak. Those that no storage makes
// are left out.
func tagsOf(lines []string) tags {
	text := strings.Join(lines, ",")
	t := tags{set: text != "", any: strings.TrimSpace(text) == "*"}
	for text != "" && len(t.list) < maxTags {
		text = strings.TrimPrefix(strings.TrimLeft(text, " \t,"), "W/")
		tag, rest, closed := strings.Cut(strings.TrimPrefix(text, `"`), `"`)
		if !strings.HasPrefix(text, `"`) || !closed {
			break // not a list of tags from here on
		}
		if plainTag(tag) {
			t.list = append(t.list, tag)
		}
		text = rest
	}
	return t
}

// plainTag tells whether a tag may be handed on to storage: with spaces or beyond
// ASCII it would break the signature of the request.
func plainTag(tag string) bool {
	return tag != "" && len(tag) <= maxTag && !strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == '"' || r >= 0x7f })
}

// single returns the tag where there is exactly one, or "".
func (t tags) single() string {
	if len(t.list) == 1 && !t.any {
		return t.list[0]
	}
	return ""
}

// has tells whether a stored object's tag is among them.
func (t tags) has(tag string) bool {
	if t.any {
		return true
	}
	for _, one := range t.list {
		if one == tag {
			return true
		}
	}
	return false
}

// options has storage itself answer what it can: one tag, or a time since which
// the file is to be newer. What is to be older it may refuse wrongly, as some
// storage compares fractions of a second.
func (c conditions) options() core.OpenOptions {
	return core.OpenOptions{IfMatch: c.match.single(), IfNoneMatch: c.noneMatch.single(), IfModifiedSince: c.modified}
}

// met holds an object against the conditions, in the order of RFC 9110, 13.2.2:
// 304, 412, or 0 where they are met.
func (c conditions) met(o core.Object) int {
	stored := o.Modified.Truncate(time.Second) // headers have no fractions
	switch {
	case c.match.set && !c.match.has(o.ETag), !c.unmodified.IsZero() && stored.After(c.unmodified):
		return http.StatusPreconditionFailed
	case c.noneMatch.set && c.noneMatch.has(o.ETag), !c.modified.IsZero() && !stored.After(c.modified):
		return http.StatusNotModified
	}
	return 0
}
