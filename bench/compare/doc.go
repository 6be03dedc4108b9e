// Command compare measures ways to take uploads side by side, on Linux:
//
//	go run ./bench/compare
//	go run ./bench/compare --scenarios '64MiB×4,256MiB×64 unknown' --only 'filefield|limit' --runs 3
//
// Every way is a server in a process of its own, started anew for every run: this
// library in three frameworks (uploadserver), what apps without it do (peers), and
// the limit: a body copied into one unsigned PUT. They store into a sink, which
// speaks S3 and keeps nothing, also a process of its own. The load comes from this
// process, out of buffers that are made beforehand.
//
// A run warms the server up, then sends the scenario's files, and notes the
// server's CPU time, its peak of resident memory and what it wrote to disk
// meanwhile. The ways take turns, and a table has the medians of their runs.
package main
