package fieldtype

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/filefield/filefield/core"
)

// Files is several files of one field, in order. As a struct field it binds from
// several tokens of one name; as a column it is a JSON array of documents (or of
// keys), NULL for none. Its zero value is none. Not safe for concurrent use
// while it is being set.
//
// An element may be no file, where Gin's binder was given an empty value: it
// counts for nothing.
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

// Keep is File.Keep for every file, in order, without those that are no file.
func (l Files[S]) Keep(ctx context.Context) (tokens []string, err error) {
	for _, f := range l {
		token, err := f.Keep(ctx)
		if err != nil {
			return tokens, err
		}
		if token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens, nil
}

// Claim confirms every file: see File.Claim. ErrTooMany for more of them than
// the field's MaxFiles, whatever binder filled the list. One that is refused
// leaves no file in the list.
func (l *Files[S]) Claim(ctx context.Context) error {
	if len(*l) == 0 {
		return nil
	}
	field, err := declared[S]("claim")
	if err != nil {
		return err
	}
	if len(*l) > field.Config().MaxFiles {
		*l = nil
		return tooMany(field, "claim")
	}
	for i := range *l {
		if err := (*l)[i].Claim(ctx); err != nil {
			*l = nil
			return err
		}
	}
	return nil
}

func tooMany(field *core.Field, op string) error {
	return &core.Error{Kind: core.ErrTooMany, Op: op, Field: field.Name(), Detail: fmt.Sprintf("the most files of this field is %d", field.Config().MaxFiles)}
}

// UnmarshalParams takes the tokens of one form field; those that are "" are
// inputs without a chosen file. It is what Echo's binder calls for a list. Errors
// as UnmarshalJSON.
func (l *Files[S]) UnmarshalParams(tokens []string) error {
	field, err := declared[S]("unmarshal")
	if err != nil {
		return err
	}
	out, err := l.read(field, tokens)
	if err == nil {
		*l = out
	}
	return err
}

func (l *Files[S]) read(field *core.Field, tokens []string) (out Files[S], err error) {
	for _, token := range tokens {
		if token == "" {
			continue
		}
		if len(out) == field.Config().MaxFiles {
			return nil, tooMany(field, "unmarshal")
		}
		var f File[S]
		if err := f.UnmarshalParam(token); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// UnmarshalJSON takes an array of tokens, or null for none. Elements that are
// null or "" are left out, as inputs without a chosen file are in a form.
// ErrTooMany for more files than the field's MaxFiles; otherwise errors as
// File.UnmarshalJSON, and on error the list is unchanged.
func (l *Files[S]) UnmarshalJSON(data []byte) error {
	field, err := declared[S]("unmarshal")
	if err != nil {
		return err
	}
	var tokens []string // null leaves an element ""
	if err := json.Unmarshal(data, &tokens); err != nil {
		return &core.Error{Kind: core.ErrToken, Op: "unmarshal", Field: field.Name(), Detail: "files are given by an array of their tokens"}
	}
	out, err := l.read(field, tokens)
	if err == nil {
		*l = out
	}
	return err
}

// MarshalJSON writes an array of what File.MarshalJSON writes, [] for none.
// Elements that are no file are left out.
func (l Files[S]) MarshalJSON() ([]byte, error) {
	if l = l.files(); l == nil {
		l = Files[S]{}
	}
	return json.Marshal([]File[S](l))
}

// ValidatorValue makes go-playground/validator see the elements, and nil where
// none is a file: so required means that there is one.
func (l Files[S]) ValidatorValue() any {
	for _, f := range l {
		if !f.IsZero() {
			return []File[S](l)
		}
	}
	return []File[S](nil)
}

// Equal tells whether both lists stand for the same objects in the same order.
// Elements that are no file do not count.
func (l Files[S]) Equal(other Files[S]) bool {
	return slices.EqualFunc(l.files(), other.files(), File[S].Equal)
}

// IsZero says that there is no file.
func (l Files[S]) IsZero() bool { return len(l.files()) == 0 }

// files returns the elements that are files, without copying where all are.
func (l Files[S]) files() Files[S] {
	if !slices.ContainsFunc(l, File[S].IsZero) {
		return l
	}
	return slices.DeleteFunc(slices.Clone(l), File[S].IsZero)
}

// LogValue logs the files by their places, each as File.LogValue.
func (l Files[S]) LogValue() slog.Value {
	attributes := make([]slog.Attr, len(l))
	for i, f := range l {
		attributes[i] = slog.Attr{Key: strconv.Itoa(i), Value: f.LogValue()}
	}
	return slog.GroupValue(attributes...)
}

// GormDataType gives GORM a column of text or jsonb: see File.GormDataType.
func (Files[S]) GormDataType() string { return columnType[S]() }

// Value is the column's value: NULL for none, else a JSON array, without the
// elements that are no file. It refuses what File.Value refuses, and a list
// whose text would exceed 1 MiB.
func (l Files[S]) Value() (driver.Value, error) {
	var b []byte
	for i, f := range l {
		if f.IsZero() {
			continue
		}
		b = append(b, ',')
		var err error
		if b, err = f.appendElement(b); err != nil {
			return nil, fmt.Errorf("file %d: %w", i, err)
		}
	}
	if len(b) == 0 {
		return nil, nil
	}
	b[0] = '['
	b = append(b, ']')
	if len(b) > maxListBytes {
		return nil, &core.Error{Kind: core.ErrInvalid, Op: "store files", Err: errTooLong(len(b), maxListBytes), Advice: "keep so many files in rows of their own"}
	}
	return string(b), nil
}

// appendElement writes a file into the array of a column.
func (f File[S]) appendElement(b []byte) ([]byte, error) {
	field, err := f.stored("store file")
	if err != nil {
		return b, err
	}
	if field.Config().Column == core.ColumnKey {
		return appendQuoted(b, f.object.Key.String()), nil
	}
	had := len(b)
	b = appendDocument(b, f.object)
	if size := len(b) - had; size > maxColumnBytes {
		return b, badValue(field, errTooLong(size, maxColumnBytes))
	}
	return b, nil
}

// Scan reads a JSON array of documents and keys, with the same refusals as
// File.Scan, at most 1 MiB of it. On error the list is unchanged.
func (l *Files[S]) Scan(src any) error {
	field, err := declared[S]("scan column")
	if err != nil {
		return err
	}
	var objects []core.Object
	switch v := src.(type) {
	case nil:
	case string:
		if v != "" {
			objects, err = decodeList(v, field.Bucket().Name())
		}
	case []byte:
		if len(v) > 0 {
			objects, err = decodeList(v, field.Bucket().Name())
		}
	default:
		err = errNoText(src)
	}
	if err != nil {
		return badColumn(field, err)
	}
	var out Files[S]
	for _, o := range objects {
		out = append(out, File[S]{object: o})
	}
	*l = out
	return nil
}
