// Package examples holds programs that show how filefield is used: quickstart,
// the pages in the README; rows, the transaction in it; and one small app with a
// database written for net/http, Echo and Gin, in the folders of these names.
package examples
