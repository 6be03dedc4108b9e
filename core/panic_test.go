package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/filefield/filefield/core"
)

// panicVar has a process of the tests end by a panic with one of the values.
const panicVar = "FILEFIELD_TEST_PANIC"

// holdersOfSecrets are values of every type that holds a secret, by name.
func holdersOfSecrets() (map[string]any, error) {
	config := good()
	config.SecretKey, config.SigningKeys = theSecret, []core.Secret{theSecret}
	store, err := core.Open(config)
	if err != nil {
		return nil, err
	}
	// A customer's key has 32 bytes.
	key, err := encrypt.NewSSEC([]byte(theSecret + strings.Repeat("x", 32-len(theSecret))))
	if err != nil {
		return nil, err
	}
	options := core.ObjectOptions{Encryption: key, Metadata: map[string]string{"a": "b"}}
	faulty := config
	faulty.Endpoint, faulty.SigningKeys = "https://user:"+theSecret+"@storage.example", []core.Secret{"hunter2"}
	return map[string]any{
		"a secret": core.Secret(theSecret), "a configuration": config, "a store": store, "faults": faulty.Validate(),
		"options of an object": options, "options of a read": core.OpenOptions{Encryption: key},
		"an upload": core.Upload{Options: options}, "a declaration": core.FieldConfig{Name: "file", Options: options},
		"a field": store.Field(core.FieldConfig{Name: "file", Bucket: "photos", Options: options}),
		"a ticket": core.Ticket{
			Method: core.DirectPut, Token: theSecret, URL: "https://storage.example/?X-Amz-Signature=" + theSecret,
			Headers: map[string]string{"h": theSecret}, Fields: map[string]string{"policy": theSecret},
		},
		"an error": &core.Error{Kind: core.ErrConfig, Op: "open store", Err: errors.Join(faulty.Validate(), fmt.Errorf("of %v", config))},
	}, nil
}

// endByPanic is the process that panics.
func endByPanic(name string) int {
	values, err := holdersOfSecrets()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 3
	}
	panic(values[name])
}

func TestO10NothingThatHoldsASecretPrintsIt(t *testing.T) {
	t.Parallel()
	values, err := holdersOfSecrets()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		for _, verb := range verbs {
			for how, v := range map[string]any{"": value, "a pointer to ": &value, "in a list, ": []any{value}, "in a struct, ": struct{ Value any }{value}} {
				wantHidden(t, how+name+" with "+verb, fmt.Sprintf(verb, v))
			}
		}
		if _, wire := value.(core.Ticket); wire {
			continue // JSON is how the client gets it
		}
		if text, err := json.Marshal(value); err == nil {
			wantHidden(t, name+" in JSON", string(text))
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		for name, value := range values {
			slog.New(handler).Info("message", name, value)
		}
	}
	wantHidden(t, "a log", log.String())
	if text := fmt.Sprint(values["options of an object"]); !strings.Contains(text, "Encryption:SSE-C") || !strings.Contains(text, "map[a:b]") {
		t.Errorf("options print as %s: the rest of them is gone", text)
	}
}

func TestO10NoPanicShowsASecret(t *testing.T) {
	t.Parallel()
	values, err := holdersOfSecrets()
	if err != nil {
		t.Fatal(err)
	}
	for name := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), panicVar+"="+name, "GOTRACEBACK=system")
			text, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(text), "panic: ") || !strings.Contains(string(text), "goroutine ") {
				t.Fatalf("it ended with %v: %s", err, text)
			}
			wantHidden(t, "the panic", string(text))
		})
	}
}
