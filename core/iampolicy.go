package core

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// IAMScope says how much of what an app does its credentials are to allow.
type IAMScope uint8

const (
	// IAMRun is what a running app does: objects, and Check. The default.
	IAMRun IAMScope = iota
	// IAMCheck adds reading the buckets' settings: Plan, and a start that only
	// checks.
	IAMCheck
	// IAMSetup adds making and correcting the declared buckets: Apply, and a start
	// by Require or Background.
	IAMSetup
)

// IAMPolicyOptions shape an IAM policy. The zero value allows what a running app
// does and no more.
type IAMPolicyOptions struct {
	// Scope says how much is allowed. Where the configuration has CheckOnSave, a
	// running app makes buckets, so that it is always IAMSetup.
	Scope IAMScope
}

// IAMPolicy returns the IAM policy, as JSON, of the user this app should be: the
// actions it takes on the declared buckets, and no others. A bucket all of whose
// fields have a KeyPrefix is limited to those. Aspects that are not declared need
// no permission to read or set them; quotas, which MinIO alone has, need actions
// of MinIO's administration. A KMS key is included if it is named by its ARN.
//
// It uses no network, and the same declarations give the same bytes. ErrConfig
// where a declaration is faulty.
func (s *Store) IAMPolicy(o IAMPolicyOptions) ([]byte, error) {
	if err := s.Faults(); err != nil {
		return nil, err
	}
	document := iamPolicy{Version: policyVersion, Statement: []iamStatement{}}
	// Resources for which the same is allowed share a statement: AWS bounds the
	// length of policies.
	byActions := map[string][]string{}
	for resource, actions := range s.needs(o.Scope) {
		key := strings.Join(slices.Sorted(maps.Keys(actions)), " ")
		byActions[key] = append(byActions[key], resource)
	}
	for _, key := range slices.Sorted(maps.Keys(byActions)) {
		resources := slices.Sorted(slices.Values(byActions[key]))
		if resources[0] == noResource {
			resources = nil
		}
		document.Statement = append(document.Statement, iamStatement{Effect: "Allow", Action: strings.Fields(key), Resource: resources})
	}
	return json.MarshalIndent(document, "", "  ")
}

type iamPolicy struct {
	Version   string
	Statement []iamStatement
}

type iamStatement struct {
	Effect   string
	Action   []string
	Resource []string `json:",omitempty"`
}

// noResource stands for actions that are about no resource.
const noResource = ""

// needed is what has to be allowed: the actions of each resource.
type needed map[string]map[string]bool

func (n needed) add(resource string, actions ...string) {
	if n[resource] == nil {
		n[resource] = map[string]bool{}
	}
	for _, a := range actions {
		n[resource][a] = true
	}
}

// needs returns what the declared buckets need.
func (s *Store) needs(scope IAMScope) needed {
	if s.config.CheckOnSave {
		scope = IAMSetup
	}
	n := needed{}
	for _, b := range s.Buckets() {
		fields := s.fieldsOf(b)
		b.needsOfObjects(n, fields)
		b.needsOfKeys(n, fields)
		n.add(b.arn(""), "s3:ListBucket", "s3:ListBucketMultipartUploads")
		if scope >= IAMCheck {
			b.needsOfSettings(n, scope)
		}
	}
	return n
}

// needsOfObjects adds what saving, reading and removing objects takes. Sending
// parts needs no action of its own: S3 counts the parts of an upload as
// s3:PutObject, HEAD as s3:GetObject.
func (b *Bucket) needsOfObjects(n needed, fields []*Field) {
	for _, prefix := range prefixesOf(fields) {
		objects := b.arn("/" + prefix + "*")
		n.add(objects, "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:GetObjectTagging")
		if len(fields) > 0 { // their files may be pending, which is a tag
			n.add(objects, "s3:PutObjectTagging", "s3:DeleteObjectTagging")
			n.add(objects, "s3:ListMultipartUploadParts") // of direct uploads
		}
		if b.declared.versioned() {
			n.add(objects, "s3:GetObjectVersion")
			// So that Diagnose can take away what it put there, and nothing else.
			n.add(b.arn("/"+prefix+doctorPrefix+"*"), "s3:DeleteObjectVersion")
		}
		held := b.declared.ObjectLock && b.declared.Retention == DefaultRetention{}
		if held || slices.ContainsFunc(fields, func(f *Field) bool { return f.config.Options.Retention != Retention{} }) {
			n.add(objects, "s3:PutObjectRetention")
		}
		if held || slices.ContainsFunc(fields, func(f *Field) bool { return f.config.Options.LegalHold }) {
			n.add(objects, "s3:PutObjectLegalHold")
		}
	}
}

// needsOfKeys adds the use of AWS's KMS keys. Elsewhere keys have no ARN, and
// need no permission of the user's.
func (b *Bucket) needsOfKeys(n needed, fields []*Field) {
	keys := []string{b.declared.Encryption.KeyID}
	for _, f := range fields {
		if e := f.config.Options.Encryption; e != nil && e.Type() == encrypt.KMS {
			header := http.Header{}
			e.Marshal(header)
			keys = append(keys, header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"))
		}
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "arn:") {
			n.add(key, "kms:GenerateDataKey", "kms:Decrypt")
		}
	}
}

// needsOfSettings adds what Plan reads and, for IAMSetup, what Apply writes.
func (b *Bucket) needsOfSettings(n needed, scope IAMScope) {
	settings := []string{"policy"}
	c := b.declared
	for _, s := range []struct {
		name     string
		declared bool
	}{
		{"versioning", c.Versioning != "" && !c.ObjectLock},
		{"object-lock", c.ObjectLock},
		{"encryption", c.Encryption.Algorithm != ""},
		{"cors", c.CORS != nil},
		{"lifecycle", !c.Lifecycle.isZero()},
		{"tagging", len(c.Tags) > 0},
		{"bucket", c.Quota != 0},
	} {
		if s.declared {
			settings = append(settings, s.name)
		}
	}
	for _, name := range settings {
		resource, actions := b.arn(""), settingActions[name]
		if name == "bucket" { // MinIO's administration
			resource = noResource
		}
		n.add(resource, actions[0])
		if scope >= IAMSetup {
			n.add(resource, actions[1])
		}
	}
	if scope < IAMSetup {
		return
	}
	n.add(b.arn(""), "s3:CreateBucket")
	if !b.public && len(c.Policy) == 0 { // it may be left without a statement
		n.add(b.arn(""), "s3:DeleteBucketPolicy")
	}
	if c.ObjectLock {
		n.add(b.arn(""), "s3:PutBucketVersioning")
	}
}

func (c BucketConfig) versioned() bool { return c.Versioning == VersioningOn || c.ObjectLock }

// arn names the bucket, or with a path the objects below it.
func (b *Bucket) arn(path string) string {
	partition := "aws"
	switch region := b.store.config.Region; {
	case strings.HasPrefix(region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		partition = "aws-us-gov"
	}
	return "arn:" + partition + ":s3:::" + b.name + path
}

// fieldsOf returns the bucket's fields.
func (s *Store) fieldsOf(b *Bucket) []*Field {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fields []*Field
	for _, f := range s.fields {
		if f.bucket == b {
			fields = append(fields, f)
		}
	}
	return fields
}

// prefixesOf returns what the keys of a bucket's fields begin with, each once and
// none below another; "" where they may be any.
func prefixesOf(fields []*Field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.config.KeyPrefix)
	}
	if len(all) == 0 {
		return []string{""}
	}
	slices.Sort(all)
	prefixes := all[:1]
	for _, p := range all[1:] {
		if !strings.HasPrefix(p, prefixes[len(prefixes)-1]) {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}
