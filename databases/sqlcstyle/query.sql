-- name: CreateProfile :one
INSERT INTO profiles (name, avatar, extra) VALUES ($1, $2, $3) RETURNING *;

-- name: GetProfile :one
SELECT * FROM profiles WHERE id = $1;

-- name: GetProfileForUpdate :one
SELECT * FROM profiles WHERE id = $1 FOR UPDATE;

-- name: ListProfiles :many
SELECT * FROM profiles ORDER BY id;

-- name: UpdateProfile :exec
UPDATE profiles SET name = $2, avatar = $3, extra = $4 WHERE id = $1;

-- name: DeleteProfile :one
DELETE FROM profiles WHERE id = $1 RETURNING *;
