package sigv4_test

import (
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/filefield/filefield/internal/sigv4"
)

func TestPoliciesAreSignedAsMinioGoDoes(t *testing.T) {
	t.Parallel()
	s := sigv4.New("eu-central-1")
	for _, c := range []sigv4.Credentials{{AccessKey: "minio", SecretKey: "minio123"}, {AccessKey: "other", SecretKey: "s", SessionToken: "token"}} {
		for _, at := range []time.Time{time.Date(2026, 1, 2, 23, 59, 59, 0, time.UTC), time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)} {
			for _, policy := range []string{"", "eyJleHBpcmF0aW9uIjoiIn0=", "any text"} {
				got := s.SignPolicy(c, at, policy)
				if want := signer.PostPresignSignatureV4(policy, at, c.SecretKey, "eu-central-1"); got != want {
					t.Errorf("%q at %s: the signature is %s, want %s", policy, at, got, want)
				}
			}
			if got, want := s.Credential(c, at), signer.GetCredential(c.AccessKey, "eu-central-1", at, signer.ServiceTypeS3); got != want {
				t.Errorf("the credential is %s, want %s", got, want)
			}
			if got, want := sigv4.Stamp(at), at.Format("20060102T150405Z"); got != want {
				t.Errorf("the time is %s, want %s", got, want)
			}
		}
	}
}
