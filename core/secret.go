package core

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/minio/minio-go/v7/pkg/encrypt"
)

const redacted = "[redacted]"

// Secret is a string that must not be seen: an access secret, a signing key. It
// prints as "[redacted]" in every way Go can print it (fmt with any verb,
// encoding/json, encoding.TextMarshaler, log/slog), and as "" where it is
// empty. Only fmt's verbs for a struct that holds one in an unexported field get
// past it: fmt asks no methods of such values. Convert it with string(s) where
// the value itself is needed. Safe for concurrent use.
type Secret string

func (s Secret) shown() string {
	if s == "" {
		return ""
	}
	return redacted
}

// String returns "[redacted]", or "" for an empty secret.
func (s Secret) String() string { return s.shown() }

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.shown())) }

// MarshalText returns what String returns, so that JSON, YAML and XML
// encoders hide the value too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown()), nil }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.shown()) }

// encryptionKind is an encryption to print: minio-go's own value is the key.
type encryptionKind encrypt.Type

func withoutKey(e encrypt.ServerSide) encrypt.ServerSide {
	if e == nil {
		return nil
	}
	return encryptionKind(e.Type())
}

func (k encryptionKind) Type() encrypt.Type { return encrypt.Type(k) }
func (encryptionKind) Marshal(http.Header)  {}
func (k encryptionKind) String() string     { return string(k) }
