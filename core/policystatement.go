package core

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// statements is a list that policies may write as a single value.
type statements []json.RawMessage

// UnmarshalJSON reads a list of statements, or one.
func (s *statements) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		*s = statements{slices.Clone(b)}
		return nil
	}
	return json.Unmarshal(b, (*[]json.RawMessage)(s))
}

// words is a list of strings that policies may write as a single one.
type words []string

// UnmarshalJSON reads a list of strings, or one.
func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil && !bytes.Equal(bytes.TrimSpace(b), []byte("null")) {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// statement is one statement of a policy, as it stands in JSON.
type statement struct {
	Sid          string          `json:"Sid,omitempty"`
	Effect       string          `json:"Effect"`
	Principal    json.RawMessage `json:"Principal,omitempty"`
	NotPrincipal json.RawMessage `json:"NotPrincipal,omitempty"`
	Action       words           `json:"Action,omitempty"`
	NotAction    words           `json:"NotAction,omitempty"`
	Resource     words           `json:"Resource,omitempty"`
	NotResource  words           `json:"NotResource,omitempty"`
	Condition    json.RawMessage `json:"Condition,omitempty"`
}

// clause is a statement as it is compared: by what it grants or denies, not by
// how it is written. A statement applies where one of its principals, one of its
// actions and one of its resources match, so it says the same as all their
// combinations do, each on its own: its grants.
type clause struct {
	raw    json.RawMessage
	sid    string
	grants []string // sorted, each once
	// anyone: it allows something to people without credentials. A condition does
	// not change that: a header can be forged, and an address be anyone's.
	anyone bool
	// reading: s3:GetObject is all it is about.
	reading bool
}

// mostCombinations bounds what a statement is multiplied out to. A longer one is
// compared as a whole, which at worst finds a difference where there is none.
const mostCombinations = 4096

// parseClause reads a statement. One that cannot be read is a clause that equals
// itself alone and is taken to allow anyone everything.
func parseClause(raw json.RawMessage) clause {
	c := clause{raw: raw}
	var s statement
	if err := json.Unmarshal(raw, &s); err != nil {
		var denial struct{ Effect string }
		_ = json.Unmarshal(raw, &denial)
		c.grants, c.anyone = []string{"unreadable\x00" + compact(raw)}, denial.Effect != "Deny"
		return c
	}
	c.sid = s.Sid
	principals, anyone := principalsOf(s)
	c.anyone = anyone && s.Effect != "Deny"
	actions := slices.Clone(s.Action)
	for i, a := range actions {
		actions[i] = strings.ToLower(a)
	}
	c.reading = len(s.NotAction) == 0 && len(actions) > 0 && !slices.ContainsFunc(actions, func(a string) bool { return a != "s3:getobject" })
	c.grants = combine(s.Effect, principals, either(actions, lower(s.NotAction)), either(s.Resource, s.NotResource), conditionOf(s.Condition))
	return c
}

// either returns a list, or what its negation excludes as one entry.
func either(list, not words) words {
	if len(not) == 0 {
		return list
	}
	return words{"not\x01" + strings.Join(sorted(not), "\x01")}
}

func lower(list words) words {
	out := make(words, len(list))
	for i, w := range list {
		out[i] = strings.ToLower(w)
	}
	return out
}

func sorted(list words) words { return slices.Compact(slices.Sorted(slices.Values(list))) }

// combine multiplies a statement out.
func combine(effect string, principals, actions, resources words, condition string) []string {
	principals, actions, resources = sorted(principals), sorted(actions), sorted(resources)
	if len(principals)*len(actions) > mostCombinations || len(principals)*len(actions)*len(resources) > mostCombinations {
		all := []string{strings.Join(principals, "\x01"), strings.Join(actions, "\x01"), strings.Join(resources, "\x01")}
		return []string{effect + "\x00" + strings.Join(all, "\x00") + "\x00" + condition}
	}
	var out []string
	for _, p := range principals {
		for _, a := range actions {
			for _, r := range resources {
				out = append(out, strings.Join([]string{effect, p, a, r, condition}, "\x00"))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// principalsOf returns whom a statement is about, as "kind:name", and whether
// anyone at all is among them. NotPrincipal is everyone but some, so anyone is,
// and so is whatever cannot be read.
func principalsOf(s statement) (list words, anyone bool) {
	if len(s.NotPrincipal) > 0 {
		return words{"not\x01" + canonical(s.NotPrincipal)}, true
	}
	var one string
	byKind := map[string]words{}
	if json.Unmarshal(s.Principal, &one) == nil {
		byKind["AWS"] = words{one}
	} else if json.Unmarshal(s.Principal, &byKind) != nil || len(byKind) == 0 {
		return words{"unreadable\x01" + compact(s.Principal)}, true
	}
	for kind, names := range byKind {
		if kind == "*" {
			kind = "AWS"
		}
		for _, name := range names {
			if isAnyone(name) {
				anyone = true
			}
			list = append(list, kind+":"+principalName(name))
		}
	}
	return list, anyone
}

// isAnyone says whether a principal's name matches people without credentials,
// or any account's.
func isAnyone(name string) bool {
	return strings.Trim(name, "*") == "" || strings.HasPrefix(name, "arn:aws:iam::*")
}

// principalName writes an account's number as AWS writes it back.
func principalName(name string) string {
	if len(name) == 12 && strings.Trim(name, "0123456789") == "" {
		return "arn:aws:iam::" + name + ":root"
	}
	if strings.Trim(name, "*") == "" {
		return "*"
	}
	return name
}

// conditionOf writes a condition in one way: operators and keys in lower case,
// values as sorted lists of strings. None and an empty one are the same.
func conditionOf(raw json.RawMessage) string {
	var condition map[string]map[string]any
	if len(raw) == 0 || (json.Unmarshal(raw, &condition) == nil && len(condition) == 0) {
		return ""
	}
	if condition == nil {
		return "unreadable\x01" + compact(raw)
	}
	out := map[string]map[string]words{}
	for operator, keys := range condition {
		operator = strings.ToLower(operator)
		if out[operator] == nil {
			out[operator] = map[string]words{}
		}
		for key, value := range keys {
			key = strings.ToLower(key)
			out[operator][key] = sorted(append(out[operator][key], texts(value)...))
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return "unreadable\x01" + compact(raw)
	}
	return string(b)
}

// texts writes a condition's values as strings: true is "true", 5 is "5".
func texts(value any) words {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var out words
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// compact returns JSON without spaces, and what is no JSON as it is.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// canonical returns JSON with sorted names and lists.
func canonical(raw json.RawMessage) string {
	var one words
	if json.Unmarshal(raw, &one) == nil {
		return "AWS:" + strings.Join(sorted(one), "\x01")
	}
	var byKind map[string]words
	if json.Unmarshal(raw, &byKind) != nil {
		return compact(raw)
	}
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		out = append(out, kind+":"+strings.Join(sorted(byKind[kind]), "\x01"))
	}
	return strings.Join(out, "\x02")
}

// ownSid begins the Sid of every statement this library writes, so that it
// knows its own when they are no longer declared.
const ownSid = "filefield"

func (c clause) own() bool { return strings.HasPrefix(c.sid, ownSid) }

// saying is all that the statement says, whoever wrote it how.
func (c clause) saying() string { return strings.Join(c.grants, "\x02") }

// signed returns the statement with a Sid by which it is known again.
func (c clause) signed() (clause, error) {
	sum := sha256.Sum256([]byte(strings.Join(c.grants, "\n")))
	c.sid = ownSid + hex.EncodeToString(sum[:8])
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(c.raw, &fields); err != nil {
		return c, err
	}
	fields["Sid"] = json.RawMessage(`"` + c.sid + `"`)
	raw, err := json.Marshal(fields)
	c.raw = raw
	return c, err
}
