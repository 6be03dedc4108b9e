package core

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// replacement is an upload that replaces an existing object when its transaction
// commits.
type replacement struct {
	upload  *upload
	target  Key           // that was taken; zero: it was free, and nothing is to be done
	options ObjectOptions // of the object at target
	file    *txnFile
	ended   atomic.Bool // it has been carried out, or is not to be
}

// replaceLater has the upload stored beside what it replaces.
func (u *upload) replaceLater() *replacement {
	r := &replacement{upload: u, options: u.in.Options}
	u.in.Replace = false
	u.alternative = func(taken Key) (Key, error) {
		r.target = taken
		u.unique = true
		u.in.Options.Retention, u.in.Options.LegalHold = Retention{}, false // or it could not be removed
		return stagedKey(taken)
	}
	return r
}

// stagedKey is a key beside the target that is nobody else's.
func stagedKey(target Key) (Key, error) {
	return ParseKey(strings.TrimSuffix(target.String(), target.Base()) + "staged-" + newUploadID())
}

// commit puts it at its target, once.
func (r *replacement) commit(ctx context.Context) error {
	if r.ended.Swap(true) {
		return nil
	}
	stored, journal := r.upload.object, r.file.journal
	err := r.upload.bucket.replace(ctx, stored.Key, stored.Size, r.target, r.options)
	if journal == nil {
		return err
	}
	if KindOf(err) == ErrNotFound {
		err = nil // whoever follows the journal was faster
	}
	if err != nil {
		return err
	}
	return journal.Gone(ctx, r.file.written())
}

// replace puts a staged object at its target.
func (b *Bucket) replace(ctx context.Context, staged Key, size int64, target Key, options ObjectOptions) error {
	if err := b.copy(ctx, staged, size, b, target, options); err != nil {
		return err
	}
	return errors.Join(b.remove(ctx, staged), b.removeVariants(ctx, target))
}

// FinishReplacement does, after a crash, what a committed transaction was about to do
// with a file that replaces another: it copies it to its Target and removes it from
// its Key. Where it has been done before there is nothing to do, which is no error.
// ErrConfig for a w without a Target or with Options that are not a Journal's;
// otherwise the storage's kinds, also for objects encrypted with a customer's key,
// which cannot be copied without it. Safe for concurrent use.
func (b *Bucket) FinishReplacement(ctx context.Context, w Written) error {
	options, err := parseOptions(w.Options)
	if err != nil || w.Target.IsZero() || w.Key.IsZero() {
		e := b.at("replace", w.Target)
		e.Kind, e.Err = ErrConfig, errors.Join(errors.New("this is not what a Journal was told of a replacement"), err)
		return &e
	}
	staged, ours, err := b.written(ctx, w.Key, w.Upload, nil)
	if err != nil {
		return err
	}
	if !ours {
		return b.removeVariants(ctx, w.Target) // the last thing it does
	}
	return b.replace(ctx, w.Key, staged.Size, w.Target, options)
}

// recorded is what of an object's options does not come with a copy of it.
type recorded struct {
	Retention  Retention
	LegalHold  bool         `json:",omitempty"`
	Encryption *recordedSSE `json:",omitempty"`
}

// recordOptions is Written.Options.
func recordOptions(o ObjectOptions) string {
	r := recorded{Retention: o.Retention, LegalHold: o.LegalHold}
	if o.Encryption != nil && o.Encryption.Type() != encrypt.SSEC { // whose key is a secret
		header := http.Header{}
		o.Encryption.Marshal(header)
		r.Encryption = &recordedSSE{Kind: o.Encryption.Type(), Header: header}
	}
	if r == (recorded{}) {
		return ""
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "" // a type of strings, a time and a bool has no error
	}
	return string(text)
}

func parseOptions(text string) (ObjectOptions, error) {
	var r recorded
	if text == "" {
		return ObjectOptions{}, nil
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return ObjectOptions{}, err
	}
	o := ObjectOptions{Retention: r.Retention, LegalHold: r.LegalHold}
	if r.Encryption != nil {
		o.Encryption = r.Encryption
	}
	return o, nil
}

// recordedSSE is a server-side encryption as it was recorded.
type recordedSSE struct {
	Kind   encrypt.Type
	Header http.Header
}

// Type is that of encrypt.ServerSide.
func (e *recordedSSE) Type() encrypt.Type { return e.Kind }

// Marshal is that of encrypt.ServerSide.
func (e *recordedSSE) Marshal(h http.Header) {
	for name, values := range e.Header {
		h[name] = values
	}
}
