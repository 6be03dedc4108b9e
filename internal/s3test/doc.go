// Package s3test gives tests a real S3 server.
//
//	func TestMain(m *testing.M) { s3test.Main(m) }
//
//	func TestSave(t *testing.T) {
//		t.Parallel()
//		s := s3test.Start(t)       // one server per test binary
//		bucket := s.Bucket(t)      // one bucket per test
//		rec := s.Recorder(t)       // counts what goes over the wire
//		...
//	}
//
// FILEFIELD_TEST_ENGINE chooses the server: "embedded" (the default; built from
// the module embeds3 in half a minute, once) or "minio" (built from the module
// internal/tools/minio in some minutes, once). Both are kept in the user's cache
// folder, run as processes of their own on the loopback interface, and end with
// the test binary, however that ends.
package s3test
