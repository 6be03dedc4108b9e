package properties_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) {
	// Flags of the command line go before these.
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": "30", "rapid.steps": "25"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	s3test.Main(m, s3test.NoGoroutines)
}

// openStore opens a store for one check.
func openStore(t *rapid.T, s *s3test.Server) *core.Store {
	store, err := core.Open(core.Config{
		Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: core.Secret(s.SecretKey), Region: s.Region,
		SigningKeys: []core.Secret{"the signing key of these tests"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.CloseIdleConnections)
	return store
}
