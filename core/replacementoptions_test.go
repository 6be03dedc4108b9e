package core

import (
	"bytes"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

func TestTheOptionsOfAReplacementComeBackAsTheyWereRecorded(t *testing.T) {
	t.Parallel()
	kms, err := encrypt.NewSSEKMS("key", map[string]string{"app": "test"})
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for name, o := range map[string]ObjectOptions{
		"nothing":                            {},
		"a lock":                             {Retention: Retention{Mode: minio.Governance, Until: until}, LegalHold: true},
		"encryption by storage":              {Encryption: encrypt.NewSSE()},
		"encryption by a key of the service": {Encryption: kms},
	} {
		text := recordOptions(o)
		if (text == "") != (name == "nothing") {
			t.Errorf("%s is recorded as %q", name, text)
		}
		got, err := parseOptions(text)
		if err != nil || got.Retention != o.Retention || got.LegalHold != o.LegalHold || !sameEncryption(got, o) {
			t.Errorf("%s comes back as %+v, %v", name, got, err)
		}
	}
}

func sameEncryption(a, b ObjectOptions) bool {
	if a.Encryption == nil || b.Encryption == nil {
		return a.Encryption == b.Encryption
	}
	first, second := http.Header{}, http.Header{}
	a.Encryption.Marshal(first)
	b.Encryption.Marshal(second)
	return a.Encryption.Type() == b.Encryption.Type() && reflect.DeepEqual(first, second)
}

func TestACustomersKeyIsNotRecorded(t *testing.T) {
	t.Parallel()
	customer, err := encrypt.NewSSEC(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if text := recordOptions(ObjectOptions{Encryption: customer}); text != "" {
		t.Errorf("it is recorded: %s", text)
	}
}

func FuzzParseOptions(f *testing.F) {
	for _, text := range []string{"", "{", `{"LegalHold":true}`, `{"Encryption":{"Kind":"KMS","Header":{"a":["b"]}}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOptions(text)
		if err != nil {
			return
		}
		again, err := parseOptions(recordOptions(o))
		if err != nil || again.LegalHold != o.LegalHold || !again.Retention.Until.Equal(o.Retention.Until) {
			t.Errorf("%q comes back as %+v, %v", text, again, err)
		}
	})
}
