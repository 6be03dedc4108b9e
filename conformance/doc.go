// Package conformance is one table of requests and expectations for every way of
// mounting filefield: what net/http does, an adapter for a framework does
// identically. An adapter is done when Run passes over it, with no case of its
// own:
//
//	func TestMain(m *testing.M) { s3test.Main(m, s3test.NoGoroutines) }
//
//	func TestMyFramework(t *testing.T) {
//		conformance.Run(t, conformance.Adapter{Handler: serve})
//	}
//
// where serve builds an http.Handler in the framework's own style from an App:
// its routes, the fields of each route's uploads, and handlers that know no
// framework.
//
// Each file holds one concern: names of files (names.go), the structure of
// multipart bodies (structure.go), what forms mean (form.go, redisplay.go), limits
// (limits.go), tokens in forms and JSON (tokens.go), refusals before the bytes
// (refusal.go), transactions and errors (transactions.go), the life of a field
// (lifecycle.go), clients and storage that fail (faults.go), and the framework's
// own middleware (stack.go).
//
// The tests talk to the S3 server of package s3test. They set TMPDIR to a folder
// that does not exist, for the whole process: whatever wants a temporary file
// fails its request.
package conformance
