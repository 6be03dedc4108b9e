// Package fieldtype holds the struct field types that stand for stored files in
// forms, JSON, templates and database columns.
//
//	type Avatar struct{} // the field, as a type
//
//	func (Avatar) FileField() *core.Field { return avatars }
//
//	type Profile struct {
//		ID     uint
//		Name   string                 `form:"name" json:"name"`
//		Avatar fieldtype.File[Avatar] `form:"avatar" json:"avatar"`
//	}
//
// In a request a File is a signed token and nothing else: Echo's and Gin's
// binders, nethttp.Bind and encoding/json fill it through UnmarshalParam,
// UnmarshalText and UnmarshalJSON, which refuse whatever is not a valid token of
// this very field. In a column it is a small JSON document, or the bare key as
// Django writes it, as the field declares; both are always read. In a response
// it is an object with a URL.
//
// Image is a File that is an image, with its format and orientation; Files are
// several in order. MigrateColumn brings a column from one form to the other. More
// stands in docs/columns.md and docs/images.md.
package fieldtype
