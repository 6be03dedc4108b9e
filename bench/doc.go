// Package bench measures the library beside what it is built on: URL signing and
// uploads beside minio-go, requests with and without the middleware, tokens, and
// the memory of a server under many uploads at once.
//
//	go test -bench . -benchmem ./bench
//	go test -run Memory -v ./bench
//
// uploadserver is the library as an app uses it, for load tests from outside;
// sink is an S3 server that keeps nothing, so that a benchmark measures the
// client.
package bench
