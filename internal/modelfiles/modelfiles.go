// Package modelfiles finds the stored files in an app's rows.
//
//	for _, f := range modelfiles.Of(&profile) {
//		fmt.Println(f.Object.Key)
//	}
//
// A file is whatever has these methods of fieldtype.File: Object, Stat and Delete. It
// looks into structs, pointers, slices and arrays, as far as fields are exported.
package modelfiles

import (
	"context"
	"reflect"

	"github.com/filefield/filefield/core"
)

// File is a file in a row.
type File struct {
	Object core.Object
	// Delete removes it, at the commit of ctx's transaction.
	Delete func(ctx context.Context) error

	stat func(ctx context.Context) error
}

type file interface {
	Object() core.Object
	Stat(ctx context.Context) error
	Delete(ctx context.Context) error
}

// Is says whether a field of this type holds files: one, a pointer to one, or a
// list.
func Is(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || (t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(reflect.TypeFor[file]())) {
		t = t.Elem()
	}
	return reflect.PointerTo(t).Implements(reflect.TypeFor[file]())
}

// Of returns the files in v. Fields that hold none are left out.
func Of(v any) []File { return In(reflect.ValueOf(v)) }

// In is Of for a reflected value.
func In(v reflect.Value) []File {
	var found []File
	collect(v, &found, 0)
	return found
}

// maxDepth ends the walk in rows that point at themselves.
const maxDepth = 8

func collect(v reflect.Value, found *[]File, depth int) {
	if !v.IsValid() || depth > maxDepth {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			collect(v.Elem(), found, depth+1)
		}
		return
	case reflect.Struct:
		if reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[file]()) {
			add(v, found)
			return
		}
		for i := range v.NumField() {
			// What an embedded struct promotes is exported whatever its own name.
			if f := v.Type().Field(i); f.IsExported() || (f.Anonymous && f.Type.Kind() == reflect.Struct) {
				collect(v.Field(i), found, depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Pointer && k != reflect.Interface {
			return
		}
		for i := range v.Len() {
			collect(v.Index(i), found, depth+1)
		}
	}
}

// add takes a copy: to delete a file also empties its variable.
func add(v reflect.Value, found *[]File) {
	if !v.CanInterface() { // an embedded type that is not exported
		return
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	f := p.Interface().(file) // collect has seen to it
	if o := f.Object(); !o.Key.IsZero() {
		*found = append(*found, File{Object: o, Delete: f.Delete, stat: f.Stat})
	}
}

// Without returns the files of before that after does not have.
func Without(before, after []File) []File {
	var gone []File
	for _, b := range before {
		if !has(after, b.Object) {
			gone = append(gone, b)
		}
	}
	return gone
}

func has(list []File, o core.Object) bool {
	for _, f := range list {
		// An object made by hand may not name its bucket.
		if f.Object.Key == o.Key && (f.Object.Bucket == o.Bucket || f.Object.Bucket == "" || o.Bucket == "") {
			return true
		}
	}
	return false
}

// MustExist refuses files that a row is to get and that do not exist any more, with
// ErrPrecondition: those of a row that was read before another request replaced
// them, or of an old form's token. Storage is asked for files only that the
// transaction of ctx has not stored itself; if it does not answer, they pass.
func MustExist(ctx context.Context, fresh []File) error {
	for _, f := range fresh {
		if f.Object.Loose() || core.TxnFrom(ctx).Holds(f.Object.Bucket, f.Object.Key) {
			continue
		}
		if err := f.stat(ctx); core.KindOf(err) == core.ErrNotFound {
			return &core.Error{
				Kind: core.ErrPrecondition, Op: "store row with file", Bucket: f.Object.Bucket, Key: f.Object.Key.String(), Err: err,
				Advice: "the row has got another file since it was read: read it again, and then change it",
			}
		}
	}
	return nil
}
