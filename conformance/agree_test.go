package conformance_test

import (
	"testing"

	"github.com/filefield/filefield/conformance"
)

func TestFrameworksAgree(t *testing.T) {
	t.Parallel()
	conformance.Agree(t, map[string]conformance.Adapter{
		"net/http": {Handler: onMux(nil, nil)}, "chi": {Handler: onChi(nil, nil)},
		"Echo": {Handler: onEcho(nil, nil)}, "Gin": {Handler: onGin(nil, nil)},
	})
}
