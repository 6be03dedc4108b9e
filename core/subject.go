package core

import "context"

type subjectKey struct{}

// WithSubject returns a context that names who makes the request (a user id),
// for tokens bound to a subject: a token made for one subject is refused to
// every other. Put it there once the user is known, before Uploads runs.
func WithSubject(ctx context.Context, subject string) context.Context {
	return context.WithValue(ctx, subjectKey{}, subject)
}

// SubjectFrom returns the subject ctx names, or "".
func SubjectFrom(ctx context.Context) string {
	subject, _ := ctx.Value(subjectKey{}).(string)
	return subject
}
