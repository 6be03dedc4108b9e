// Package properties has tests alone: what must be true of any sequence of
// operations, any torn request and any token, tried with random ones by
// pgregory.net/rapid.
//
//	func TestTokensComeBack(t *testing.T) {
//		rapid.Check(t, func(t *rapid.T) {
//			object := anObject().Draw(t, "object")
//			… // sign, verify, compare
//		})
//	}
//
// Plain go test tries the same cases each time, so that no run fails for what
// another change brought. To search, give a seed of 0, and as many checks as there
// is time for:
//
//	go test ./properties -rapid.seed=0 -rapid.checks=5000 -timeout=1h
//
// What a search finds is shrunk, and written to testdata/rapid; -rapid.failfile
// repeats it.
package properties
