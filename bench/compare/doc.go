// Command compare measures ways to take uploads side by side, on Linux:
//
//	go run ./bench/compare
//	go run ./bench/compare --scenarios '64MiB×4,256MiB×64 unknown' --only 'filefield|limit' --runs 3
//	go run ./bench/compare --engine minio --tls --json runs.json --svg chart.svg
//	go run ./bench/compare report runs.json more.json
//	go run ./bench/compare --short
//
// Every way is a server in a process of its own, started anew for every run: this
// library in three frameworks (uploadserver), each linked alone, what apps without it do (peers), and
// the limit: a body copied into one unsigned PUT. They store into a sink, which
// speaks S3 and keeps nothing, into MinIO or into the embedded engine, also a
// process of its own and new for every run, with TLS or without. All servers keep
// the same number of idle connections to it. The load comes from this process, out
// of buffers that are made beforehand.
//
// A run warms the server up, then sends the scenario's files, and notes the
// server's CPU time, its peak of resident memory, what it allocated and what it
// wrote to disk meanwhile. The ways take turns. A table has the medians of their
// runs, and the medians of what ours was of the best peer and of the limit in each
// round. A run in which the server ended, or an upload was not answered 201, is
// reported as failed and enters no median.
//
// With --short it sends little, and fails when ours makes more requests or
// allocations per upload than is kept in the source. It looks at no time.
package main
