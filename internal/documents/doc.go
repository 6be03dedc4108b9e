// Package documents holds pages of docs to the code they speak of. Its tests are
// all there is:
//
//	go test ./internal/documents
//
// They read sources of every module, and so stand in the root module: go test asks
// whether files below its own module have changed, and of no others.
package documents
