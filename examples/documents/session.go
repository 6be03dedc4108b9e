package documents

import (
	"crypto/rand"
	"net/http"

	"github.com/filefield/filefield/core"
)

const sessionCookie = "session"

// withSession gives every browser that comes for a page a session, and names it as
// the subject of its requests: an app has users in its place. Tokens are bound to it.
func withSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(sessionCookie)
		if err != nil && WantsPage(r) && r.Method == http.MethodGet {
			c = &http.Cookie{Name: sessionCookie, Value: rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil} //nolint:gosec // Secure over TLS; in development there is none
			http.SetCookie(w, c)
		}
		if c != nil && len(c.Value) == len(rand.Text()) {
			r = r.WithContext(core.WithSubject(r.Context(), c.Value))
		}
		next.ServeHTTP(w, r)
	})
}

// HasSession is the nethttp.Authorizer of uploads: browsers that have been to one
// of the app's pages.
func HasSession(r *http.Request, _ core.Object) error {
	if core.SubjectFrom(r.Context()) == "" {
		return &core.Error{Kind: core.ErrUnauthenticated, Op: "upload", Detail: "open one of the pages first"}
	}
	return nil
}
