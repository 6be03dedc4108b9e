// Package faults breaks the way between a Store and its storage at every request
// of every operation, and looks at what becomes of it. Its tests are all there is:
//
//	go test -v ./faults                                # all of the matrix, and its figures
//	go test -run 'TestFaults/delete' ./faults          # one operation
//	FILEFIELD_TEST_ENGINE=minio go test ./faults       # on MinIO
//
// operations_test.go has the operations: how each begins, what it does, and what
// it leaves in the bucket. faults_test.go has the faults: those of the wire are
// made by toxiproxy, a TCP proxy in the test's process, the others by a transport.
// matrix_test.go puts every fault at every request of every operation, once or
// for good, and holds each of these cells to the same rules: the error says what
// happened, retries are bounded, nothing is overwritten, nothing is left behind
// that the sweep does not remove, and an answer that was lost is not the object's
// loss. docs/reliability.md has the rules and the figures.
package faults
