//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: what a server used is read from /proc: this runs on Linux alone")
	os.Exit(1)
}
