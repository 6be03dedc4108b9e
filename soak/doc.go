// Command soak runs an app of this library on a MinIO cluster that loses nodes,
// and sees that nothing is lost, left or wrong.
//
//	go run ./soak -duration=30m
//
// Four MinIO processes with two drives each make one erasure set, which bears the
// loss of one of them. In front of them is a balancer, as a deployment has one.
// Two processes of the app (package app) share a database and the bucket. Under a
// load of uploads, replacements, deletions, downloads and sweeps, a node is killed
// with SIGKILL every 20 seconds and started again, one at a time, and one of the
// app's processes likewise; the other lives through the whole run, and its memory
// is measured.
//
// Every acknowledged change is in a journal. At the end everything is read back
// and compared; see verify.go for what must hold. The result is a table in
// Markdown on standard output; progress goes to standard error. The exit code is 1
// when something did not hold. Whatever it starts ends with it; its folder goes when
// all has held.
package main
