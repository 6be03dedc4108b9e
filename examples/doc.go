// Package examples holds programs that show how filefield is used: quickstart,
// the page in the README, and nethttp, a small app with a database.
package examples
