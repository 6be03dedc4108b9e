// Package sigv4 signs URLs by AWS Signature Version 4, query form: the presigned
// URLs of S3. It is what minio-go's Presign does, byte for byte, without a
// request object per URL, and with the day's signing key kept.
//
//	signer := sigv4.New("us-east-1")
//	url := signer.AppendPresigned(nil, sigv4.Credentials{AccessKey: "…", SecretKey: "…"}, &sigv4.Request{
//		Method: "GET", Scheme: "https", Host: "files.example.org",
//		Path:    "/media/cat.png",
//		Time:    time.Now(),
//		Expires: time.Hour,
//	})
//
// The source is "Authenticating Requests: Using Query Parameters (AWS Signature
// Version 4)" in Amazon S3's API reference; the tests hold it against minio-go.
package sigv4
