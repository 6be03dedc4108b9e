// Package documents is what the example apps share, whatever framework they are
// written with: the model with its file fields, its rows in SQLite, the storage
// it runs on, and the page it is shown on.
package documents
