package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// policyVersion is that of the policy language.
const policyVersion = "2012-10-17"

// policy is a bucket policy. Statements are kept as they stand, since others may
// have written them.
type policy struct {
	Version   string
	ID        string `json:"Id,omitempty"`
	Statement statements
}

// publicRead lets anyone read objects. It does not let anyone list them.
func publicRead(bucketARN string) json.RawMessage {
	return json.RawMessage(`{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["` + bucketARN + `/*"]}`)
}

// policyChange is what has to happen to a bucket's policy, and why.
type policyChange struct {
	current  string            // the policy it was compared with
	document string            // to be written; "" takes the policy away
	changed  bool              // it differs from what is there
	opened   bool              // the grant for public reading is added
	closed   []json.RawMessage // let anyone do more than declared: taken out
	missing  []json.RawMessage // of hooks: added
	removed  []json.RawMessage // no longer declared, or foreign: taken out
	refused  []json.RawMessage // foreign, and declared to be refused
	added    []clause          // what opens, and what is missing, as it is written
}

// policyWant is what a bucket's policy is declared to be.
type policyWant struct {
	arn     string // the bucket's
	public  bool
	hooks   []json.RawMessage
	foreign ForeignStatements
}

// reconcilePolicy compares a policy as it is with what is declared.
//
// A statement is compared by what it says, never by its Sid or its place. One
// that says only what is declared stays as it is, however it is written. Of the
// others, those that allow something to anyone are closed: in a private bucket
// all of them, in a public one those about more than s3:GetObject. Those with a
// Sid of this library were declared once and go. The rest is foreign.
func reconcilePolicy(current string, want policyWant) (policyChange, error) {
	have := policy{Version: policyVersion}
	if current != "" {
		if err := json.Unmarshal([]byte(current), &have); err != nil {
			return policyChange{}, errors.Join(errors.New("the bucket's policy is not JSON as policies are"), err)
		}
		setDefault(&have.Version, policyVersion)
	}
	clauses, declared := want.clauses(), map[string]bool{}
	for _, c := range clauses {
		for _, g := range c.grants {
			declared[g] = true
		}
	}

	change := policyChange{current: current}
	kept, granted := statements{}, map[string]bool{}
	for _, raw := range have.Statement {
		c := parseClause(raw)
		ours := !slices.ContainsFunc(c.grants, func(g string) bool { return !declared[g] })
		switch {
		case ours && len(c.grants) > 0:
		case c.anyone && !(want.public && c.reading):
			change.closed = append(change.closed, raw)
			continue
		case c.own() || want.foreign == RemoveForeign:
			change.removed = append(change.removed, raw)
			continue
		case want.foreign == RefuseForeign:
			change.refused = append(change.refused, raw)
		}
		kept = append(kept, raw)
		for _, g := range c.grants {
			granted[g] = true
		}
	}
	for i, c := range clauses {
		if !slices.ContainsFunc(c.grants, func(g string) bool { return !granted[g] }) {
			continue
		}
		c, err := c.signed()
		if err != nil {
			return policyChange{}, fmt.Errorf("a declared statement is not JSON: %w", err)
		}
		kept, change.added = append(kept, c.raw), append(change.added, c)
		if want.public && i == 0 {
			change.opened = true
		} else {
			change.missing = append(change.missing, c.raw)
		}
	}
	change.changed = change.opened || len(change.closed)+len(change.missing)+len(change.removed) > 0
	have.Statement = kept
	var err error
	change.document, err = have.text()
	return change, err
}

// text writes the policy; nothing where it has no statement.
func (p policy) text() (string, error) {
	if len(p.Statement) == 0 {
		return "", nil
	}
	b, err := json.Marshal(p)
	return string(b), err
}

// on makes the same change to the policy as it is now: others may have written
// it since it was compared. What they have added stays, even where it is drift:
// that is for the next Plan to list. needed is false where nothing is left to do.
func (c policyChange) on(current string) (document string, needed bool, err error) {
	if current == c.current {
		return c.document, c.changed, nil
	}
	now := policy{Version: policyVersion}
	if current != "" {
		if err := json.Unmarshal([]byte(current), &now); err != nil {
			return "", false, errors.Join(errors.New("the bucket's policy is not JSON as policies are"), err)
		}
		setDefault(&now.Version, policyVersion)
	}
	out := map[string]bool{}
	for _, raw := range slices.Concat(c.closed, c.removed) {
		out[parseClause(raw).saying()] = true
	}
	kept, granted := statements{}, map[string]bool{}
	for _, raw := range now.Statement {
		said := parseClause(raw)
		if out[said.saying()] {
			needed = true
			continue
		}
		kept = append(kept, raw)
		for _, g := range said.grants {
			granted[g] = true
		}
	}
	for _, add := range c.added {
		if slices.ContainsFunc(add.grants, func(g string) bool { return !granted[g] }) {
			kept, needed = append(kept, add.raw), true
		}
	}
	now.Statement = kept
	document, err = now.text()
	return document, needed, err
}

// clauses are the statements that are declared, that for public reading first,
// each once.
func (w policyWant) clauses() []clause {
	hooks := w.hooks
	if w.public {
		hooks = slices.Concat([]json.RawMessage{publicRead(w.arn)}, hooks)
	}
	var out []clause
	for _, raw := range hooks {
		c := parseClause(raw)
		if !slices.ContainsFunc(out, func(other clause) bool { return slices.Equal(other.grants, c.grants) }) {
			out = append(out, c)
		}
	}
	return out
}
