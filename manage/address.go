package manage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// address is what BUCKET/KEY names: a bucket, and below it an object or, where
// key ends in "/" or is empty, a folder.
type address struct {
	bucket string
	key    string
}

// parseAddress reads "bucket", "bucket/key" and "bucket/folder/", with or without
// "s3://" before it. Whether key is one is for core to say.
func parseAddress(text string) (address, error) {
	text = strings.TrimPrefix(text, "s3://")
	bucket, key, _ := strings.Cut(text, "/")
	if bucket == "" {
		return address{}, errors.New("no bucket is named: an address reads BUCKET/KEY")
	}
	if strings.Contains(bucket, ":") {
		return address{}, errors.New("an address reads BUCKET/KEY: it is no URL")
	}
	return address{bucket, key}, nil
}

// String returns the address as it is written.
func (a address) String() string {
	if a.key == "" {
		return a.bucket
	}
	return a.bucket + "/" + a.key
}

// folder says whether it names a bucket or a folder, not an object.
func (a address) folder() bool { return a.key == "" || strings.HasSuffix(a.key, "/") }

// prefix returns what the keys below the address start with.
func (a address) prefix() string {
	if a.folder() {
		return a.key
	}
	return a.key + "/"
}

// place is an address that a command works on, in a storage.
type place struct {
	address
	in     *core.Bucket
	object core.Key // zero where the address names a folder
}

// place finds what an argument names.
func (c *commands) place(cmd *cobra.Command, text string) (place, error) {
	a, err := parseAddress(text)
	if err != nil {
		return place{}, usageError(cmd, "%q: %w", text, err)
	}
	storage, err := c.one(cmd)
	if err != nil {
		return place{}, err
	}
	p := place{address: a, in: storage.Store.Bucket(a.bucket)}
	if !a.folder() {
		if p.object, err = core.ParseKey(a.key); err != nil {
			return place{}, err
		}
	}
	return p, nil
}

// objectPlace is place for commands that need an object.
func (c *commands) objectPlace(cmd *cobra.Command, text string) (place, error) {
	p, err := c.place(cmd, text)
	if err == nil && p.object.IsZero() {
		return p, usageError(cmd, "%q names no object: an address reads BUCKET/KEY", text)
	}
	return p, err
}

// span is a range of bytes as core.OpenOptions has it.
type span struct{ offset, length int64 }

// parseSpan reads a range as HTTP writes it: "0-99", "100-", and "-50" for the
// last 50 bytes.
func parseSpan(text string) (span, error) {
	first, last, dash := strings.Cut(text, "-")
	if !dash || (first == "" && last == "") {
		return span{}, errors.New("a range reads FIRST-LAST, FIRST- or -COUNT, in bytes")
	}
	from, err := parseOffset(first)
	if err != nil {
		return span{}, err
	}
	to, err := parseOffset(last)
	switch {
	case err != nil:
		return span{}, err
	case first == "" && to == 0:
		return span{}, errors.New("the last 0 bytes are none")
	case first == "":
		return span{offset: -to}, nil
	case last == "":
		return span{offset: from}, nil
	case to < from:
		return span{}, fmt.Errorf("it ends at %d, before it starts at %d", to, from)
	}
	return span{offset: from, length: to - from + 1}, nil
}

func parseOffset(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > uint64(core.Unlimited) {
		return 0, fmt.Errorf("%q is not a number of bytes an object can have", text)
	}
	return int64(n), nil
}

// pairs reads what a repeated NAME=VALUE flag says.
func pairs(flag string, values []string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(values))
	for _, v := range values {
		name, value, found := strings.Cut(v, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("--%s %q does not read NAME=VALUE", flag, v)
		}
		out[name] = value
	}
	return out, nil
}
