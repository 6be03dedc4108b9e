package documents_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository.
var root = filepath.Join("..", "..")

// caseIDs are the project's cases of hostile input and faults: how many there are
// of each kind.
var caseIDs = map[string]int{"N": 12, "K": 6, "U": 21, "C": 15, "D": 10, "S": 11, "O": 14}

var (
	caseRow  = regexp.MustCompile(`(?m)^\| ([NKUCDSO][0-9]{1,2}) \|([^|]*)\|([^|]*)\|$`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	spans    = regexp.MustCompile("`([^`]+)`")
	testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	subtest  = regexp.MustCompile(`^([NKUCDSO][0-9]{1,2}\b.*)$`)
	anID     = regexp.MustCompile(`^[NKUCDSO][0-9]{1,2}$`)
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// tests are what the repository's test sources declare.
type tests struct {
	functions map[string]bool
	source    string // of tests and of the suite, for the names of subtests
}

func readTests(t *testing.T) tests {
	t.Helper()
	found := tests{functions: map[string]bool{}}
	var source strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return fs.SkipDir
		}
		inSuite := filepath.Dir(path) == filepath.Join(root, "conformance") && strings.HasSuffix(path, ".go")
		if d.IsDir() || d.Name() == "security_test.go" || !strings.HasSuffix(path, "_test.go") && !inSuite {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(text, -1) {
			found.functions[string(match[1])] = true
		}
		source.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found.source = source.String()
	return found
}

// has says whether there is a test of that name: a function, or a case of a table
// whose name begins like that.
func (have tests) has(name string) bool {
	switch {
	case testName.MatchString(name):
		return have.functions[name]
	case anID.MatchString(name): // a table's column
		return strings.Contains(have.source, `"`+name+`"`)
	default:
		return strings.Contains(have.source, `"`+name)
	}
}

// isTest says whether what stands in code style names a test.
func isTest(name string) bool { return testName.MatchString(name) || subtest.MatchString(name) }

func TestTheSecurityDocumentNamesATestOrAReasonForEveryCase(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	text = fenced.ReplaceAll(text, nil)
	have := readTests(t)
	rows := map[string]string{}
	for _, row := range caseRow.FindAllStringSubmatch(string(text), -1) {
		if _, twice := rows[row[1]]; twice {
			t.Errorf("%s has two rows", row[1])
		}
		if len(strings.TrimSpace(row[2])) < 10 {
			t.Errorf("%s: the row does not say what the case is", row[1])
		}
		rows[row[1]] = strings.TrimSpace(row[3])
	}
	for kind, n := range caseIDs {
		for i := 1; i <= n; i++ {
			id := fmt.Sprint(kind, i)
			held, ok := rows[id]
			delete(rows, id)
			if !ok {
				t.Errorf("%s has no row", id)
				continue
			}
			named := 0
			for _, span := range spans.FindAllStringSubmatch(held, -1) {
				if isTest(span[1]) {
					named++
				}
			}
			reason, without := strings.CutPrefix(held, "Does not apply: ")
			if named == 0 && (!without || len(reason) < 40) {
				t.Errorf("%s names neither a test nor a reason: %q", id, held)
			}
		}
	}
	for id := range rows {
		t.Errorf("%s is no case", id)
	}
	for _, span := range spans.FindAllStringSubmatch(string(text), -1) {
		if isTest(span[1]) && !have.has(span[1]) {
			t.Errorf("there is no test %q", span[1])
		}
	}
}
