package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/filefield/filefield/internal/s3test"
)

// programs is the folder of what the tests run, built once.
var programs string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "filefield-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = dir
	for name, source := range map[string]string{
		"filefield": ".",
		"shop":      "github.com/filefield/filefield/manage/examples/shop", // an app that embeds the commands
	} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), source)
		if said, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, said)
			return 1
		}
	}
	return s3test.Run(m)
}
