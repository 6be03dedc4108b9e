package documents_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shipped are the modules whose code ends in apps.
var shipped = []string{".", "cloudfront", "cmd/filefield", "embeds3", "manage", "orm/bunfiles", "orm/entfiles", "orm/gormfiles", "orm/pgxfiles", "tusupload"}

func TestEveryDirectDependencyHasALicenceAndAReason(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z]+\S*\.\S+) \| ([^|]+) \| ([^|]+) \|$`).FindAllStringSubmatch(string(page), -1) {
		if rows[row[1]] {
			t.Errorf("%s has two rows", row[1])
		}
		rows[row[1]] = true
	}
	required := regexp.MustCompile(`(?m)^(?:require|\t)\s*([a-z]+\S*\.\S+/\S+) v\S+$`) // not // indirect
	for _, module := range shipped {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(module), "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, r := range required.FindAllStringSubmatch(string(text), -1) {
			found++
			if !strings.HasPrefix(r[1], "github.com/filefield/") && !rows[r[1]] {
				t.Errorf("%s of the module %s has no row", r[1], module)
			}
		}
		if found == 0 {
			t.Errorf("the module %s requires nothing: is its go.mod read?", module)
		}
	}
}
