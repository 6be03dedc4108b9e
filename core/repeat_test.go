package core_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func isList(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }

func TestReadingIsRepeatedWhereThatHelps(t *testing.T) {
	t.Parallel()
	isGet := func(r *http.Request) bool { return r.Method == http.MethodGet }
	for _, c := range []struct {
		name   string
		status int
		code   string
		times  int64
		kind   core.Kind
		tries  int
	}{
		{"503 SlowDown once", http.StatusServiceUnavailable, "SlowDown", 1, 0, 2},
		{"500 twice", http.StatusInternalServerError, "InternalError", 2, 0, 3},
		{"503 again and again", http.StatusServiceUnavailable, "SlowDown", always, core.ErrUnavailable, 3},
		{"403", http.StatusForbidden, "AccessDenied", 1, core.ErrDenied, 1},
		{"404", http.StatusNotFound, "NoSuchKey", 1, core.ErrNotFound, 1},
	} {
		for what, read := range map[string]func(b *core.Bucket) (string, error){
			"a file": func(b *core.Bucket) (string, error) {
				f, err := b.Open(t.Context(), mustKey(t, "a.txt"), core.OpenOptions{})
				if err != nil {
					return "", err
				}
				defer f.Close()
				content, err := io.ReadAll(f)
				return string(content), err
			},
			"a listing": func(b *core.Bucket) (keys string, err error) {
				for o, err := range b.Walk(t.Context(), "") {
					if err != nil {
						return keys, err
					}
					keys += o.Key.String()
				}
				return keys, nil
			},
		} {
			t.Run(what+", answered with "+c.name, func(t *testing.T) {
				t.Parallel()
				recorder, store, bucket := recorded(t)
				b := store.Bucket(bucket)
				save(t, b, "a.txt", "a.txt")
				recorder.Reset()
				recorder.Intercept(answering(c.status, c.code, c.times, isGet))
				got, err := read(b)
				if c.kind == 0 && (err != nil || got != "a.txt") {
					t.Errorf("it reads %q, %v", got, err)
				}
				if c.kind != 0 {
					wantKind(t, "reading", err, c.kind)
				}
				tries := c.tries
				if c.kind == 0 && what == "a listing" {
					tries++ // sees that nothing comes behind
				}
				if n := recorder.Count(http.MethodGet); n != tries {
					t.Errorf("%d requests were made, want %d", n, tries)
				}
			})
		}
	}
}

func TestAMissingObjectIsToldFromAnOutageOfOneRequest(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	recorder.Intercept(answering(http.StatusServiceUnavailable, "SlowDown", 1, func(r *http.Request) bool { return r.Method == http.MethodGet }))
	there, err := store.Bucket(bucket).Exists(t.Context(), mustKey(t, "a.txt"))
	if there || err != nil {
		t.Errorf("the answer is %v, %v, want false", there, err)
	}
	if n := recorder.Count(""); n != 3 { // HEAD, and what it means asked by GET twice
		t.Errorf("%d requests were made, want 3", n)
	}
}

// smallPages has a server list three entries a page, and refuses every second
// request for a page.
type smallPages struct {
	server *s3test.Server
	pages  atomic.Int64
}

func (p *smallPages) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isList(r) {
		return http.DefaultTransport.RoundTrip(r)
	}
	if p.pages.Add(1)%2 == 0 {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: r, Header: http.Header{}}, nil
	}
	return listThree(r, p.server)
}

// listThree asks the server for three entries of what r lists.
func listThree(r *http.Request, server *s3test.Server) (*http.Response, error) {
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("max-keys", "3")
	r.URL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	signV4(r, server, time.Now().UTC())
	return http.DefaultTransport.RoundTrip(r)
}

// hastyEnds has a server list three entries a page, and say of each page that it is
// the last: so MinIO does when its drives have much of deleted objects left.
type hastyEnds struct{ server *s3test.Server }

func (h hastyEnds) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isList(r) {
		return http.DefaultTransport.RoundTrip(r)
	}
	resp, err := listThree(r, h.server)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	page = bytes.Replace(page, []byte("<IsTruncated>true<"), []byte("<IsTruncated>false<"), 1)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(page)), int64(len(page))
	resp.Header.Set("Content-Length", strconv.Itoa(len(page)))
	return resp, nil
}

func TestAListingGoesOnWhereAFailureBrokeItOff(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, func(c *core.Config) { c.Transport = &smallPages{server: s3test.Start(t)} })
	wantAllListed(t, store.Bucket(bucket))
}

func TestAListingGoesOnBehindAPageThatSaysItIsTheLast(t *testing.T) {
	t.Parallel()
	store, bucket := openStore(t, func(c *core.Config) { c.Transport = hastyEnds{s3test.Start(t)} })
	wantAllListed(t, store.Bucket(bucket))
}

// wantAllListed saves objects in some folders, and wants to find them all.
func wantAllListed(t *testing.T, b *core.Bucket) {
	t.Helper()
	var objects, top []string
	for i := range 7 {
		file, below := fmt.Sprintf("%d.txt", i), fmt.Sprintf("%d/", i)
		objects = append(objects, file, below+"a", below+"z")
		top = append(top, file, below)
	}
	for _, key := range objects {
		save(t, b, key, "content")
	}
	slices.Sort(objects)

	var walked []string
	for o, err := range b.Walk(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		walked = append(walked, o.Key.String())
	}
	if !slices.Equal(walked, objects) {
		t.Errorf("the walk gives %q, want %q", walked, objects)
	}
	var after []string
	for o, err := range b.WalkFrom(t.Context(), core.WalkOptions{After: objects[4]}) {
		if err != nil {
			t.Fatal(err)
		}
		after = append(after, o.Key.String())
	}
	if !slices.Equal(after, objects[5:]) {
		t.Errorf("after %q the walk gives %q, want %q", objects[4], after, objects[5:])
	}
	var listed []string
	for e, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Dir {
			e.Name += "/"
		}
		listed = append(listed, e.Name)
	}
	slices.Sort(listed)
	slices.Sort(top)
	if !slices.Equal(listed, top) {
		t.Errorf("the list gives %q, want %q", listed, top)
	}
}
