package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	defaultDiagnoseTimeout = 30 * time.Second
	// doctorPrefix begins the last segment of the keys that Diagnose writes, and
	// takes away again.
	doctorPrefix = ".filefield-doctor-"
)

// FindingStatus is how a check of Diagnose ended.
type FindingStatus string

// The ends of a check.
const (
	// FindingOK: it is as it should be.
	FindingOK FindingStatus = "ok"
	// FindingWarning: the app works, but something is worth a look.
	FindingWarning FindingStatus = "warning"
	// FindingFailed: the app does not work, or is not safe.
	FindingFailed FindingStatus = "failed"
	// FindingSkipped: it could not be found out, or nobody asked for it.
	FindingSkipped FindingStatus = "skipped"
)

// Finding is what one check of Diagnose found.
type Finding struct {
	// Check names the check, for programs: "declarations", "signing_keys", "dns",
	// "tls", "connection", "clock", "server", "credentials", "region", "external",
	// "bucket", "permission", "settings", "public_access", "presigned_url", "cors",
	// "pending_files", "feature", "clean_up".
	Check string `json:"check"`
	// Bucket is the bucket it is about, or empty.
	Bucket string        `json:"bucket,omitempty"`
	Status FindingStatus `json:"status"`
	// Detail says what was found, to people.
	Detail string `json:"detail"`
	// Advice says what to do about it. Empty where nothing is to be done.
	Advice string `json:"advice,omitempty"`
	// Action is the action in policies that a permission is about.
	Action string `json:"action,omitempty"`
	// Took is how long it took to find out.
	Took Milliseconds `json:"took_ms"`
}

// Diagnosis is what Diagnose found. It is for operators: it names hosts, buckets
// and what storage said, and holds no key, secret, token or signed URL.
type Diagnosis struct {
	// OK: no check failed.
	OK bool `json:"ok"`
	// Server is what the storage calls itself, or empty.
	Server string `json:"server,omitempty"`
	// Took is how long all of it took.
	Took Milliseconds `json:"took_ms"`
	// Findings are in the order of the checks: what all buckets share, then bucket
	// by bucket, sorted by name.
	Findings []Finding `json:"findings"`
}

// DiagnoseOptions shape a diagnosis. The zero value looks at all a running app
// does, and writes.
type DiagnoseOptions struct {
	// ReadOnly sends nothing that could change anything; what only a write can
	// show is skipped.
	ReadOnly bool
	// Scope says which permissions the app is to have: those that IAMPolicy gives
	// for it. Other permissions that lack are no failure.
	Scope IAMScope
	// Timeout bounds the diagnosis but for its clean-up, which may take as long as
	// the configuration's Timeout. Default 30 seconds.
	Timeout time.Duration
}

// Diagnose finds out what is wrong between the app and its storage: declarations,
// connection (address, TLS, clock), credentials and region, what the server is
// able to do, the external endpoint, and for each declared bucket whether it is
// there, is what it is declared to be, shows strangers what it should and nothing
// else, and lets the app do what it needs to.
//
// A permission is tried by making use of it, on a key of its own below
// ".filefield-doctor-"; Diagnose removes what it has written, whatever fails
// meanwhile. Where it could not (locked objects, no permission to delete), it
// writes no object, and tries what can be tried without. Settings are not
// written: permission to write them is tried by a document that no server takes.
//
// It sends requests to the external endpoint, too, as a browser would.
func (s *Store) Diagnose(ctx context.Context, o DiagnoseOptions) Diagnosis {
	began := time.Now()
	setDefault(&o.Timeout, defaultDiagnoseTimeout)
	if s.config.CheckOnSave {
		o.Scope = IAMSetup
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	d := &doctor{store: s, options: o}
	d.declarations()
	if d.internal(ctx) && d.credentials(ctx) {
		d.external(ctx)
		d.buckets(ctx)
	}
	out := Diagnosis{OK: true, Server: d.server, Took: Milliseconds(time.Since(began)), Findings: d.findings}
	for _, f := range out.Findings {
		out.OK = out.OK && f.Status != FindingFailed
	}
	return out
}

// doctor is a diagnosis under way.
type doctor struct {
	store    *Store
	options  DiagnoseOptions
	findings []Finding
	server   string
	// away: the external endpoint does not answer.
	away bool
	// One bucket shows what the server is able to do.
	once     sync.Once
	features []Finding
}

func (d *doctor) found(f Finding) { d.findings = append(d.findings, f) }

// declarations looks at what needs no network.
func (d *doctor) declarations() {
	s := d.store
	switch err := s.Faults(); {
	case err != nil:
		d.found(Finding{Check: "declarations", Status: FindingFailed, Detail: err.Error(), Advice: "correct the declarations that it names"})
	case len(s.Buckets()) == 0:
		d.found(Finding{Check: "declarations", Status: FindingWarning, Detail: "no bucket is declared", Advice: "declare fields, or set MINIO_PRIVATE_BUCKETS, MINIO_PUBLIC_BUCKETS or MINIO_DEFAULT_BUCKET"})
	default:
		d.found(Finding{Check: "declarations", Status: FindingOK, Detail: fmt.Sprintf("declared buckets: %d", len(s.Buckets()))})
	}
	if s.madeUp {
		d.found(Finding{
			Check: "signing_keys", Status: FindingWarning, Detail: "no signing key is configured: file tokens end with the process, and other instances refuse them",
			Advice: "set SECRET_KEY to 32 or more random characters",
		})
		return
	}
	d.found(Finding{Check: "signing_keys", Status: FindingOK, Detail: fmt.Sprintf("%d configured, the first signs", len(s.keys))})
}

// buckets looks at all buckets, several at once. One of them shows what the
// server is able to do.
func (d *doctor) buckets(ctx context.Context) {
	buckets := d.store.Buckets()
	found := make([][]Finding, len(buckets))
	slots := make(chan struct{}, bucketsAtOnce)
	var all sync.WaitGroup
	for i, b := range buckets {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p := &examination{doctor: d, bucket: b, fields: d.store.fieldsOf(b)}
			p.all(ctx)
			found[i] = p.findings
		})
	}
	all.Wait()
	d.findings = append(d.findings, d.features...)
	for _, some := range found {
		d.findings = append(d.findings, some...)
	}
}

// refusals returns the permissions that an error says are missing.
func refusals(err error) []*PermissionError {
	var all []*PermissionError
	within(err, func(one error) {
		if refused, ok := one.(*PermissionError); ok { //nolint:errorlint // each error of the tree is visited
			all = append(all, refused)
		}
	})
	return all
}

// failure turns an error into a finding's words. The error's own text could name
// a signed URL.
func failure(f Finding, err error) Finding {
	f.Status = FindingFailed
	var e *Error
	if errors.As(err, &e) {
		f.Detail, f.Advice = e.Kind.Title(), e.Advice
		if code := codeOf(err); code != "" {
			f.Detail += " (" + code + ")"
		}
		return f
	}
	f.Detail = "it failed"
	return f
}
