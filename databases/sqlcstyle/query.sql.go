package sqlcstyle

import (
	"context"

	"github.com/filefield/filefield/databases/media"
)

// CreateProfileParams are the parameters of CreateProfile.
type CreateProfileParams struct {
	Name   string
	Avatar media.AvatarFile
	Extra  media.ExtraFiles
}

// UpdateProfileParams are the parameters of UpdateProfile.
type UpdateProfileParams struct {
	ID     int64
	Name   string
	Avatar media.AvatarFile
	Extra  media.ExtraFiles
}

const createProfile = `-- name: CreateProfile :one
INSERT INTO profiles (name, avatar, extra) VALUES ($1, $2, $3) RETURNING id, name, avatar, extra
`

// CreateProfile runs the query of that name.
func (q *Queries) CreateProfile(ctx context.Context, arg CreateProfileParams) (Profile, error) {
	row := q.db.QueryRow(ctx, createProfile, arg.Name, arg.Avatar, arg.Extra)
	var i Profile
	err := row.Scan(&i.ID, &i.Name, &i.Avatar, &i.Extra)
	return i, err
}

const getProfile = `-- name: GetProfile :one
SELECT id, name, avatar, extra FROM profiles WHERE id = $1
`

// GetProfile runs the query of that name.
func (q *Queries) GetProfile(ctx context.Context, id int64) (Profile, error) {
	row := q.db.QueryRow(ctx, getProfile, id)
	var i Profile
	err := row.Scan(&i.ID, &i.Name, &i.Avatar, &i.Extra)
	return i, err
}

const getProfileForUpdate = `-- name: GetProfileForUpdate :one
SELECT id, name, avatar, extra FROM profiles WHERE id = $1 FOR UPDATE
`

// GetProfileForUpdate runs the query of that name.
func (q *Queries) GetProfileForUpdate(ctx context.Context, id int64) (Profile, error) {
	row := q.db.QueryRow(ctx, getProfileForUpdate, id)
	var i Profile
	err := row.Scan(&i.ID, &i.Name, &i.Avatar, &i.Extra)
	return i, err
}

const deleteProfile = `-- name: DeleteProfile :one
DELETE FROM profiles WHERE id = $1 RETURNING id, name, avatar, extra
`

// DeleteProfile runs the query of that name.
func (q *Queries) DeleteProfile(ctx context.Context, id int64) (Profile, error) {
	row := q.db.QueryRow(ctx, deleteProfile, id)
	var i Profile
	err := row.Scan(&i.ID, &i.Name, &i.Avatar, &i.Extra)
	return i, err
}

const updateProfile = `-- name: UpdateProfile :exec
UPDATE profiles SET name = $2, avatar = $3, extra = $4 WHERE id = $1
`

// UpdateProfile runs the query of that name.
func (q *Queries) UpdateProfile(ctx context.Context, arg UpdateProfileParams) error {
	_, err := q.db.Exec(ctx, updateProfile, arg.ID, arg.Name, arg.Avatar, arg.Extra)
	return err
}

const listProfiles = `-- name: ListProfiles :many
SELECT id, name, avatar, extra FROM profiles ORDER BY id
`

// ListProfiles runs the query of that name.
func (q *Queries) ListProfiles(ctx context.Context) ([]Profile, error) {
	rows, err := q.db.Query(ctx, listProfiles)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []Profile
	for rows.Next() {
		var i Profile
		if err := rows.Scan(&i.ID, &i.Name, &i.Avatar, &i.Extra); err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	return items, rows.Err()
}
