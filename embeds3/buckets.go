package embeds3

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
)

// makeBucket does what a CreateBucket request does. A bucket that is there
// already is left as it is.
func makeBucket(ctx context.Context, be backend.Backend, owner auth.Account, name string) error {
	_, err := be.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	if err == nil || !errors.Is(err, s3err.GetAPIError(s3err.ErrNoSuchBucket)) {
		return err
	}
	acl, err := json.Marshal(auth.ACL{Owner: owner.Access})
	if err != nil {
		return err
	}
	return be.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    &name,
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
	}, acl)
}
