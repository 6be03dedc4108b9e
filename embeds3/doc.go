// Package embeds3 runs a real S3 server inside a Go program, for development and
// for tests: buckets and objects with policies, presigned and conditional
// requests, multipart uploads, copies, tags, versions and CORS, without a
// container or another program to install. It starts in milliseconds.
//
//	s3, err := embeds3.Start(ctx, embeds3.Config{Dir: "data", Buckets: []string{"avatars"}})
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer s3.Close()
//
//	client, err := minio.New(s3.Endpoint(), &minio.Options{
//		Creds:  credentials.NewStaticV4(s3.AccessKey(), s3.SecretKey(), ""),
//		Region: s3.Region(),
//	})
//
// In tests, leave Dir empty: objects lie in a temporary folder, which Close
// removes.
//
// # Limits
//
// The server is versitygw with its file system backend. It does not know bucket
// lifecycle rules and server-side encryption, and answers such requests with
// 501 Not Implemented. An object is a file under its key's name, so "a" and
// "a/b" cannot both be keys, a part of a key between slashes has at most 255
// bytes, and keys may not contain "//", or "." and ".." between slashes. Writes
// are not flushed to the disk before they are answered: a power failure may
// lose the latest ones. Linux and macOS are supported.
//
// The process is left alone: nothing is printed, but for a note on standard
// error when a client breaks a connection off before its request is complete,
// and the working directory stays what it is. Of its goroutines two outlive a
// server, both asleep: fasthttp's worker pool ends within ten seconds, and its
// clock never does. A test that looks for goroutines left behind ignores them
// with goleak.IgnoreAnyFunction: "github.com/valyala/fasthttp.updateServerDate.func1"
// and "github.com/valyala/fasthttp.(*workerPool).Start.func2".
//
// There can be one server in a process; see ErrRunning. Where several are
// needed, or the server is to outlive the program, run cmd/embeds3.
//
// # The folder
//
// Config.Dir holds the folders objects, versions and, where the file system has
// no extended attributes, metadata. Copy it with a program that copies extended
// attributes (cp -a, rsync -X). Earlier versions of objects are found again only
// while the folder stays under the same path.
//
// On a file system without extended attributes, versioning cannot be enabled,
// and a folder that began on one goes on like that elsewhere.
package embeds3
