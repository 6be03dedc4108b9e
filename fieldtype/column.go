package fieldtype

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/filefield/filefield/core"
)

const (
	// maxColumnBytes bounds the value of one file; a document has a few hundred
	// bytes.
	maxColumnBytes = 64 << 10
	// maxListBytes bounds the value of a list of files.
	maxListBytes = 1 << 20

	documentVersion = 1
)

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

// encodeColumn writes an object in the form the field has chosen. A key that
// would be read as something else is written as a document whatever the form.
func encodeColumn(o core.Object, form core.Column) (string, error) {
	key := o.Key.String()
	if form == core.ColumnKey && !isDocument(key) && !isOtherJSON(key) {
		return key, nil
	}
	return encodeDocument(o)
}

func encodeDocument(o core.Object) (string, error) {
	return encodeJSON(document{
		Version: documentVersion, Key: o.Key.String(), Name: o.Name, Size: o.Size,
		Type: o.Type, CRC32C: o.CRC32C, Width: o.Width, Height: o.Height,
	}, maxColumnBytes)
}

// encodeJSON writes what Scan can read again. A column is no web page: "&" and
// "<" stay as they are.
func encodeJSON(v any, limit int) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if len(text) > limit {
		return "", errTooLong(len(text), limit)
	}
	return text, nil
}

// decodeColumn reads a document or a bare key.
func decodeColumn(text, bucket string) (core.Object, error) {
	if len(text) > maxColumnBytes {
		return core.Object{}, errTooLong(len(text), maxColumnBytes)
	}
	switch {
	case isDocument(text):
		return decodeDocument(text, bucket)
	case isOtherJSON(text):
		return core.Object{}, errors.New("the value is JSON, but no file's")
	}
	return decodeKey(text, bucket)
}

// isDocument tells a document from a key. A document that was cut off still
// counts as one, so that it is not read as a key.
func isDocument(text string) bool { return strings.HasPrefix(text, "{") }

// isOtherJSON tells a list of files and a quoted key from a bare key: a column
// of another kind must not be read as a key.
func isOtherJSON(text string) bool {
	return (strings.HasPrefix(text, "[") || strings.HasPrefix(text, `"`)) && json.Valid([]byte(text))
}

// decodeKey reads what Django stores: the key, and nothing else is known.
func decodeKey(text, bucket string) (core.Object, error) {
	key, err := core.ParseKey(text)
	if err != nil {
		return core.Object{}, err
	}
	return core.Object{Bucket: bucket, Key: key, Name: key.Base()}, nil
}

func decodeDocument(text, bucket string) (core.Object, error) {
	var d document
	if err := decodeStrictly(text, &d); err != nil {
		return core.Object{}, err
	}
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

// decodeList reads an array of documents and keys.
func decodeList(text, bucket string) ([]core.Object, error) {
	if len(text) > maxListBytes {
		return nil, errTooLong(len(text), maxListBytes)
	}
	if !strings.HasPrefix(text, "[") {
		return nil, errors.New("the value is not a JSON array of files")
	}
	var list []json.RawMessage
	if err := decodeStrictly(text, &list); err != nil {
		return nil, err
	}
	objects := make([]core.Object, 0, len(list))
	for i, element := range list {
		o, err := decodeElement(string(element), bucket)
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", i, err)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func decodeElement(text, bucket string) (core.Object, error) {
	if len(text) > maxColumnBytes {
		return core.Object{}, errTooLong(len(text), maxColumnBytes)
	}
	if isDocument(text) {
		return decodeDocument(text, bucket)
	}
	var key *string
	if err := json.Unmarshal([]byte(text), &key); err != nil || key == nil {
		return core.Object{}, errors.New("the value is neither a document nor a key")
	}
	return decodeKey(*key, bucket)
}

// decodeStrictly refuses what json.Unmarshal lets pass: members this version
// does not know, and bytes that are not UTF-8, which it would replace and so
// turn one key into another.
func decodeStrictly(text string, into any) error {
	if !utf8.ValidString(text) {
		return errors.New("the value is not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the value is not JSON as this field writes it: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the value's JSON is followed by more")
	}
	return nil
}

// columnText returns the text of what a driver hands to Scan, copied; "" is NULL.
func columnText(src any) (string, error) {
	switch v := src.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", fmt.Errorf("the column holds a %T, neither text nor bytes", src)
}

func errTooLong(size, limit int) error {
	return fmt.Errorf("the value has %d bytes, the most is %d", size, limit)
}

// badValue wraps why Value cannot write a file.
func badValue(field *core.Field, err error) error {
	return &core.Error{Kind: core.ErrInvalid, Op: "store file", Field: field.Name(), Err: err}
}

// badColumn wraps what Scan refuses.
func badColumn(field *core.Field, err error) error {
	return &core.Error{
		Kind: core.ErrInvalid, Op: "scan column", Field: field.Name(), Err: err,
		Advice: "the column was not written by this field",
	}
}
