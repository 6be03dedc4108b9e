package static

import (
	"context"
	"fmt"
	"html/template"
	"path"
	"strings"

	"github.com/filefield/filefield/core"
)

// URL returns where browsers get a file: "css/app.css" at its hashed name. It is
// computed and asks storage nothing, so that it may name a file that is not
// published yet. A name that no file has is an error of kind core.ErrConfig that
// tells the nearest one.
func (f *Files) URL(name string) (string, error) {
	s, err := f.current()
	if err != nil {
		return "", err
	}
	one, err := s.find(name)
	if err != nil {
		return "", err
	}
	return f.url(one.stored)
}

// URLFor is URL for a request with the given Accept-Encoding header: the URL of
// the variant it likes best, where Config.Encodings has it. S3 does not negotiate,
// so the page that names the file does. Such a page differs by the header: send it
// with "Vary: Accept-Encoding".
func (f *Files) URLFor(acceptEncoding, name string) (string, error) {
	s, err := f.current()
	if err != nil {
		return "", err
	}
	one, err := s.find(name)
	if err != nil {
		return "", err
	}
	return f.url(one.stored + choose(acceptEncoding, f.config.variants(one)).extension())
}

func (f *Files) url(stored string) (string, error) {
	if f.config.BaseURL != "" {
		return core.JoinURL(f.config.BaseURL, stored)
	}
	key, err := core.ParseKey(f.config.key(stored))
	if err != nil {
		return "", err
	}
	return f.bucket.URL(context.Background(), key, core.URLOptions{}) // public: nothing is waited for
}

// Integrity returns a file's value for the integrity attribute (Subresource
// Integrity): "sha384-…". It holds for every variant. The tag needs
// crossorigin="anonymous" where the URL is of another origin, and the bucket then
// an answer to CORS.
func (f *Files) Integrity(name string) (string, error) {
	s, err := f.current()
	if err != nil {
		return "", err
	}
	one, err := s.find(name)
	if err != nil {
		return "", err
	}
	return one.integrity, nil
}

// FuncMap gives templates "static", which is URL, and "integrity":
//
//	<script src="{{static "app.js"}}" integrity="{{integrity "app.js"}}" crossorigin="anonymous"></script>
//
// A name that no file has ends the template with an error.
func (f *Files) FuncMap() template.FuncMap {
	return template.FuncMap{"static": f.URL, "integrity": f.Integrity}
}

// FuncMapFor is FuncMap with URLFor in place of URL, for a template cloned for one
// request:
//
//	page, err := template.Must(page.Clone()).Funcs(files.FuncMapFor(r.Header.Get("Accept-Encoding")))
func (f *Files) FuncMapFor(acceptEncoding string) template.FuncMap {
	return template.FuncMap{
		"static":    func(name string) (string, error) { return f.URLFor(acceptEncoding, name) },
		"integrity": f.Integrity,
	}
}

// find returns the file of a name.
func (s *set) find(name string) (*file, error) {
	if one := s.byName[name]; one != nil {
		return one, nil
	}
	e := &core.Error{Kind: core.ErrConfig, Op: "static", Detail: fmt.Sprintf("there is no file %q", name)}
	if nearest := s.nearest(name); nearest != "" {
		e.Advice = fmt.Sprintf("did you mean %q?", nearest)
	}
	return nil, e
}

// nearest returns the name most like one that no file has: the one of the fewest
// changes, where a folder left out or wrong counts as one. "" where there are no
// files.
func (s *set) nearest(name string) string {
	best, least := "", -1
	for _, f := range s.files {
		d := distance(strings.ToLower(name), strings.ToLower(f.name))
		if path.Dir(f.name) != path.Dir(name) {
			d = min(d, 1+distance(strings.ToLower(path.Base(name)), strings.ToLower(path.Base(f.name))))
		}
		if least < 0 || d < least {
			best, least = f.name, d
		}
	}
	return best
}

// distance is Levenshtein's: the fewest characters to change, add or drop.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range to {
			cost := diagonal
			if r != s {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
