package main

import (
	"fmt"
	"regexp"
	"strings"
)

// way is one way to take uploads.
type way struct {
	Name    string
	program string // in bench, which is built
	mode    string // its first argument, or none
	kind    kind
	speaks  protocol
}

// kind says what a way is compared as.
type kind int

const (
	peer kind = iota
	ours
	limit
)

// protocol is how a way is sent a file.
type protocol int

const (
	form protocol = iota // multipart/form-data
	raw                  // the body is the file; its length is always said
	tus                  // creation-with-upload
)

var ways = []way{
	{Name: "filefield, net/http", program: "uploadserver/nethttp", kind: ours},
	{Name: "filefield, Echo", program: "uploadserver/echo", kind: ours},
	{Name: "filefield, Gin", program: "uploadserver/gin", kind: ours},
	{Name: "filefield, Gin without its binder", program: "uploadserver/ginbind", kind: ours},
	{Name: "Gin FormFile + PutObject", program: "peers/miniogo", mode: "gin"},
	{Name: "Echo FormFile + PutObject", program: "peers/miniogo", mode: "echo"},
	{Name: "net/http FormFile + PutObject", program: "peers/miniogo", mode: "nethttp"},
	{Name: "MultipartReader + PutObject(-1)", program: "peers/miniogo", mode: "reader"},
	{Name: "MultipartReader + PutObject(-1), 16 MiB parts", program: "peers/miniogo", mode: "reader16"},
	{Name: "MultipartReader + gocloud.dev/blob", program: "peers/gocloud", mode: "reader"},
	{Name: "tusd", program: "peers/tusd", mode: "tusd", speaks: tus},
	{Name: "limit: body into one unsigned PUT", program: "peers/miniogo", mode: "limit", kind: limit, speaks: raw},
}

// chooseWays returns those whose name matches.
func chooseWays(only string) ([]way, error) {
	pattern, err := regexp.Compile("(?i)" + only)
	if err != nil {
		return nil, fmt.Errorf("only: %w", err)
	}
	var chosen []way
	var names []string
	for _, w := range ways {
		names = append(names, w.Name)
		if pattern.MatchString(w.Name) {
			chosen = append(chosen, w)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("only: no way matches %q; there are %s", only, strings.Join(names, "; "))
	}
	return chosen, nil
}
