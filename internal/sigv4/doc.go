// Package sigv4 signs by AWS Signature Version 4: the presigned URLs of S3 (query
// form), and requests by their headers. It is what minio-go's Presign and its
// signer's SignV4 do, byte for byte, without a request object per URL and in one pass
// over the headers, and with the day's signing key kept.
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
// Version 4)", and the same of the Authorization header, in Amazon S3's API reference;
// the tests hold it against minio-go.
package sigv4
