package core_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// theSecret appears in no output; neither does it in hex or as numbers.
const theSecret = "hunter2-and-some-more-bytes"

func wantHidden(t *testing.T, how, text string) {
	t.Helper()
	for what, form := range map[string]string{
		"as it is": theSecret, "in hex": fmt.Sprintf("%x", theSecret), "in upper case hex": fmt.Sprintf("%X", theSecret),
		"in hex with spaces": fmt.Sprintf("% x", theSecret), "as numbers": strings.Trim(fmt.Sprint([]byte(theSecret)), "[]"), "quoted": fmt.Sprintf("%+q", theSecret),
		"as Go code": strings.Trim(fmt.Sprintf("%#v", []byte(theSecret)), "[]byte{}"),
	} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the secret %s: %.300s", how, what, text)
		}
	}
}

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%+q", "%x", "%X", "% x", "%d", "%t", "%T", "%10.3s"}

func TestO10NoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	config := core.Config{
		Endpoint: "storage.example:9000", AccessKey: "access", SecretKey: theSecret, SigningKeys: []core.Secret{theSecret, theSecret + "2"},
		Now: func() time.Time { return time.Unix(0, 0) },
	}
	store, err := core.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	field := store.Field(core.FieldConfig{Name: "file", Bucket: "some-bucket"})
	type settings struct {
		Storage core.Config
		Pointer *core.Config
		List    []core.Config
		ByName  map[string]core.Secret
		Any     any
		Store   *core.Store
	}
	// fmt asks no methods of what lies in unexported fields.
	type private struct {
		store  *core.Store
		field  *core.Field
		bucket *core.Bucket
	}
	values := map[string]any{
		"a struct that hides a store": private{store, field, field.Bucket()}, "and a pointer to it": &private{store, field, field.Bucket()},
		"with a provider": core.Config{Endpoint: "a", Credentials: credentials.NewStaticV4("access", theSecret, "")},
		"a secret":        core.Secret(theSecret), "a list of them": []core.Secret{theSecret}, "a map": map[string]core.Secret{"key": theSecret},
		"a configuration": config, "a pointer to it": &config,
		"a struct that holds it": settings{config, &config, []core.Config{config}, map[string]core.Secret{"k": theSecret}, core.Secret(theSecret), store},
		"a store":                store, "a field": field, "its declaration": field.Config(), "a bucket": field.Bucket(), "a startup": store.Startup(core.StartupConfig{}),
	}
	for name, value := range values {
		for _, verb := range verbs {
			wantHidden(t, name+" with "+verb, fmt.Sprintf(verb, value))
		}
		if text, err := json.Marshal(value); err == nil {
			wantHidden(t, name+" in JSON", string(text))
		}
		var log bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(handler).Info("message", "value", value, slog.Group("group", "value", value))
		}
		wantHidden(t, name+" in a log", log.String())
	}
	type document struct{ Key core.Secret }
	text, err := xml.Marshal(document{theSecret})
	if err != nil || !strings.Contains(string(text), "[redacted]") {
		t.Errorf("XML is %s, %v", text, err)
	}
	wantHidden(t, "XML", string(text))
}

func TestASecretSaysWhetherItIsThere(t *testing.T) {
	t.Parallel()
	for secret, want := range map[core.Secret]string{"": "", "x": "[redacted]", theSecret: "[redacted]"} {
		text, err := secret.MarshalText()
		if err != nil || string(text) != want || secret.String() != want || secret.LogValue().String() != want || fmt.Sprint(secret) != want {
			t.Errorf("a secret of %d bytes shows as %q, %q, %q, %q; want %q", len(secret), text, secret.String(), secret.LogValue(), fmt.Sprint(secret), want)
		}
	}
	if string(core.Secret(theSecret)) != theSecret {
		t.Error("the value itself is lost")
	}
}

func TestO10NoErrorAndNoLogLineShowsASecret(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	recorder := s.Recorder(t)
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete || isPart(r) {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	var log bytes.Buffer
	quick := func(c *core.Config) {
		c.Timeout, c.Attempts, c.SigningKeys = 300*time.Millisecond, 1, []core.Secret{theSecret}
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}
	wrong := func(c *core.Config) { quick(c); c.SecretKey = theSecret }
	for name, store := range map[string]*core.Store{
		"wrong credentials":     openStoreOn(t, s, s.Endpoint, wrong),
		"a host without answer": openStoreOn(t, s, s3test.BlackHole(t), wrong),
		"a host that is not":    openStoreOn(t, s, "storage.invalid:9000", wrong),
		"requests that fail":    openStoreOn(t, s, recorder.Endpoint(), quick),
	} {
		field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, UploadTo: core.KeepName})
		for what, do := range operations(t, field) {
			err := do()
			if err == nil {
				continue
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
				text := fmt.Sprintf(verb, err)
				wantHidden(t, name+": "+what, text)
				if strings.Contains(text, s.SecretKey) || strings.Contains(text, "Signature=") || strings.Contains(text, "X-Amz-Signature") {
					t.Errorf("%s: %s: the error shows a secret or a signature: %s", name, what, text)
				}
			}
		}
		_, err := field.Verify(field.Sign(core.Object{Bucket: "other"}, "someone") + "x")
		wantHidden(t, "a bad token", fmt.Sprintf("%+v", err))
	}
	wantHidden(t, "the log", log.String())
	if strings.Contains(log.String(), s.SecretKey) {
		t.Error("the log shows the storage's secret")
	}
}
