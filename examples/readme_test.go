package examples

import (
	"os"
	"strings"
	"testing"
)

func TestTheReadmeShowsThisProgram(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("quickstart/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "```go\n")
	shown, _, found := strings.Cut(shown, "```")
	if !found || !strings.HasSuffix(string(program), "\n"+shown) {
		t.Error("README.md does not show the end of main.go, from \"var store\" on, as it stands")
	}
}
