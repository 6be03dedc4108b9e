package s3test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	Main(m, func() error { return goleak.Find() })
}

func TestStart(t *testing.T) {
	t.Parallel()

	t.Run("returns the same running server every time", func(t *testing.T) {
		t.Parallel()
		a, b := Start(t), Start(t)
		if a != b {
			t.Errorf("Start returned %p and %p, want one server per test binary", a, b)
		}
		want, err := engineFromEnv()
		if err != nil {
			t.Fatal(err)
		}
		if a.Engine != want || a.PID <= 0 || a.CAFile != "" || a.URL() != "http://"+a.Endpoint {
			t.Errorf("server is %+v, want a %s with a process and no TLS", a, want)
		}
		if _, err := a.Client(t).ListBuckets(t.Context()); err != nil {
			t.Errorf("list buckets: %v, want no error", err)
		}
	})

	t.Run("gives a server that must not be taken from under other tests", func(t *testing.T) {
		t.Parallel()
		for name, stop := range map[string]func(){"Kill": Start(t).Kill, "Stop": Start(t).Stop, "Restart": Start(t).Restart} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of the shared server returned, want a panic", name)
					}
				}()
				stop()
			}()
		}
	})
}

func TestEngineFromEnv(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        Engine
		wantErr     bool
	}{
		{"nothing means the embedded engine", "", Embedded, false},
		{"embedded", "embedded", Embedded, false},
		{"minio", "minio", MinIO, false},
		{"anything else is a mistake to report", "miniio", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(engineVar, tt.value)
			got, err := engineFromEnv()
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("engineFromEnv() = %q, %v; want %q, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}
