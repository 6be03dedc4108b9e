package fieldtype

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/filefield/filefield/core"
)

// maxColumnBytes bounds a column's value; a document has a few hundred bytes.
const maxColumnBytes = 64 << 10

const documentVersion = 1

// document is a file in a column. Its names are short, since it is stored once
// per row.
type document struct {
	Version int    `json:"v"`
	Bucket  string `json:"bucket,omitempty"`
	Key     string `json:"key"`
	Name    string `json:"name,omitempty"`
	Size    int64  `json:"size"`
	Type    string `json:"type,omitempty"`
	CRC32C  string `json:"crc32c,omitempty"`
	Width   int    `json:"w,omitempty"`
	Height  int    `json:"h,omitempty"`
}

func documentOf(o core.Object) document {
	return document{
		Version: documentVersion, Key: o.Key.String(), Name: o.Name, Size: o.Size,
		Type: o.Type, CRC32C: o.CRC32C, Width: o.Width, Height: o.Height,
	}
}

func encodeDocument(o core.Object) (string, error) {
	b, err := json.Marshal(documentOf(o))
	return string(b), err
}

// decodeColumn reads a document or a bare key.
func decodeColumn(text, bucket string) (core.Object, error) {
	if len(text) > maxColumnBytes {
		return core.Object{}, fmt.Errorf("the value has %d bytes, more than a file's can have", len(text))
	}
	if !strings.HasPrefix(text, "{") {
		return fromKey(text, bucket)
	}
	var d document
	if err := decodeStrictly([]byte(text), &d); err != nil {
		return core.Object{}, err
	}
	return fromDocument(d, bucket)
}

// fromKey reads what Django stores: the key, and nothing else is known.
func fromKey(text, bucket string) (core.Object, error) {
	key, err := core.ParseKey(text)
	if err != nil {
		return core.Object{}, err
	}
	return core.Object{Bucket: bucket, Key: key, Name: key.Base()}, nil
}

func fromDocument(d document, bucket string) (core.Object, error) {
	if d.Version != documentVersion {
		return core.Object{}, fmt.Errorf("version %d of the column's document is unknown", d.Version)
	}
	if d.Bucket != "" && d.Bucket != bucket {
		return core.Object{}, errors.New("the document names another bucket")
	}
	key, err := core.ParseKey(d.Key)
	if err != nil {
		return core.Object{}, err
	}
	if d.Size < 0 || d.Width < 0 || d.Height < 0 {
		return core.Object{}, errors.New("the document has negative sizes")
	}
	return core.Object{
		Bucket: bucket, Key: key, Name: d.Name, Size: d.Size, Type: d.Type,
		CRC32C: d.CRC32C, Width: d.Width, Height: d.Height,
	}, nil
}

func decodeStrictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the document is not JSON as this field writes it: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the document is followed by more")
	}
	return nil
}
