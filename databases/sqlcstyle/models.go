package sqlcstyle

import "github.com/filefield/filefield/databases/media"

// Profile is a row of profiles.
type Profile struct {
	ID     int64
	Name   string
	Avatar media.AvatarFile
	Extra  media.ExtraFiles
}
