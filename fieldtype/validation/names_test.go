package validation

import (
	"strings"
	"testing"
)

func FuzzClientPath(f *testing.F) {
	f.Add("Post.items[0].photo", "Post.Items[0].Photo")
	f.Add("Page[a.b/c.T].(Base).named[a.b][1]", "Page[a.b/c.T].Base.Named[a.b][1]")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, path, structPath string) {
		got := clientPath(path, structPath)
		if len(got) > len(path) || strings.HasPrefix(got, ".") && !strings.Contains(path, "[") {
			t.Errorf("%q, %q: got %q", path, structPath, got)
		}
	})
}
