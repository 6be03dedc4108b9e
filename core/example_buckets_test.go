package core_test

import (
	"context"
	"fmt"
	"log"

	"github.com/filefield/filefield/core"
)

// What a bucket is to be, beyond its name and access. Startup makes it so, and
// writes nothing where it is so already.
func ExampleStore_Declare() {
	store := core.MustOpen(core.ConfigFromEnv())
	store.Declare(core.BucketConfig{
		Name:   "media",
		Public: true, // anyone may read objects; nobody may list them
		Policy: []core.PolicyHook{func(bucket string) (string, error) {
			return fmt.Sprintf(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/drafts/*"}`, bucket), nil
		}},
		Lifecycle:  core.Lifecycle{PendingDays: 2, ExpireDays: map[string]int{"tmp/": 1}},
		Versioning: core.VersioningOn,
		Required:   []core.Aspect{core.AspectVersioning},
	})
	if err := store.Startup(core.StartupConfig{}).Start(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// Drift is looked at before it is mended.
func ExampleStore_Plan() {
	ctx, store := context.Background(), core.MustOpen(core.ConfigFromEnv())
	plan, err := store.Plan(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range plan.Differences {
		fmt.Println(d.Bucket, d.Aspect, d.Message)
	}
	if plan.Changes() {
		if _, err := store.Apply(ctx, plan); err != nil {
			log.Fatal(err)
		}
	}
}

// Storage that is away must not keep an app from serving what needs none.
func ExampleStartup() {
	ctx, store := context.Background(), core.MustOpen(core.ConfigFromEnv())
	hook := store.Startup(core.StartupConfig{Mode: core.Background})
	if err := hook.Start(ctx); err != nil { // faulty declarations alone
		log.Fatal(err)
	}
	if err := store.Ready(); err != nil {
		fmt.Println(core.ProblemOf(err).Status) // until storage is there
	}
	if err := hook.Stop(ctx); err != nil {
		log.Fatal(err)
	}
}

// A health check says why, bucket by bucket.
func ExampleStore_Check() {
	health := core.MustOpen(core.ConfigFromEnv()).Check(context.Background())
	for _, b := range health.Buckets {
		fmt.Println(b.Bucket, b.OK, b.Latency, b.Reason, b.Detail)
	}
}

// The permissions of the user that the app should be.
func ExampleStore_IAMPolicy() {
	store := core.MustOpen(core.Config{Endpoint: "s3.example.org", AccessKey: "app", SecretKey: "…"})
	store.Field(core.FieldConfig{Name: "avatar", Bucket: "media", UploadTo: core.Prefix("avatars", nil), KeyPrefix: "avatars/"})
	policy, err := store.IAMPolicy(core.IAMPolicyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(policy))
	// Output:
	// {
	//   "Version": "2012-10-17",
	//   "Statement": [
	//     {
	//       "Effect": "Allow",
	//       "Action": [
	//         "s3:AbortMultipartUpload",
	//         "s3:DeleteObject",
	//         "s3:DeleteObjectTagging",
	//         "s3:GetObject",
	//         "s3:GetObjectTagging",
	//         "s3:ListMultipartUploadParts",
	//         "s3:PutObject",
	//         "s3:PutObjectTagging"
	//       ],
	//       "Resource": [
	//         "arn:aws:s3:::media/avatars/*"
	//       ]
	//     },
	//     {
	//       "Effect": "Allow",
	//       "Action": [
	//         "s3:ListBucket",
	//         "s3:ListBucketMultipartUploads"
	//       ],
	//       "Resource": [
	//         "arn:aws:s3:::media"
	//       ]
	//     }
	//   ]
	// }
}

// What is wrong, and what to do about it.
func ExampleStore_Diagnose() {
	store := core.MustOpen(core.ConfigFromEnv())
	diagnosis := store.Diagnose(context.Background(), core.DiagnoseOptions{Scope: core.IAMSetup})
	for _, f := range diagnosis.Findings {
		if f.Status == core.FindingFailed || f.Status == core.FindingWarning {
			fmt.Println(f.Status, f.Check, f.Bucket, f.Detail, f.Advice)
		}
	}
}
