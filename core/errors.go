package core

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Kind says what went wrong, in the words a program can act on. Every error
// this library returns has exactly one Kind in its chain, so
//
//	errors.Is(err, core.ErrNotFound)
//
// is the way to tell failures apart. A Kind is a constant: it can be compared,
// used in a switch, and never changes. Safe for concurrent use.
type Kind uint8

// The kinds of failure. The comment says which HTTP status each one maps to.
const (
	// ErrNotFound: the object does not exist (404), as the storage says. No other
	// failure is reported as ErrNotFound. A MinIO cluster that has lost more drives
	// than it bears may say so of objects that exist; no client can tell.
	ErrNotFound Kind = iota + 1
	// ErrNotModified: a conditional read found the copy the caller has current (304).
	ErrNotModified
	// ErrPrecondition: a condition the caller set on the object did not hold (412).
	ErrPrecondition
	// ErrTaken: the wanted key is taken and no free alternative could be made (409).
	ErrTaken
	// ErrRange: the wanted range lies outside the object (416).
	ErrRange
	// ErrName: a file name or key is dangerous or cannot be used (400).
	ErrName
	// ErrMalformed: the request's body is not what its headers say (400).
	ErrMalformed
	// ErrTooLarge: a byte limit was exceeded (413).
	ErrTooLarge
	// ErrTooMany: a count limit was exceeded (413).
	ErrTooMany
	// ErrPixels: an image has more pixels, frames or scans than may be decoded (413).
	ErrPixels
	// ErrType: the content is of a type that is not accepted here (415).
	ErrType
	// ErrEmpty: the file has no bytes and the field does not allow that (422).
	ErrEmpty
	// ErrToken: a token is forged, expired, or made for something else (422).
	ErrToken
	// ErrInvalid: a value of the form does not follow its rules (422).
	ErrInvalid
	// ErrSlow: the client stopped sending (408).
	ErrSlow
	// ErrCanceled: the caller's context ended, as when the client went away
	// (499, a status no client sees).
	ErrCanceled
	// ErrUnavailable: storage cannot be reached, answers with a server error,
	// or makes no progress (503).
	ErrUnavailable
	// ErrCredentials: storage does not know the access key or refuses its
	// signature (503).
	ErrCredentials
	// ErrDenied: storage knows us but does not permit the operation (503: it is
	// the app's permissions that are short, not the user's).
	ErrDenied
	// ErrBucketMissing: the bucket does not exist (503).
	ErrBucketMissing
	// ErrClockSkew: this machine's clock and the storage's differ too much for
	// signatures to be accepted (503).
	ErrClockSkew
	// ErrUnsupported: this storage server does not implement the operation (501).
	ErrUnsupported
	// ErrChecksum: bytes arrived at storage other than they were sent (503).
	ErrChecksum
	// ErrConfig: the configuration or a declaration has faults (500).
	ErrConfig
	// ErrTxnDone: the file transaction of this context has already ended (500).
	ErrTxnDone
	// ErrUnauthenticated: the app wants to know first who asks (401).
	ErrUnauthenticated
	// ErrForbidden: the app does not allow this to who asks (403).
	ErrForbidden
	// ErrUnfinished: an upload straight to the bucket has not arrived, or not all of
	// it (409).
	ErrUnfinished
	// ErrQuota: who asks has asked for too much; for the app's own hooks (429).
	ErrQuota
)

type kindText struct {
	code, title string
	status      int
}

var kindTexts = [...]kindText{
	ErrNotFound:        {"not_found", "Not found", http.StatusNotFound},
	ErrNotModified:     {"not_modified", "Not modified", http.StatusNotModified},
	ErrPrecondition:    {"precondition_failed", "Precondition failed", http.StatusPreconditionFailed},
	ErrTaken:           {"taken", "Already taken", http.StatusConflict},
	ErrRange:           {"range_not_satisfiable", "Range not satisfiable", http.StatusRequestedRangeNotSatisfiable},
	ErrName:            {"bad_name", "File name not usable", http.StatusBadRequest},
	ErrMalformed:       {"malformed", "Malformed request", http.StatusBadRequest},
	ErrTooLarge:        {"too_large", "Too large", http.StatusRequestEntityTooLarge},
	ErrTooMany:         {"too_many", "Too many parts", http.StatusRequestEntityTooLarge},
	ErrPixels:          {"too_many_pixels", "Image too large", http.StatusRequestEntityTooLarge},
	ErrType:            {"type_not_accepted", "File type not accepted", http.StatusUnsupportedMediaType},
	ErrEmpty:           {"empty", "Empty file", http.StatusUnprocessableEntity},
	ErrToken:           {"bad_token", "Not a valid file token", http.StatusUnprocessableEntity},
	ErrInvalid:         {"invalid", "Invalid input", http.StatusUnprocessableEntity},
	ErrSlow:            {"slow_client", "Request too slow", http.StatusRequestTimeout},
	ErrCanceled:        {"canceled", "Canceled", 499},
	ErrUnavailable:     {"storage_unavailable", "Storage unavailable", http.StatusServiceUnavailable},
	ErrCredentials:     {"storage_credentials", "Storage refuses the credentials", http.StatusServiceUnavailable},
	ErrDenied:          {"storage_denied", "Storage denies the operation", http.StatusServiceUnavailable},
	ErrBucketMissing:   {"bucket_missing", "Bucket does not exist", http.StatusServiceUnavailable},
	ErrClockSkew:       {"clock_skew", "Clocks differ too much", http.StatusServiceUnavailable},
	ErrUnsupported:     {"unsupported", "Not supported by the storage", http.StatusNotImplemented},
	ErrChecksum:        {"checksum_mismatch", "Content damaged on its way to storage", http.StatusServiceUnavailable},
	ErrConfig:          {"configuration", "Configuration fault", http.StatusInternalServerError},
	ErrUnauthenticated: {"unauthenticated", "Log in first", http.StatusUnauthorized},
	ErrForbidden:       {"forbidden", "Not allowed", http.StatusForbidden},
	ErrUnfinished:      {"unfinished", "Upload not finished", http.StatusConflict},
	ErrQuota:           {"quota", "Too many uploads", http.StatusTooManyRequests},
	ErrTxnDone:         {"transaction_done", "File transaction already ended", http.StatusInternalServerError},
}

func (k Kind) text() kindText {
	if int(k) >= len(kindTexts) || kindTexts[k].code == "" {
		return kindText{"internal", "Internal error", http.StatusInternalServerError}
	}
	return kindTexts[k]
}

// Error returns the kind's title, in lower case, as errors are written.
func (k Kind) Error() string { return strings.ToLower(k.text().title) }

// Code returns a short name that stays the same between releases, for programs
// and for a problem's errors: "too_large", "not_found", …
func (k Kind) Code() string { return k.text().code }

// Title returns a short sentence for people.
func (k Kind) Title() string { return k.text().title }

// Status returns the HTTP status an answer to a client should have.
func (k Kind) Status() int { return k.text().status }

// Error is what this library's operations return: what was attempted, on what,
// why it failed, and what to do. The zero value is not useful.
//
// Its text is meant for logs. It holds names of fields, buckets and keys, never
// a secret, a token or a signed URL. What a client may see is ProblemOf's work.
type Error struct {
	// Kind is what went wrong; errors.Is(err, Kind) finds it.
	Kind Kind
	// Op is the operation: "save", "open", "delete", …
	Op string
	// Field, Bucket and Key are what it was attempted on; empty where they do
	// not apply.
	Field, Bucket, Key string
	// Detail is a sentence for the person who made the request. It may be shown
	// to a client.
	Detail string
	// Advice says what the operator can do. It is not shown to a client.
	Advice string
	// Err is the cause, or nil.
	Err error

	// reached says that an earlier try may have taken effect.
	reached bool
}

// Error renders "op bucket/key (field name): detail: cause (advice)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	switch {
	case e.Key != "":
		fmt.Fprintf(&b, " %s/%q", e.Bucket, e.Key)
	case e.Bucket != "":
		fmt.Fprintf(&b, " %s", e.Bucket)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, " (field %s)", e.Field)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Kind.Error())
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Advice != "" {
		b.WriteString(" (" + e.Advice + ")")
	}
	return b.String()
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// KindOf returns the Kind in err's chain, or 0 where there is none.
func KindOf(err error) Kind {
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return 0
}

// within visits an error and all that it wraps.
func within(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch wrapping := err.(type) { //nolint:errorlint // each error of the tree is visited
	case interface{ Unwrap() []error }:
		for _, one := range wrapping.Unwrap() {
			within(one, visit)
		}
	case interface{ Unwrap() error }:
		within(wrapping.Unwrap(), visit)
	}
}
