// Package columns shows, in its tests, a table and a bucket that
// django-minio-backend wrote, taken over by a Go app: read, shown, replaced and
// deleted as they are, and then migrated in place from bare keys to documents and
// back. docs/columns.md has the steps.
//
//	type Photo struct{}
//
//	func (Photo) FileField() *core.Field { return photos } // Column: core.ColumnKey
//
//	var photo fieldtype.Image[Photo]
//	err := db.QueryRow("SELECT photo FROM gallery_photo WHERE id = $1", id).Scan(&photo)
package columns
