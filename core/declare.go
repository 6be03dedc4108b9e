package core

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"
)

// Aspect is one part of what a bucket can be declared to be.
type Aspect string

// The aspects. Existence and access are always declared; the others where their
// part of the BucketConfig is set.
const (
	// AspectExistence: the bucket is there.
	AspectExistence Aspect = "existence"
	// AspectAccess: what anyone may do without credentials.
	AspectAccess Aspect = "access"
	// AspectPolicy: the other statements of the bucket's policy.
	AspectPolicy Aspect = "policy"
	// AspectVersioning: whether earlier versions of objects are kept.
	AspectVersioning Aspect = "versioning"
	// AspectObjectLock: whether objects can be locked, and for how long new ones are.
	AspectObjectLock Aspect = "object_lock"
	// AspectEncryption: how new objects are encrypted by default.
	AspectEncryption Aspect = "encryption"
	// AspectCORS: what pages of other origins may do.
	AspectCORS Aspect = "cors"
	// AspectLifecycle: which objects expire.
	AspectLifecycle Aspect = "lifecycle"
	// AspectAbortUploads: when the parts of unfinished multipart uploads go. It is
	// a part of the lifecycle that some servers lack.
	AspectAbortUploads Aspect = "abort_uploads"
	// AspectTags: the bucket's tags.
	AspectTags Aspect = "tags"
	// AspectQuota: how many bytes the bucket may hold.
	AspectQuota Aspect = "quota"
)

// BucketConfig declares what a bucket is to be. The zero value of each part but
// access means "not declared": what the bucket has there is neither read nor
// changed. Only Name is required.
type BucketConfig struct {
	// Name is the bucket's name. Required.
	Name string
	// Public lets anyone read the bucket's objects; objects only, never the
	// listing. A bucket that neither this nor the configuration's PublicBuckets
	// makes public is private: a statement that lets anyone do anything is closed,
	// unless a hook of Policy declares it.
	Public bool
	// Policy adds statements to the bucket's policy.
	Policy []PolicyHook
	// Foreign says what becomes of statements in the policy that are not declared
	// here. Default: they are kept. What lets anyone do more than declared is
	// closed whatever this says.
	Foreign ForeignStatements
	// CORS is all that pages of other origins may do. Empty but not nil: nothing.
	CORS []CORSRule
	// Lifecycle says what expires.
	Lifecycle Lifecycle
	// Versioning turns versions on, or off for new objects.
	Versioning Versioning
	// ObjectLock makes a bucket whose objects can be locked. It turns versioning
	// on. Most servers can do so only when the bucket is created.
	ObjectLock bool
	// Retention locks new objects by default. It needs ObjectLock.
	Retention DefaultRetention
	// Encryption is how new objects are encrypted by default.
	Encryption DefaultEncryption
	// Tags are set on the bucket. Other tags stay as they are.
	Tags map[string]string
	// Quota is the most bytes the bucket may hold; NoQuota lifts a quota. MinIO
	// alone has quotas.
	Quota int64
	// BaseURL is a CDN or a domain in front of the bucket: URLs of its objects are
	// this and the escaped key ("https://cdn.example.org/media/"). A private bucket
	// with one needs a Signer. URLs that need storage's own signature (PUT, and for
	// a public bucket a disposition, a type or a version) are made for storage.
	BaseURL string
	// Signer signs the URLs below BaseURL, as package cloudfront does.
	Signer URLSigner
	// Required lists what must not be missing: where the server does not implement
	// one of these aspects, that is an error. Other declared aspects the server
	// lacks are reported as unsupported and otherwise ignored.
	Required []Aspect
}

// NoQuota as a quota declares that there is none.
const NoQuota int64 = -1

// Versioning is whether a bucket keeps earlier versions of its objects.
type Versioning string

const (
	// VersioningOn keeps them.
	VersioningOn Versioning = "Enabled"
	// VersioningOff makes no new versions; those that exist stay.
	VersioningOff Versioning = "Suspended"
)

// DefaultRetention is how long new objects are locked: for either Days or Years.
type DefaultRetention struct {
	Mode  minio.RetentionMode `json:"mode,omitempty"` // minio.Governance or minio.Compliance
	Days  int                 `json:"days,omitempty"`
	Years int                 `json:"years,omitempty"`
}

// DefaultEncryption is how a bucket encrypts new objects that ask for nothing else.
type DefaultEncryption struct {
	// Algorithm is "AES256" (SSE-S3) or "aws:kms" (SSE-KMS).
	Algorithm string `json:"algorithm,omitempty"`
	// KeyID names the KMS key. Empty: the server's default key, whichever it is.
	KeyID string `json:"key_id,omitempty"`
}

// Declare declares what a bucket of the store is to be. Nothing happens before
// Startup, or Plan and Apply. Faults are reported by Faults and at start-up, all
// together, so that it can stand in a package-level variable. A bucket that
// fields or the configuration name too is declared here in more detail; declare
// each one once, before the Store is used.
func (s *Store) Declare(config BucketConfig) *Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	faults := config.faults()
	b := s.buckets[config.Name]
	switch {
	case b == nil && checkBucketName(config.Name) != nil:
		b = &Bucket{store: s, name: config.Name} // reported below, and nothing to create
	case b == nil:
		b = s.declare(config.Name, config.Public)
	case b.declared.Name != "":
		faults = append(faults, errors.New("declared twice"))
	}
	if config.Public && slices.Contains(s.config.PrivateBuckets, config.Name) {
		faults = append(faults, errors.New("declared public here and private by the configuration: choose one"))
	}
	b.public = b.public || config.Public
	configured := b.declared.Policy // the configuration's hooks
	b.declared = config.clone()
	b.declared.Policy = append(slices.Clone(configured), b.declared.Policy...)
	if b.declared.BaseURL != "" && !strings.HasSuffix(b.declared.BaseURL, "/") {
		b.declared.BaseURL += "/"
	}
	if config.BaseURL != "" && config.Signer == nil && !b.public {
		faults = append(faults, errors.New("BaseURL without a Signer: nobody could fetch the objects of a private bucket there"))
	}
	if len(faults) > 0 {
		s.faults = append(s.faults, &Error{Kind: ErrConfig, Op: "declare bucket", Bucket: config.Name, Err: errors.Join(faults...)})
	}
	return b
}

// clone returns a copy that shares nothing the caller may change.
func (c BucketConfig) clone() BucketConfig {
	c.Policy = slices.Clone(c.Policy)
	c.CORS = slices.Clone(c.CORS)
	c.Lifecycle.ExpireDays = maps.Clone(c.Lifecycle.ExpireDays)
	c.Tags = maps.Clone(c.Tags)
	c.Required = slices.Clone(c.Required)
	return c
}

func (c BucketConfig) faults() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if err := checkBucketName(c.Name); err != nil {
		fault(true, "Name %q: %w", c.Name, err)
	}
	if _, err := c.statements(c.Name); err != nil {
		fault(true, "Policy: %w", err)
	}
	fault(c.Foreign > RefuseForeign, "Foreign is unknown")
	for i, rule := range c.CORS {
		rule.faults(func(wrong bool, text string) { fault(wrong, "CORS[%d]: %s", i, text) })
	}
	c.Lifecycle.faults(fault)
	fault(c.Versioning != "" && c.Versioning != VersioningOn && c.Versioning != VersioningOff, "Versioning is %q", c.Versioning)
	fault(c.ObjectLock && c.Versioning == VersioningOff, "ObjectLock needs versioning, which is declared off")
	c.Retention.faults(fault)
	fault(c.Retention != DefaultRetention{} && !c.ObjectLock, "Retention needs ObjectLock")
	fault(!slices.Contains([]string{"", "AES256", "aws:kms"}, c.Encryption.Algorithm), "Encryption.Algorithm is %q: it may be AES256 or aws:kms", c.Encryption.Algorithm)
	fault(c.Encryption.KeyID != "" && c.Encryption.Algorithm != "aws:kms", "Encryption.KeyID needs the algorithm aws:kms")
	if _, err := tags.NewTags(c.Tags, false); err != nil {
		fault(true, "Tags: %w", err)
	}
	fault(c.Quota < NoQuota, "Quota is %d: it is a number of bytes, or NoQuota", c.Quota)
	if err := checkBaseURL(c.BaseURL); err != nil {
		fault(true, "BaseURL %q: %w", withoutUser(c.BaseURL), err)
	}
	fault(c.Signer != nil && c.BaseURL == "", "Signer needs BaseURL")
	for _, a := range c.Required {
		fault(!slices.Contains(allAspects, a), "Required names %q, which is no aspect", a)
	}
	return faults
}

// checkBaseURL accepts what an escaped key can be put behind.
func checkBaseURL(base string) error {
	if base == "" {
		return nil
	}
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		return errors.New("not of the form https://host/path")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("it must have no credentials, query or fragment")
	}
	return nil
}

var allAspects = []Aspect{
	AspectExistence, AspectAccess, AspectPolicy, AspectVersioning, AspectObjectLock, AspectEncryption,
	AspectCORS, AspectLifecycle, AspectAbortUploads, AspectTags, AspectQuota,
}

func (r DefaultRetention) faults(fault func(bool, string, ...any)) {
	if r == (DefaultRetention{}) {
		return
	}
	fault(!r.Mode.IsValid(), "Retention.Mode is %q: it may be %s or %s", r.Mode, minio.Governance, minio.Compliance)
	fault((r.Days > 0) == (r.Years > 0) || r.Days < 0 || r.Years < 0, "Retention needs either Days or Years")
}

// requires says whether it is an error that the server lacks an aspect.
func (c BucketConfig) requires(a Aspect) bool { return slices.Contains(c.Required, a) }

// phrase renders an aspect for people: "object lock".
func (a Aspect) phrase() string { return strings.ReplaceAll(string(a), "_", " ") }

// Declaration returns what Declare was given for the bucket, with the
// configuration's policy hooks before its own. It has no Name where Declare was not
// called: such a bucket is declared by the configuration or a field, or not at all.
func (b *Bucket) Declaration() BucketConfig { return b.declared.clone() }
