// Package bench measures the library beside what it is built on: URL signing and
// uploads beside minio-go, requests with and without the middleware, tokens, and
// the memory of a server under many uploads at once.
//
//	go test -bench . -benchmem ./bench
//	go test -run Memory -v ./bench
//
// compare runs servers that take uploads in different ways, each as a process of
// its own, and prints what they cost: uploadserver is the library as an app uses
// it, and peers are what apps without it do. sink is an S3 server that keeps
// nothing, so that a benchmark measures the client.
package bench
