package nethttp

import (
	"context"
	"errors"
	"net"

	"github.com/filefield/filefield/core"
)

// OnServe starts a hook when a server begins to serve:
//
//	srv.BaseContext = nethttp.OnServe(hook)
//	log.Fatal(nethttp.ServeError(hook, srv.ListenAndServe()))
//
// The address is bound by then, and no request is accepted before Start has
// returned. A BaseContext has no way to report an error, so where Start fails,
// the listener is closed, which ends Serve with net.ErrClosed before it has
// accepted anything; ServeError turns that into what Start failed with. Whoever
// stops the server stops the hook too:
//
//	srv.RegisterOnShutdown(func() { _ = hook.Stop(ctx) })
func OnServe(hook *core.Startup) func(net.Listener) context.Context {
	return func(l net.Listener) context.Context {
		ctx := context.Background()
		if err := hook.Start(ctx); err != nil {
			_ = l.Close()
		}
		return ctx
	}
}

// ServeError is the error that a server with OnServe ended with: the hook's if
// Start failed and the server ended for that reason, else the server's own.
func ServeError(hook *core.Startup, err error) error {
	if failed := hook.Err(); failed != nil && hook.Ready() != nil && errors.Is(err, net.ErrClosed) {
		return failed
	}
	return err
}
