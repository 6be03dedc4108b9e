package fieldtype

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/filefield/filefield/core"
)

// Files is several files of one field, in order. As a struct field it binds from
// several tokens of one name; as a column it is a JSON array of documents (or of
// keys), NULL for none. Its zero value is none.
type Files[S Spec] []File[S]

// Delete removes every object, or, under a core.Txn, has them go when it
// commits. All are tried; errors are joined, and the files that could not be
// removed stay in the list.
func (l *Files[S]) Delete(ctx context.Context) error {
	var errs []error
	var left Files[S]
	for _, f := range *l {
		if err := f.Delete(ctx); err != nil {
			errs = append(errs, err)
			left = append(left, f)
		}
	}
	*l = left
	return errors.Join(errs...)
}

// MarshalJSON writes an array, [] for none.
func (l Files[S]) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal([]File[S](l))
}

// GormDataType gives GORM a text column.
func (Files[S]) GormDataType() string { return "text" }

// Value is the column's value: NULL for none, else a JSON array.
func (l Files[S]) Value() (driver.Value, error) {
	if len(l) == 0 {
		return nil, nil
	}
	list := make([]json.RawMessage, 0, len(l))
	for i, f := range l {
		value, err := f.Value()
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", i, err)
		}
		text, _ := value.(string)
		if text == "" {
			continue
		}
		if f.field().Config().Column == core.ColumnKey {
			quoted, err := json.Marshal(text)
			if err != nil {
				return nil, err
			}
			text = string(quoted)
		}
		list = append(list, json.RawMessage(text))
	}
	b, err := json.Marshal(list)
	return string(b), err
}

// Scan reads a JSON array of documents or keys, with the same refusals as
// File.Scan.
func (l *Files[S]) Scan(src any) error {
	var text []byte
	switch v := src.(type) {
	case nil:
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return (&File[S]{}).badColumn(errors.New("the column holds neither text nor bytes"))
	}
	if len(text) == 0 {
		*l = nil
		return nil
	}
	var list []json.RawMessage
	if len(text) > maxColumnBytes*16 {
		return (&File[S]{}).badColumn(errors.New("the value has more bytes than a list of files can have"))
	}
	if err := decodeStrictly(text, &list); err != nil {
		return (&File[S]{}).badColumn(err)
	}
	out := make(Files[S], len(list))
	for i, one := range list {
		var key string
		if json.Unmarshal(one, &key) != nil {
			key = string(one) // a document
		}
		if err := out[i].Scan(key); err != nil {
			return err
		}
	}
	*l = out
	return nil
}
