package core

import (
	"errors"
	"fmt"
	"net/http"
)

// PermissionError says which S3 action the app's credentials lack. It is in the
// chain of errors of kind ErrDenied that are about a bucket and its settings.
type PermissionError struct {
	// Action is the action's name in policies: "s3:PutBucketPolicy".
	Action string
	// Err is what storage said.
	Err error
}

// Error names the action and what storage said.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s is not allowed: %v", e.Action, e.Err)
}

// Unwrap returns what storage said.
func (e *PermissionError) Unwrap() error { return e.Err }

// withAction names the action that a refused request needed.
func withAction(err error, r bucketRequest) error {
	var failed *Error
	if KindOf(err) != ErrDenied || !errors.As(err, &failed) {
		return err
	}
	action := actionOf(r)
	failed.Err = &PermissionError{Action: action, Err: failed.Err}
	failed.Advice = "allow " + action + " to the app's access key"
	switch action {
	case "s3:PutBucketPolicy":
		failed.Advice += "; on AWS, a public bucket also needs its Block Public Access turned off"
	case "s3:GetBucketPolicy": // AWS says no more to one who asks for another's
		failed.Advice += "; if the bucket is another account's, choose another name"
	}
	return err
}

// settingActions names the actions that read and write a bucket's settings, by
// the setting's name in the request's query.
var settingActions = map[string][2]string{
	"policy":      {"s3:GetBucketPolicy", "s3:PutBucketPolicy"},
	"cors":        {"s3:GetBucketCors", "s3:PutBucketCors"}, // AWS takes any case, MinIO this one
	"lifecycle":   {"s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"},
	"versioning":  {"s3:GetBucketVersioning", "s3:PutBucketVersioning"},
	"object-lock": {"s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration"},
	"encryption":  {"s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"},
	"tagging":     {"s3:GetBucketTagging", "s3:PutBucketTagging"},
	"list-type":   {"s3:ListBucket", "s3:ListBucket"},
	"bucket":      {"admin:GetBucketQuota", "admin:SetBucketQuota"},
}

func actionOf(r bucketRequest) string {
	for name := range r.query {
		actions, known := settingActions[name]
		switch {
		case !known:
		case r.method == http.MethodGet || r.method == http.MethodHead:
			return actions[0]
		case r.method == http.MethodDelete && name == "policy":
			return "s3:DeleteBucketPolicy"
		default:
			return actions[1]
		}
	}
	if r.method == http.MethodPut {
		return "s3:CreateBucket"
	}
	return "s3:ListBucket"
}
