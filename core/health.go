package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// Reason says why a bucket cannot be used, for programs. Empty: it can.
type Reason string

// The reasons.
const (
	// ReasonUnreachable: nothing answers, or nothing useful in time.
	ReasonUnreachable Reason = "unreachable"
	// ReasonDNS: the endpoint's name has no address.
	ReasonDNS Reason = "dns"
	// ReasonTLS: no secure connection can be made.
	ReasonTLS Reason = "tls"
	// ReasonCredentials: the access key is unknown, or its secret another.
	ReasonCredentials Reason = "credentials"
	// ReasonPermission: the credentials lack the S3 action that BucketHealth names.
	ReasonPermission Reason = "permission"
	// ReasonMissing: the bucket does not exist.
	ReasonMissing Reason = "bucket_missing"
	// ReasonClock: the clocks differ by more than signatures allow.
	ReasonClock Reason = "clock_skew"
	// ReasonRegion: signatures name another region than the storage's.
	ReasonRegion Reason = "region"
	// ReasonOther: storage refused for another reason.
	ReasonOther Reason = "other"
)

// Health is whether storage can be used, bucket by bucket. It holds no secret,
// access key or endpoint, and neither does its JSON; Err's text, which is meant
// for logs, names the endpoint. The zero value is unhealthy.
type Health struct {
	// OK: every declared bucket can be used.
	OK bool `json:"ok"`
	// Took is how long it took to find out.
	Took Milliseconds `json:"took_ms"`
	// Buckets are the declared buckets, sorted by name.
	Buckets []BucketHealth `json:"buckets"`
}

// BucketHealth is whether one bucket can be used.
type BucketHealth struct {
	Bucket string `json:"bucket"`
	OK     bool   `json:"ok"`
	// Latency is how long storage took to answer, tries included.
	Latency Milliseconds `json:"latency_ms"`
	// Reason and Detail say why it cannot be used, to programs and to people.
	Reason Reason `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Action is the S3 action that is not allowed, with ReasonPermission.
	Action string `json:"action,omitempty"`
	// Region is the storage's, with ReasonRegion, where it says so.
	Region string `json:"region,omitempty"`
	// ClockOffset is how far storage's clock is ahead of this machine's, to a
	// second, where storage answered.
	ClockOffset Milliseconds `json:"clock_offset_ms,omitempty"`

	err error
}

// Milliseconds is a duration that is a number of milliseconds in JSON.
type Milliseconds time.Duration

// MarshalJSON writes the milliseconds, with three decimals.
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}

// Duration returns it as a time.Duration.
func (m Milliseconds) Duration() time.Duration { return time.Duration(m) }

// String renders it as time.Duration does.
func (m Milliseconds) String() string { return time.Duration(m).String() }

// Err returns the errors of all buckets, joined, or nil where all can be used.
func (h Health) Err() error {
	var errs []error
	for _, b := range h.Buckets {
		errs = append(errs, b.err)
	}
	if err := errors.Join(errs...); err != nil || h.OK {
		return err
	}
	return &Error{Kind: ErrUnavailable, Op: "check", Detail: "nothing was checked"}
}

// Worst returns the first bucket that cannot be used, and whether there is one.
func (h Health) Worst() (BucketHealth, bool) {
	for _, b := range h.Buckets {
		if !b.OK {
			return b, true
		}
	}
	return BucketHealth{}, false
}

// Err returns why the bucket cannot be used, or nil.
func (b BucketHealth) Err() error { return b.err }

// Check asks storage, with the app's credentials, whether every declared bucket
// is there: what a readiness probe needs to know. It changes nothing, needs the
// action s3:ListBucket, and ends within the configured time limit. A Store
// without buckets is healthy.
func (s *Store) Check(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	began, buckets := time.Now(), s.Buckets()
	h := Health{OK: true, Buckets: make([]BucketHealth, len(buckets))}
	all := eachOf(buckets, func(i int, b *Bucket) error {
		h.Buckets[i] = b.check(ctx)
		return h.Buckets[i].err
	})
	for i := range h.Buckets {
		b := &h.Buckets[i]
		if b.Bucket == "" { // not looked at, since what another met holds for it
			b.Bucket = buckets[i].name
			b.explain(all)
		}
		h.OK = h.OK && b.OK
	}
	h.Took = Milliseconds(time.Since(began))
	return h
}

func (b *Bucket) check(ctx context.Context) BucketHealth {
	h := BucketHealth{Bucket: b.name, OK: true}
	began := time.Now()
	answer, err := b.ask(ctx, "check bucket", bucketRequest{method: http.MethodHead})
	if kind := KindOf(err); err != nil && kind != ErrUnavailable && kind != ErrCanceled {
		// The answer to a HEAD has no body to say what is wrong; a listing's has.
		answer, err = b.ask(ctx, "check bucket", bucketRequest{method: http.MethodGet, query: url.Values{"list-type": {"2"}, "max-keys": {"1"}}})
	}
	h.Latency = Milliseconds(time.Since(began))
	if theirs, failed := http.ParseTime(answer.header.Get("Date")); failed == nil {
		theirs = theirs.Add(time.Second / 2) // the header's second has begun
		if off := theirs.Sub(b.store.config.Now()).Round(time.Second); off < -2*time.Second || off > 2*time.Second {
			h.ClockOffset = Milliseconds(off)
		}
	}
	if err != nil {
		h.explain(err)
	}
	return h
}

// explain says what is wrong, without what only the operator may know.
func (b *BucketHealth) explain(err error) {
	b.OK, b.err = false, err
	var refused *PermissionError
	var response minio.ErrorResponse
	var dns *net.DNSError
	answered := errors.As(err, &response)
	switch kind := KindOf(err); {
	case errors.As(err, &refused):
		b.Reason, b.Action, b.Detail = ReasonPermission, refused.Action, "the credentials lack "+refused.Action
	case kind == ErrBucketMissing:
		b.Reason, b.Detail = ReasonMissing, "the bucket does not exist"
	case kind == ErrClockSkew:
		b.Reason, b.Detail = ReasonClock, "the clocks of this machine and the storage differ too much"
		switch off := b.ClockOffset.Duration(); {
		case off > 0:
			b.Detail = fmt.Sprintf("the storage's clock is %s ahead of this machine's", off)
		case off < 0:
			b.Detail = fmt.Sprintf("the storage's clock is %s behind this machine's", -off)
		}
	case answered && wrongRegion(response.Code):
		b.Reason, b.Region, b.Detail = ReasonRegion, response.Region, "signatures name another region than the storage's"
	case kind == ErrCredentials:
		b.Reason, b.Detail = ReasonCredentials, "the storage refuses the credentials"
	case isTLS(err), answered && strings.Contains(response.Message, "HTTPS server"):
		b.Reason, b.Detail = ReasonTLS, "no secure connection to the storage can be made"
	case errors.As(err, &dns):
		b.Reason, b.Detail = ReasonDNS, "the storage's name has no address"
	case kind == ErrUnavailable, kind == ErrCanceled:
		b.Reason, b.Detail = ReasonUnreachable, "the storage does not answer"
		if answered {
			b.Detail = fmt.Sprintf("the storage answers with status %d", response.StatusCode)
		}
	default:
		b.Reason, b.Detail = ReasonOther, "the storage refuses the request"
	}
}

func wrongRegion(code string) bool {
	return code == "AuthorizationHeaderMalformed" || code == "InvalidRegion" || code == "PermanentRedirect"
}
