package core

import (
	"errors"
	"net/http"
	"strings"
)

// Problem is what a client is told of a failure: the body of an RFC 9457
// application/problem+json answer. It holds nothing that is not meant for the
// client: no bucket, key, endpoint or cause.
type Problem struct {
	// Type is a URI that names the kind of problem and stays the same.
	Type string `json:"type"`
	// Title is the kind in words.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Detail is what happened here, or empty.
	Detail string `json:"detail,omitempty"`
	// Errors says which fields of a form are wrong and why.
	Errors []FieldError `json:"errors,omitempty"`
}

// ProblemMediaType is the media type of a Problem in JSON.
const ProblemMediaType = "application/problem+json"

// FieldError is one fault of one field of a form.
type FieldError struct {
	// Field is the field's name in the form.
	Field string `json:"field"`
	// Code names the fault for programs: "required", "too_large", …
	Code string `json:"code"`
	// Message says it to people.
	Message string `json:"message"`
}

// Invalid is a form whose fields do not follow their rules. It is of kind
// ErrInvalid.
type Invalid []FieldError

// Error joins the messages.
func (e Invalid) Error() string {
	var b strings.Builder
	b.WriteString("invalid form")
	for i, f := range e {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + f.Field + ": " + f.Message)
	}
	return b.String()
}

// Unwrap makes errors.Is(err, ErrInvalid) true.
func (e Invalid) Unwrap() error { return ErrInvalid }

// Problem lets ProblemOf and other error handlers render the form's faults.
func (e Invalid) Problem() Problem {
	p := problemOfKind(ErrInvalid)
	p.Detail, p.Errors = "The form has faults.", e
	return p
}

// ProblemOf turns any error into what a client may see of it. An error that has
// a method Problem() Problem decides itself; one of this library's kinds gives
// the kind's title and status and, for what the client did wrong, the detail;
// everything else is a 500 that says nothing more.
func ProblemOf(err error) Problem {
	var own interface{ Problem() Problem }
	if errors.As(err, &own) {
		return own.Problem()
	}
	kind := KindOf(err)
	p := problemOfKind(kind)
	var e *Error
	if !errors.As(err, &e) || p.Status >= http.StatusInternalServerError {
		return p
	}
	p.Detail = e.Detail
	if e.Field != "" {
		message := e.Detail
		setDefault(&message, p.Title)
		p.Errors = []FieldError{{Field: e.Field, Code: kind.Code(), Message: message}}
	}
	return p
}

func problemOfKind(k Kind) Problem {
	title := k.Title()
	if k.Status() == http.StatusServiceUnavailable {
		title = ErrUnavailable.Title() // why is for the log
	}
	return Problem{Type: "urn:filefield:problem:" + k.Code(), Title: title, Status: k.Status()}
}
