package nethttp

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// names gives the names that an archive has for those asked for.
func zipNames(asked ...string) (used []string) {
	a := &archive{taken: map[string]int{}, folders: map[string]string{}}
	for _, name := range asked {
		name = safeZipName(name)
		used = append(used, a.free(a.folder(path.Dir(name)), path.Base(name)))
	}
	return used
}

func TestC10NamesInAnArchiveAreSingleAndSafe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("folder/", 300) + "a.txt"
	for _, c := range []struct {
		name        string
		asked, want []string
	}{
		{"the same name", []string{"a.txt", "a.txt", "A.TXT"}, []string{"a.txt", "a (2).txt", "A (3).TXT"}},
		{"a number that is taken", []string{"a (2).txt", "a.txt", "a.txt"}, []string{"a (2).txt", "a.txt", "a (3).txt"}},
		{"folders", []string{"v1.2/a", "v1.2/a", "V1.2/b"}, []string{"v1.2/a", "v1.2/a (2)", "v1.2/b"}},
		{"a folder of a file's name", []string{"a", "a/b", "a/c", "a"}, []string{"a", "a (2)/b", "a (2)/c", "a (3)"}},
		{"a file of a folder's name", []string{"a/b/c", "a", "a/b"}, []string{"a/b/c", "a (2)", "a/b (2)"}},
		{"above the archive", []string{"../../a", "/etc/passwd", `..\..\b`, "./c/../d", "..", "", "///"}, []string{"a", "etc/passwd", "b", "c/d", "file", "file (2)", "file (3)"}},
		{"names that systems read otherwise", []string{"con", "COM1.txt", "a:b", "x. ", `"q"?*<>|`, "lpt1/nul"}, []string{"_con", "_COM1.txt", "a_b", "x", "_q______", "_lpt1/_nul"}},
		{"line ends and overrides", []string{"a\r\nb", "a\x00b", "a\u202eb"}, []string{"ab", "ab (2)", "ab (3)"}},
	} {
		if got := zipNames(c.asked...); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := zipNames(long)[0]; len(got) > maxZipPath || !strings.HasSuffix(got, "folder/a.txt") {
		t.Errorf("a path of %d bytes becomes one of %d: %.40q", len(long), len(got), got)
	}
}

func TestManyFilesOfOneNameTakeNoLongTime(t *testing.T) {
	t.Parallel()
	began := time.Now()
	used := zipNames(slices.Repeat([]string{"a.txt"}, maxZipEntries)...)
	slices.Sort(used)
	if n := len(slices.Compact(used)); n != maxZipEntries {
		t.Errorf("of %d names, %d are single", maxZipEntries, n)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("naming them took %s", took)
	}
}

// FuzzZipNames checks that names stay in the archive, and single, whatever was
// asked for.
func FuzzZipNames(f *testing.F) {
	for _, seed := range []string{"a\na", "../x\n..\\x", "con\na/con", "a/b\na\na/b/c", "A (2).txt\na.txt\na.txt"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		seen := map[string]bool{}
		for _, name := range zipNames(strings.Split(asked, "\n")...) {
			folded := strings.ToLower(name)
			if seen[folded] || name == "" || len(name) > maxZipPath+300 || path.Clean("/"+name) != "/"+name || strings.ContainsAny(name, "\\:\x00\r\n\"<>|?*") {
				t.Errorf("%q gives the name %q", asked, name)
			}
			seen[folded] = true
		}
		for name := range seen {
			for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
				if seen[dir] {
					t.Errorf("%q gives the file %q and a file in it, %q", asked, dir, name)
				}
			}
		}
	})
}
