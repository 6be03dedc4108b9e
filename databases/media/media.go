// Package media declares the file fields of the tests, as an app would:
//
//	avatar fieldtype.File[media.Avatar]
//
// Keys start with what the context says (WithFolder), so that tests that run at
// the same time share a bucket and see their own files.
package media

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
)

type fields struct{ avatar, extra *core.Field }

var declared, before atomic.Pointer[fields] //nolint:gochecknoglobals // the app's fields, as the library asks for them

// Declare declares the fields on a store.
func Declare(store *core.Store, bucket string) {
	previous := declared.Load()
	defer func() { before.Store(previous) }()
	declared.Store(&fields{
		avatar: store.Field(core.FieldConfig{Name: "avatar", Model: "profile", Bucket: bucket, UploadTo: uploadTo, MaxSize: core.GiB}),
		extra:  store.Field(core.FieldConfig{Name: "extra", Model: "profile", Bucket: bucket, UploadTo: uploadTo, MaxFiles: 5}),
	})
}

// Redeclare goes back to the fields of before the last Declare.
func Redeclare() { declared.Store(before.Load()) }

// Avatars and Extras are the fields.
func Avatars() *core.Field { return declared.Load().avatar }

// Extras is the field of several files.
func Extras() *core.Field { return declared.Load().extra }

type folderKey struct{}

// WithFolder returns a context under which files are saved in a folder.
func WithFolder(ctx context.Context, folder string) context.Context {
	return context.WithValue(ctx, folderKey{}, folder)
}

func uploadTo(n core.Naming) (string, error) {
	folder, ok := n.Context.Value(folderKey{}).(string)
	if !ok { // a sweep asks, to see where files can be: anywhere
		return "", errors.New("the context names no folder")
	}
	name, err := core.RandomName(n)
	return folder + "/" + name, err
}

// Avatar is a field of one file.
type Avatar struct{}

// FileField returns the declared field.
func (Avatar) FileField() *core.Field { return Avatars() }

// Extra is a field of several files.
type Extra struct{}

// FileField returns the declared field.
func (Extra) FileField() *core.Field { return Extras() }

// AvatarFile is a plain name for code generators.
type AvatarFile struct{ fieldtype.File[Avatar] }

// ExtraFiles is a plain name for code generators.
type ExtraFiles struct{ fieldtype.Files[Extra] }
