// Package ent is a model of ent's with files in it, as ent generates it from the
// schema beside it.
package ent

//go:generate go tool ent generate --feature sql/lock ./schema
