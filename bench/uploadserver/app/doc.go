// Package app is the part of the upload servers that knows no web framework: the
// field, the form, the answer, and the program around them. Each server is a
// program of its own, nethttp, echo and gin, since an app links one framework, and
// what it links is memory that it takes.
//
//	func main() { app.Main("nethttp", handler) }
//
//	func handler(store *core.Store, field *core.Field) http.Handler { … }
//
// A server takes where it listens and where it stores from its arguments:
//
//	AK=… SK=… nethttp 127.0.0.1:8080 127.0.0.1:9000 bucket
//
// POST /upload takes a form with a file of any type in the field "file", of up to
// 5 TiB, stores it in the bucket and answers 201 with what was stored. GET
// /files/KEY sends the file of that key to anyone, GET /debug/vars what the program
// has allocated, and GET /debug/pprof/ its profiles. The storage's credentials are
// in AK and SK. It is spoken to in plain HTTP, or in TLS where CA names a PEM file
// of the authority to trust. The bucket is made when missing.
package app
