// Package cloudfront signs the URLs of private buckets that stand behind an
// Amazon CloudFront distribution, and the cookies that open all of one.
//
//	signer, err := cloudfront.New(cloudfront.Config{
//		KeyPairID:  "K2JCJMDEHXQW5F",
//		PrivateKey: core.Secret(pem), // RSA or ECDSA, as its public half was given to CloudFront
//	})
//	…
//	store.Declare(core.BucketConfig{
//		Name:    "media",
//		BaseURL: "https://d111111abcdef8.cloudfront.net/",
//		Signer:  signer,
//	})
//
// From then on URL, for every field of that bucket, gives URLs of the
// distribution. For it to pass on file names for downloads, its origin request
// policy has to forward the parameter response-content-disposition.
package cloudfront
