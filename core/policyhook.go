package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// PolicyHook adds statements to a bucket's policy. It is a function of the
// bucket's name and returns JSON: a whole policy, a list of statements, or one
// statement. It is asked when the bucket is declared and with every Plan, so it
// must be fast, and give the same answer to the same name.
type PolicyHook func(bucket string) (document string, err error)

// PolicyDocument is a PolicyHook that adds the statements of a JSON document.
func PolicyDocument(document string) PolicyHook {
	return func(string) (string, error) { return document, nil }
}

// ForeignStatements says what becomes of statements in a bucket's policy that
// nobody declared here.
type ForeignStatements uint8

const (
	// KeepForeign leaves them in place. The default.
	KeepForeign ForeignStatements = iota
	// RemoveForeign takes them out.
	RemoveForeign
	// RefuseForeign leaves them in place and reports them as an error.
	RefuseForeign
)

// statements returns the statements the bucket's hooks declare.
func (c BucketConfig) statements(bucket string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for i, hook := range c.Policy {
		if hook == nil {
			return nil, fmt.Errorf("hook %d is nil", i)
		}
		document, err := hook(bucket)
		if err != nil {
			return nil, fmt.Errorf("hook %d: %w", i, err)
		}
		some, err := parseHook(document)
		if err != nil {
			return nil, fmt.Errorf("hook %d: %w", i, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// parseHook reads what a hook returned, and refuses what no server would take.
func parseHook(document string) ([]json.RawMessage, error) {
	var list statements
	text := bytes.TrimSpace([]byte(document))
	var whole struct{ Statement *statements }
	switch {
	case bytes.HasPrefix(text, []byte("[")):
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, err
		}
	case json.Unmarshal(text, &whole) == nil && whole.Statement != nil:
		list = *whole.Statement
	default:
		list = statements{json.RawMessage(text)}
	}
	for i, raw := range list {
		var s statement
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("statement %d is not JSON as policies are: %w", i, err)
		}
		if err := s.complete(); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i, err)
		}
	}
	return list, nil
}

func (s statement) complete() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("its Effect is %q: it may be Allow or Deny", s.Effect)
	case len(s.Principal) == 0 && len(s.NotPrincipal) == 0:
		return errors.New("it has no Principal")
	case len(s.Action) == 0 && len(s.NotAction) == 0:
		return errors.New("it has no Action")
	case len(s.Resource) == 0 && len(s.NotResource) == 0:
		return errors.New("it has no Resource")
	}
	return nil
}
