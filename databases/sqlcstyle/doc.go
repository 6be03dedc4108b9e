// Package sqlcstyle is what sqlc makes of schema.sql and query.sql with the
// overrides of sqlc.yaml, which give the columns the types of package media:
//
//	overrides:
//	  - column: profiles.avatar
//	    go_type: {import: example.com/app/media, type: AvatarFile}
//
// It was written by hand in sqlc's form, so that the tests need no sqlc.
package sqlcstyle
