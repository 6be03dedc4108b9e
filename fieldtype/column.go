package fieldtype

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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

// encodeColumn writes an object in the form the field has chosen. A key that
// would be read as something else is written as a document whatever the form.
func encodeColumn(o core.Object, form core.Column) (driver.Value, error) {
	if key := o.Key.String(); form == core.ColumnKey && !isDocument(key) && !isOtherJSON(key) {
		return key, nil
	}
	var space [2048]byte
	b := appendDocument(space[:0], o)
	if len(b) > maxColumnBytes {
		return nil, errTooLong(len(b), maxColumnBytes)
	}
	return boxedText(b), nil
}

// decodeColumn reads a document or a bare key.
func decodeColumn[T text](value T, bucket string) (core.Object, error) {
	if len(value) > maxColumnBytes {
		return core.Object{}, errTooLong(len(value), maxColumnBytes)
	}
	if isDocument(value) {
		return decodeDocument(value, bucket)
	}
	key := string(value)
	if isOtherJSON(key) {
		return core.Object{}, errors.New("the value is JSON, but no file's")
	}
	return decodeKey(key, bucket)
}

// isDocument tells a document from a key. A document that was cut off still
// counts as one, so that it is not read as a key.
func isDocument[T text](value T) bool { return len(value) > 0 && value[0] == '{' }

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

func decodeDocument[T text](value T, bucket string) (core.Object, error) {
	r := reader[T]{from: value}
	d, err := r.document()
	if err == nil {
		err = r.ended()
	}
	if err != nil {
		return core.Object{}, err
	}
	return r.object(d, bucket)
}

// decodeList reads an array of documents and keys.
func decodeList[T text](value T, bucket string) (objects []core.Object, err error) {
	if len(value) > maxListBytes {
		return nil, errTooLong(len(value), maxListBytes)
	}
	r := reader[T]{from: value}
	return r.list(bucket)
}

// list reads an array of documents and keys, and counts the documents.
func (r *reader[T]) list(bucket string) (objects []core.Object, err error) {
	if !isList(r.from) || !r.takes('[') {
		return nil, errors.New("the value is not a JSON array of files")
	}
	for more := !r.takes(']'); more; {
		o, err := r.element(bucket)
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", len(objects), err)
		}
		objects = append(objects, o)
		if more = r.takes(','); !more && !r.takes(']') {
			return nil, errNotJSON
		}
	}
	return objects, r.ended()
}

func isList[T text](value T) bool { return len(value) > 0 && value[0] == '[' }

// element reads a file of an array.
func (r *reader[T]) element(bucket string) (core.Object, error) {
	r.space()
	start := r.at
	if r.at < len(r.from) && r.from[r.at] == '{' {
		d, err := r.document()
		if err != nil {
			return core.Object{}, err
		}
		r.documents++
		if size := r.at - start; size > maxColumnBytes {
			return core.Object{}, errTooLong(size, maxColumnBytes)
		}
		return r.object(d, bucket)
	}
	s, err := r.quoted()
	if err != nil {
		return core.Object{}, errors.New("the value is neither a document nor a key")
	}
	if size := s.to - s.from; size > maxColumnBytes {
		return core.Object{}, errTooLong(size, maxColumnBytes)
	}
	var key strings.Builder
	key.Grow(s.to - s.from)
	if err := r.unescape(&key, s); err != nil {
		return core.Object{}, err
	}
	return decodeKey(key.String(), bucket)
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
