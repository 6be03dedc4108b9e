package core

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"
)

// versioning compares whether versions are kept. A bucket that never had any has
// them turned off.
func (in *inspection) versioning(ctx context.Context) ([]step, error) {
	body, err := in.read(ctx, "versioning", "")
	if err != nil {
		return nil, err
	}
	var config minio.BucketVersioningConfiguration // knows MinIO's exceptions, which are to stay
	if err := in.parse("versioning", body, &config); err != nil {
		return nil, err
	}
	have, want := Versioning(config.Status), in.bucket.declared.Versioning
	if have == want || (have == "" && want == VersioningOff) {
		return nil, nil
	}
	config.Status, config.MFADelete = string(want), ""
	body, err = xml.Marshal(config)
	if err != nil {
		return nil, err
	}
	return []step{{
		differences: []Difference{in.difference(AspectVersioning, string(have), want, "versioning is %q, to be %q", have, want)},
		do:          in.write("versioning", body),
	}}, nil
}

// lockXML is a bucket's object lock.
type lockXML struct {
	XMLName xml.Name  `xml:"ObjectLockConfiguration"`
	XMLNS   string    `xml:"xmlns,attr,omitempty"`
	Enabled string    `xml:"ObjectLockEnabled"`
	Rule    *lockRule `xml:"Rule,omitempty"`
}

type lockRule struct {
	Retention lockRetention `xml:"DefaultRetention"`
}

type lockRetention struct {
	Mode  string `xml:"Mode"`
	Days  int    `xml:"Days,omitempty"`
	Years int    `xml:"Years,omitempty"`
}

const xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// lockState is what a Difference says of an object lock.
type lockState struct {
	Enabled   bool             `json:"enabled"`
	Retention DefaultRetention `json:"retention"`
}

// errHereOnly marks what a server does not do to one bucket, though it may do it
// to another.
var errHereOnly = errors.New("not for this bucket")

// objectLock compares the lock and, where it is declared, the default retention.
// A bucket about to be created gets its lock with that.
func (in *inspection) objectLock(ctx context.Context) ([]step, error) {
	body, err := in.read(ctx, "object-lock", "ObjectLockConfigurationNotFoundError")
	if err != nil {
		return nil, err
	}
	var config lockXML
	if err := in.parse("object lock", body, &config); err != nil {
		return nil, err
	}
	have := lockState{Enabled: config.Enabled == "Enabled" || in.missing}
	if config.Rule != nil {
		r := config.Rule.Retention
		have.Retention = DefaultRetention{Mode: minio.RetentionMode(r.Mode), Days: r.Days, Years: r.Years}
	}
	want := lockState{true, in.bucket.declared.Retention}
	setDefault(&want.Retention, have.Retention)
	if have == want {
		return nil, nil
	}
	if !have.Enabled && isCommunityMinIO(in.server) && !in.bucket.declared.requires(AspectObjectLock) {
		return nil, errNotImplemented // it locks buckets when they are made, and not later
	}
	config = lockXML{XMLNS: xmlNamespace, Enabled: "Enabled"}
	if r := want.Retention; r != (DefaultRetention{}) {
		config.Rule = &lockRule{lockRetention{string(r.Mode), r.Days, r.Years}}
	}
	if body, err = xml.Marshal(config); err != nil {
		return nil, err
	}
	do := in.write("object-lock", body)
	if !have.Enabled {
		do = in.lockLate(body)
	}
	return []step{{
		differences: []Difference{in.difference(AspectObjectLock, have, want, "object lock or its default retention is not as declared")},
		do:          do,
	}}, nil
}

// lockLate writes the lock of a bucket that was made without one. That needs
// versions, and a server that does it at all.
func (in *inspection) lockLate(body []byte) func(context.Context) error {
	write := in.write("object-lock", body)
	return func(ctx context.Context) error {
		err := write(ctx)
		if codeOf(err) != "InvalidBucketState" {
			return err
		}
		versions, failed := xml.Marshal(minio.BucketVersioningConfiguration{Status: string(VersioningOn)})
		if failed == nil {
			failed = in.write("versioning", versions)(ctx)
		}
		if failed != nil {
			return failed
		}
		if err = write(ctx); codeOf(err) == "InvalidBucketState" {
			return &Error{Kind: ErrUnsupported, Op: "set object-lock", Bucket: in.bucket.name, Err: fmt.Errorf("%w: %w", errNotImplemented, errHereOnly)}
		}
		return err
	}
}

// parse reads XML; an empty body leaves into as it is.
func (in *inspection) parse(what string, body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := xml.Unmarshal(body, into); err != nil {
		return &Error{Kind: ErrUnavailable, Op: "read " + what, Bucket: in.bucket.name, Err: err, Detail: "the server's answer is not XML as S3 has it"}
	}
	return nil
}
