package conformance

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// Adapter mounts apps in one framework, with one stack of its middleware.
type Adapter struct {
	// Handler builds the app. It fails the test where it cannot.
	Handler func(testing.TB, *App) http.Handler
	// Header is what every request has to bring for the framework's middleware,
	// such as a token against forged requests. Default: nothing.
	Header http.Header
	// Brief leaves out the cases that take long or need deadlines on the
	// connection, for a further stack of a framework that has had them.
	Brief bool
	// Buffered says that the stack keeps answers to their end, with headers of its
	// own (http.TimeoutHandler). What streams elsewhere does not there, and cookies
	// set around it are not seen.
	Buffered bool
}

// App is a web app that knows no framework.
type App struct {
	// Store is the store of the routes' fields.
	Store *core.Store
	// HTTP holds limits, hooks and the logger; its Store is set too.
	HTTP nethttp.Config
	// Routes are in no order.
	Routes []Route
	// OnRefusal answers what Uploads refuses. nil: the adapter's own answer, a
	// problem.
	OnRefusal func(Call, error) error
	// Twice mounts Uploads twice.
	Twice bool
	// BodyLimit is mounted as the framework's own limit of a request's body, in
	// bytes, outside of everything of ours. 0: none.
	BodyLimit int64
	// Timeout is mounted as the framework's own time limit of a request, outside of
	// everything of ours. 0: none.
	Timeout time.Duration
}

// Route is one route of an App.
type Route struct {
	// Method and Path are as net/http's ServeMux writes them: "/albums/{id}".
	Method, Path string
	// Guard runs in a middleware of the framework, before the body is touched; an
	// error ends the request. nil: none.
	Guard func(Call) error
	// Uploads are the fields of the route's Uploads. nil: none is mounted.
	Uploads []*core.Field
	// Handler handles the request. It answers exactly once or returns an error.
	Handler func(Call) error
	// Serve is mounted by the adapter's Wrap, or nethttp's Handle, in Handler's place.
	Serve nethttp.HandlerFunc
}

// Call is one request as a framework's handler sees it.
type Call interface {
	// Context is the request's context.
	Context() context.Context
	// Request is the request.
	Request() *http.Request
	// Bind fills dst by the framework's own, unmodified binder.
	Bind(dst any) error
	// Param returns a part of the path by its name.
	Param(name string) string
	// Answer answers with a value as JSON, or with a status alone for nil.
	Answer(status int, value any) error
}

// group is the cases of one concern.
type group struct {
	name string
	slow bool // left out of a brief run
	run  func(*testing.T, *suite)
}

// groups are the whole suite. They run in parallel, each on apps of its own.
var groups = []group{
	{"N1 names", false, names},
	{"apps and clients that take liberties", false, liberties},
	{"structure", false, structure},
	{"forms", false, forms},
	{"forms that are shown again", false, redisplay},
	{"limits", false, limits},
	{"extensions", false, extensions},
	{"tokens", false, tokens},
	{"early refusals", false, refusals},
	{"transactions", false, transactions},
	{"serving", false, serving},
	{"direct uploads", false, directs},
	{"errors", false, answers},
	{"the life of a field", false, lifecycle},
	{"the framework's middleware", false, stack},
	{"cut bodies", false, cuts},
	{"clients that fail", true, clients},
	{"storage that fails", false, storage},
}

// Run holds an adapter to every case. It may be called several times, and in
// parallel.
func Run(t *testing.T, adapter Adapter) {
	t.Helper()
	s := newSuite(t, adapter)
	for _, g := range groups {
		if g.slow && adapter.Brief {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			g.run(t, s)
		})
	}
}
