package core

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/minio/minio-go/v7"
)

// errStalled is the cause of a context that was ended because storage made no
// progress.
var errStalled = errors.New("no progress within the time limit")

// watchdog ends a request's context when nothing has moved for a while.
type watchdog struct {
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{timer: time.AfterFunc(limit, func() { cancel(errStalled) }), limit: limit, cancel: cancel}
}

// stop ends the watch, and the context with it.
func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// moved says that bytes moved: the time starts anew.
func (w *watchdog) moved() { w.timer.Reset(w.limit) }

// pause stops the clock while it is not storage that is waited for.
func (w *watchdog) pause() { w.timer.Stop() }

// request runs one call to storage under the Store's time limit and maps its error.
func (s *Store) request(ctx context.Context, at Error, limit time.Duration, call func(context.Context, *watchdog) error) error {
	ctx, dog := watch(ctx, limit)
	defer dog.stop()
	return s.mapError(ctx, at, call(ctx, dog))
}

// retry runs one call as request does, again where that is safe and may help.
// The number of earlier tries is handed to the call.
func (s *Store) retry(ctx context.Context, at Error, limit time.Duration, call func(ctx context.Context, dog *watchdog, tries int) error) error {
	made := s.madeBefore(at)
	err := s.attempt(ctx, at, limit, call)
	if KindOf(err) == ErrBucketMissing && s.makeMissing(ctx, at, made) {
		return s.attempt(ctx, at, limit, call)
	}
	return err
}

func (s *Store) attempt(ctx context.Context, at Error, limit time.Duration, call func(ctx context.Context, dog *watchdog, tries int) error) error {
	return s.again(ctx, at, func(tries int) error {
		return s.request(ctx, at, limit, func(ctx context.Context, dog *watchdog) error { return call(ctx, dog, tries) })
	})
}

// again makes a try, which maps its own errors, as often as is safe and may help.
// The number of earlier ones is handed to it. An error in backoff.Permanent is the
// last.
func (s *Store) again(ctx context.Context, at Error, try func(tries int) error) error {
	firstErr := try(0)
	if firstErr == nil {
		return nil
	}
	tries, reachedOnce := 0, false
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := firstErr
		if tries > 0 {
			err = try(tries)
		}
		tries++
		reachedOnce = reachedOnce || (err != nil && reached(err))
		if err != nil && !retryable(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 3, MaxInterval: time.Second,
	}), backoff.WithMaxTries(uint(s.config.Attempts)))
	if err != nil && KindOf(err) == 0 { // the caller's context ended between two tries
		err = s.mapError(ctx, at, err)
	}
	var failed *Error
	if reachedOnce && errors.As(err, &failed) {
		failed.reached = true
	}
	return err
}

// retryable says whether trying again may help. A stalled request is not
// repeated, nor one that found no memory: it has used up the time the caller was promised.
func retryable(err error) bool {
	switch KindOf(err) {
	case ErrUnavailable:
		return !errors.Is(err, errStalled) && !errors.Is(err, errNoMemory)
	case ErrChecksum:
		return true
	}
	// Servers that keep objects as files remove a folder with its last object, and
	// may do so just when another comes into it.
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.Code == "ExistingObjectIsDirectory"
}

// reached says whether the request, in any of its tries, may have taken effect
// although it failed.
func reached(err error) bool {
	var failed *Error
	if errors.As(err, &failed) && failed.reached {
		return true
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false
	}
	switch KindOf(err) {
	case ErrUnavailable, ErrCanceled:
		return true
	}
	return false
}

// mapError turns what minio-go returned into an *Error, with what was attempted.
func (s *Store) mapError(ctx context.Context, at Error, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	failed := at // on the heap only where there is an error
	failed.Err = err
	failed.Kind, failed.Advice = s.classify(ctx, err)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		failed.Err = errors.Join(cause, err)
	}
	return &failed
}

func (s *Store) classify(ctx context.Context, err error) (Kind, string) {
	var response minio.ErrorResponse
	if errors.As(err, &response) && response.StatusCode != 0 {
		return s.classifyResponse(response)
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStalled):
		return ErrUnavailable, "the storage at " + s.config.Endpoint + " accepted the connection but made no progress: see whether it is overloaded or a proxy holds the request"
	case errors.Is(cause, context.DeadlineExceeded):
		return ErrUnavailable, "the caller's deadline passed first"
	case cause != nil:
		return ErrCanceled, ""
	}
	var dns *net.DNSError
	switch {
	case isTLS(err):
		return ErrUnavailable, "the storage at " + s.config.Endpoint + " does not show a certificate this machine trusts: set CAFile, or see whether UseHTTPS and the name in Endpoint are right"
	case errors.As(err, &dns):
		return ErrUnavailable, "the name in Endpoint " + s.config.Endpoint + " cannot be resolved"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return ErrUnavailable, "the storage closed the connection in the middle"
	}
	return ErrUnavailable, "see whether the storage at " + s.config.Endpoint + " runs and is reachable from here"
}

// isTLS says whether no secure connection could be made.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch)
}

// statusClientClosed is nginx's status for a client that went away. MinIO answers
// with it, too, when a node ends while it is handling a request.
const statusClientClosed = 499

func (s *Store) classifyResponse(r minio.ErrorResponse) (Kind, string) {
	switch r.Code {
	case "NoSuchKey", "NoSuchVersion":
		return ErrNotFound, ""
	case "NoSuchBucket":
		return ErrBucketMissing, "create it, or let Startup do so"
	case "NoSuchUpload":
		return ErrUnavailable, "the multipart upload is gone: something else aborted or completed it"
	case "InvalidPart": // only parts are named that the storage has acknowledged or listed
		return ErrUnavailable, "the storage does not find a part that it had acknowledged: see whether nodes or drives of it are down"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidTokenId",
		"XAdminUserNotFound":
		return ErrCredentials, "check the access key, the secret key and that they belong to this storage"
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "IllegalLocationConstraintException":
		advice := "set Region to the storage's region"
		if r.Region != "" {
			advice += ", which is " + r.Region
		}
		return ErrCredentials, advice
	case "RequestTimeTooSkewed":
		return ErrClockSkew, "set this machine's clock and the storage's by NTP; they may differ by 15 minutes at most"
	case "AccessDenied", "AllAccessDisabled", "AccountProblem":
		return ErrDenied, "the credentials are valid but their policy does not allow this"
	case "BadDigest", "XAmzContentChecksumMismatch", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody":
		return ErrChecksum, ""
	case "EntityTooLarge":
		return ErrTooLarge, ""
	case "KeyTooLongError", "XMinioInvalidObjectName", "InvalidObjectName":
		return ErrName, ""
	case "ConditionalRequestConflict", "OperationAborted":
		return ErrUnavailable, "another write to the same key was under way"
	}
	switch {
	case r.StatusCode == http.StatusNotModified:
		return ErrNotModified, ""
	case r.StatusCode == http.StatusPreconditionFailed:
		return ErrPrecondition, ""
	case r.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return ErrRange, ""
	case r.StatusCode == http.StatusNotImplemented:
		return ErrUnsupported, ""
	case r.StatusCode == http.StatusForbidden:
		return ErrDenied, "the credentials are valid but their policy does not allow this"
	case r.StatusCode == statusClientClosed:
		return ErrUnavailable, "the storage says that its client has gone, though we had not: nodes of it are going down, or a proxy cut the request"
	case r.StatusCode >= 400 && r.StatusCode < 500 && r.StatusCode != http.StatusTooManyRequests && r.StatusCode != http.StatusRequestTimeout:
		return ErrUnsupported, "the storage refused the request as it stands"
	}
	return ErrUnavailable, ""
}

// patience is how long a request may make no progress. It leaves a fifth of the
// configured time for what has to be tidied up then, so that the caller has its
// answer within the whole.
func (s *Store) patience() time.Duration { return s.config.Timeout * 4 / 5 }

// afterwards returns a context for work that must be done although the caller's
// has ended: clean-up. It keeps the values and gets a time limit of its own,
// short where storage has just been found not to answer.
func (s *Store) afterwards(ctx context.Context, why error) (context.Context, context.CancelFunc) {
	limit := s.config.Timeout
	if errors.Is(why, errStalled) {
		limit = max(s.config.Timeout/5, time.Second)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}
