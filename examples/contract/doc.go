// Package contract is the black-box test suite of the documents app. It runs an
// app as a process of its own, talks HTTP to it, looks into its buckets, and
// knows nothing of the framework the app is written with:
//
//	func TestContract(t *testing.T) { contract.Run(t, contract.Build(t)) }
//
// FILEFIELD_TEST_ENGINE chooses the S3 server behind the app: "embedded" (the
// default) or "minio".
package contract
