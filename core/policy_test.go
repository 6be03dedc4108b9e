package core

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// grant returns a statement for a bucket named b.
func grant(effect, principal, action, resource, more string) string {
	return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + action + `,"Resource":` + resource + more + `}`
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const (
	anyoneIs = `{"AWS":["*"]}`
	someone  = `{"AWS":["arn:aws:iam::123456789012:user/x"]}`
	objects  = `["arn:aws:s3:::b/*"]`
	get      = `["s3:GetObject"]`
)

// spellings of public reading: what others write, and what servers give back.
func spellings() map[string]string {
	return map[string]string{
		"as it is written here":              grant("Allow", anyoneIs, get, objects, ""),
		"single values":                      grant("Allow", `"*"`, `"s3:GetObject"`, `"arn:aws:s3:::b/*"`, ""),
		"a principal of one name":            grant("Allow", `{"AWS":"*"}`, get, objects, ""),
		"another Sid":                        grant("Allow", anyoneIs, get, objects, `,"Sid":"PublicRead"`),
		"another case of the action":         grant("Allow", anyoneIs, `["S3:getobject"]`, objects, ""),
		"an empty condition":                 grant("Allow", anyoneIs, get, objects, `,"Condition":{}`),
		"an action twice":                    grant("Allow", anyoneIs, `["s3:GetObject","s3:GetObject"]`, objects, ""),
		"an unknown element":                 grant("Allow", anyoneIs, get, objects, `,"Added":"by the server"`),
		"a null where nothing is":            grant("Allow", anyoneIs, get, objects, `,"NotAction":null`),
		"a principal of every kind, starred": grant("Allow", `{"*":"*"}`, get, objects, ""),
	}
}

func TestPublicReadingIsKnownInEverySpelling(t *testing.T) {
	t.Parallel()
	for name, s := range spellings() {
		if c := mustReconcile(t, document(s), true, KeepForeign); c.changed {
			t.Errorf("%s: a public bucket's policy would be changed to %s", name, c.document)
		}
		if c := mustReconcile(t, `{"Statement":`+s+`}`, true, RefuseForeign); c.changed || len(c.refused) > 0 {
			t.Errorf("%s, alone and not in a list: %+v", name, c)
		}
		if c := mustReconcile(t, document(s), false, KeepForeign); len(c.closed) != 1 || c.document != "" {
			t.Errorf("%s: in a private bucket %d statements are closed and %q is left, want 1 and none", name, len(c.closed), c.document)
		}
	}
}

func mustReconcile(t testing.TB, document string, public bool, foreign ForeignStatements, hooks ...string) policyChange {
	t.Helper()
	var raw []json.RawMessage
	for _, h := range hooks {
		some, err := parseHook(h)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, some...)
	}
	c, err := reconcilePolicy(document, policyWant{"arn:aws:s3:::b", public, raw, foreign})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatLetsAnyoneInIsClosed(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, statement string
		private, public bool // whether it is closed there
	}{
		{"reading of some objects", grant("Allow", anyoneIs, get, `["arn:aws:s3:::b/img/*"]`, ""), true, false},
		{"reading under a condition", grant("Allow", anyoneIs, get, objects, `,"Condition":{"StringLike":{"aws:Referer":"https://x/*"}}`), true, false},
		{"listing", grant("Allow", anyoneIs, `"s3:ListBucket"`, `"arn:aws:s3:::b"`, ""), true, true},
		{"reading and listing", grant("Allow", anyoneIs, `["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::b","arn:aws:s3:::b/*"]`, ""), true, true},
		{"everything", grant("Allow", `"*"`, `"s3:*"`, objects, ""), true, true},
		{"every way of reading", grant("Allow", `"*"`, `"s3:Get*"`, objects, ""), true, true},
		{"everything but one thing", `{"Effect":"Allow","Principal":"*","NotAction":"s3:PutObject","Resource":` + objects + `}`, true, true},
		{"everyone but one", `{"Effect":"Allow","NotPrincipal":` + someone + `,"Action":"s3:PutObject","Resource":` + objects + `}`, true, true},
		{"any account", grant("Allow", `{"AWS":"arn:aws:iam::*:root"}`, `"s3:PutObject"`, objects, ""), true, true},
		{"anyone among others", grant("Allow", `{"AWS":["arn:aws:iam::123456789012:root","*"]}`, `"s3:PutObject"`, objects, ""), true, true},
		{"stars alone", grant("Allow", `{"AWS":"**"}`, `"s3:PutObject"`, objects, ""), true, true},
		{"a principal nobody can read", grant("Allow", `[{"AWS":1}]`, `"s3:PutObject"`, objects, ""), true, true},
		{"no principal", `{"Effect":"Allow","Action":"s3:PutObject","Resource":` + objects + `}`, true, true},
		{"an effect nobody knows", grant("allow", `"*"`, `"s3:PutObject"`, objects, ""), true, true},
		{"one account", grant("Allow", someone, `"s3:*"`, objects, ""), false, false},
		{"a denial to anyone", grant("Deny", `"*"`, `"s3:*"`, objects, ""), false, false},
		{"a denial nobody can read", `{"Effect":"Deny","Action":5}`, false, false},
	}
	for _, c := range cases {
		for _, foreign := range []ForeignStatements{KeepForeign, RefuseForeign} {
			for public, want := range map[bool]bool{false: c.private, true: c.public} {
				got := mustReconcile(t, document(c.statement), public, foreign)
				if closed := len(got.closed) == 1; closed != want {
					t.Errorf("%s, public %t: closed is %t, want %t", c.name, public, closed, want)
				}
				if kept := strings.Contains(got.document, compact(json.RawMessage(c.statement))); kept == want {
					t.Errorf("%s, public %t: kept is %t, want %t: %s", c.name, public, kept, !want, got.document)
				}
			}
		}
		if got := mustReconcile(t, document(c.statement), false, KeepForeign, hookable(c.statement)...); hookable(c.statement) != nil && got.changed {
			t.Errorf("%s: it is declared by a hook, and closed all the same", c.name)
		}
	}
}

// hookable returns a statement as a hook, if it may be one.
func hookable(statement string) []string {
	if _, err := parseHook(statement); err != nil {
		return nil
	}
	return []string{statement}
}

func TestForeignStatementsAreTreatedAsDeclared(t *testing.T) {
	t.Parallel()
	foreign := grant("Allow", someone, `"s3:PutObject"`, objects, `,"Sid":"Backup"`)
	for _, c := range []struct {
		name                      string
		foreign                   ForeignStatements
		changed                   bool
		refused, removed, remains int
	}{
		{"kept", KeepForeign, false, 0, 0, 1},
		{"removed", RemoveForeign, true, 0, 1, 0},
		{"refused", RefuseForeign, false, 1, 0, 1},
	} {
		got := mustReconcile(t, document(foreign), false, c.foreign)
		if got.changed != c.changed || len(got.refused) != c.refused || len(got.removed) != c.removed || strings.Count(got.document, "Backup") != c.remains {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestAHookThatChangesReplacesWhatItSaidBefore(t *testing.T) {
	t.Parallel()
	before := grant("Allow", someone, `"s3:PutObject"`, objects, `,"Sid":"mine"`)
	after := grant("Allow", someone, `["s3:DeleteObject"]`, objects, `,"Sid":"mine"`)
	first := mustReconcile(t, "", false, KeepForeign, before)
	if again := mustReconcile(t, first.document, false, KeepForeign, before); again.changed {
		t.Fatalf("what was just written would be written again: %s", again.document)
	}
	second := mustReconcile(t, first.document, false, KeepForeign, after)
	if !second.changed || strings.Count(second.document, "Effect") != 1 || !strings.Contains(second.document, "s3:DeleteObject") {
		t.Errorf("after the change the policy is %s, want the new statement alone", second.document)
	}
	if none := mustReconcile(t, second.document, false, KeepForeign); none.document != "" || !none.changed {
		t.Errorf("without the hook the policy is %s, want none", none.document)
	}
}

func TestStatementsAreComparedByWhatTheySay(t *testing.T) {
	t.Parallel()
	list := grant("Allow", someone, `["s3:GetObject","s3:PutObject"]`, `["arn:aws:s3:::b/x/*","arn:aws:s3:::b/y/*"]`, `,"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]},"Bool":{"aws:SecureTransport":true}}`)
	same := map[string]string{
		"another order": document(grant("Allow", someone, `["s3:PutObject","s3:GetObject"]`, `["arn:aws:s3:::b/y/*","arn:aws:s3:::b/x/*"]`, `,"Condition":{"Bool":{"aws:securetransport":"true"},"ipaddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}}`)),
		"split into two": document(
			grant("Allow", someone, `"s3:GetObject"`, `["arn:aws:s3:::b/x/*","arn:aws:s3:::b/y/*"]`, `,"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]},"Bool":{"aws:SecureTransport":["true"]}}`),
			grant("Allow", someone, `"s3:PutObject"`, `["arn:aws:s3:::b/x/*","arn:aws:s3:::b/y/*"]`, `,"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]},"Bool":{"aws:SecureTransport":["true"]}}`)),
	}
	for name, document := range same {
		if c := mustReconcile(t, document, false, RefuseForeign, list); c.changed || len(c.refused) > 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for name, statement := range map[string]string{
		"another effect":      strings.Replace(list, "Allow", "Deny", 1),
		"another principal":   strings.Replace(list, "user/x", "user/y", 1),
		"one action fewer":    strings.Replace(list, `,"s3:PutObject"`, "", 1),
		"another resource":    strings.Replace(list, "b/y/*", "b/z/*", 1),
		"no condition":        list[:strings.Index(list, `,"Condition"`)] + "}",
		"another condition":   strings.Replace(list, "10.0.0.0/8", "10.0.0.0/9", 1),
		"another operator":    strings.Replace(list, "IpAddress", "NotIpAddress", 1),
		"the actions negated": strings.Replace(list, `"Action"`, `"NotAction"`, 1),
		"a resource's case":   strings.Replace(list, "b/y/*", "b/Y/*", 1),
	} {
		if c := mustReconcile(t, document(statement), false, KeepForeign, list); len(c.missing) != 1 {
			t.Errorf("%s passes for what is declared", name)
		}
	}
	number, arn := grant("Allow", `{"AWS":"123456789012"}`, get, objects, ""), grant("Allow", `{"AWS":"arn:aws:iam::123456789012:root"}`, get, objects, "")
	if c := mustReconcile(t, document(arn), false, RefuseForeign, number); c.changed || len(c.refused) > 0 {
		t.Errorf("an account's number and its name differ: %+v", c)
	}
}

func TestAStatementThatMultipliesBeyondMeasureIsStillCompared(t *testing.T) {
	t.Parallel()
	var actions, resources []string
	for i := range 200 {
		actions = append(actions, `"s3:Action`+strings.Repeat("x", i)+`"`)
		resources = append(resources, `"arn:aws:s3:::b/`+strings.Repeat("y", i)+`"`)
	}
	statement := grant("Allow", someone, "["+strings.Join(actions, ",")+"]", "["+strings.Join(resources, ",")+"]", "")
	slices.Reverse(actions)
	other := grant("Allow", someone, "["+strings.Join(actions, ",")+"]", "["+strings.Join(resources, ",")+"]", "")
	if c := mustReconcile(t, document(other), false, RefuseForeign, statement); c.changed || len(c.refused) > 0 {
		t.Error("the same in another order is taken for something else")
	}
}

func TestAPolicyThatCannotBeReadIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"not a policy", "[]", `{"Statement":5}`, `{"Statement":"x"}`} {
		if c, err := reconcilePolicy(document, policyWant{arn: "arn:aws:s3:::b", public: true}); err == nil {
			t.Errorf("%s: it becomes %s, want an error", document, c.document)
		}
	}
}

func TestHooksMayBePoliciesListsOrStatements(t *testing.T) {
	t.Parallel()
	s := grant("Allow", someone, get, objects, "")
	for name, c := range map[string]struct {
		document string
		want     int // statements; -1: refused
	}{
		"a policy":                  {document(s, s), 2},
		"a policy of one statement": {`{"Statement":` + s + `}`, 1},
		"a list":                    {"[" + s + "]", 1},
		"a statement":               {"  " + s + "\n", 1},
		"nothing":                   {"", -1},
		"no JSON":                   {"Allow everything", -1},
		"no effect":                 {`{"Principal":"*","Action":"x","Resource":"y"}`, -1},
		"no principal":              {`{"Effect":"Allow","Action":"x","Resource":"y"}`, -1},
		"no action":                 {`{"Effect":"Allow","Principal":"*","Resource":"y"}`, -1},
		"no resource":               {`{"Effect":"Allow","Principal":"*","Action":"x"}`, -1},
		"a list of text":            {`["Allow"]`, -1},
	} {
		got, err := parseHook(c.document)
		if (err != nil) != (c.want < 0) || (err == nil && len(got) != c.want) {
			t.Errorf("%s: %d statements and %v, want %d", name, len(got), err, c.want)
		}
	}
}

func FuzzReconcilePolicy(f *testing.F) {
	for _, s := range spellings() {
		f.Add(document(s), document(s), true, uint8(0))
	}
	f.Add(document(grant("Deny", `"*"`, `"s3:*"`, objects, "")), grant("Allow", someone, get, objects, ""), false, uint8(2))
	f.Add(`{"Statement":[]}`, `[]`, false, uint8(1))
	f.Fuzz(func(t *testing.T, current, hook string, public bool, foreign uint8) {
		hooks, err := parseHook(hook)
		if err != nil {
			hooks = nil
		}
		choice := ForeignStatements(foreign % 3)
		first, err := reconcilePolicy(current, policyWant{"arn:aws:s3:::b", public, hooks, choice})
		if err != nil {
			return
		}
		if document, needed, err := first.on(current); err != nil || needed != first.changed || document != first.document {
			t.Fatalf("on the policy it was made for, the change is\n%s %t %v, want\n%s %t", document, needed, err, first.document, first.changed)
		}
		// The same policy written otherwise: what is right stays right.
		if document, needed, err := first.on(first.document); err != nil || needed {
			t.Fatalf("made once, the change is made again: %v\n%s\n%s", err, first.document, document)
		}
		second, err := reconcilePolicy(first.document, policyWant{"arn:aws:s3:::b", public, hooks, choice})
		if err != nil {
			t.Fatalf("what it wrote it cannot read: %v\n%s", err, first.document)
		}
		if second.changed {
			t.Fatalf("it is not content with what it wrote:\n%s\n%s", first.document, second.document)
		}
		if first.document == "" {
			return
		}
		var p policy
		if err := json.Unmarshal([]byte(first.document), &p); err != nil {
			t.Fatal(err)
		}
		declared := map[string]bool{}
		for _, h := range hooks {
			for _, g := range parseClause(h).grants {
				declared[g] = true
			}
		}
		for _, raw := range p.Statement {
			c := parseClause(raw)
			undeclared := slices.ContainsFunc(c.grants, func(g string) bool { return !declared[g] })
			if c.anyone && undeclared && !(public && c.reading) {
				t.Fatalf("anyone is let in by %s", raw)
			}
		}
	})
}

// The same statement in another spelling says the same, and one that lets anyone
// in says so in each.
func FuzzStatementSpellings(f *testing.F) {
	for _, s := range spellings() {
		f.Add(s)
	}
	f.Add(grant("Deny", `"*"`, `["s3:PutObject","s3:GetObject"]`, objects, `,"Condition":{"Bool":{"aws:SecureTransport":["false"]}}`))
	f.Add(`{"Effect":"Allow","NotPrincipal":{"AWS":["a","b"]},"NotAction":["s3:X"],"NotResource":"*"}`)
	f.Fuzz(func(t *testing.T, text string) {
		c := parseClause(json.RawMessage(text))
		var fields map[string]any
		if json.Unmarshal([]byte(text), &fields) != nil || fields == nil {
			return
		}
		for name, value := range fields {
			switch name {
			case "Sid", "sid":
				return // JSON's names are compared in any case, and the last counts
			case "Action", "Resource", "NotAction", "NotResource":
				if one, ok := value.(string); ok {
					fields[name] = []any{one}
				} else if list, ok := value.([]any); ok {
					slices.Reverse(list)
				}
			}
		}
		fields["Sid"] = "another"
		again, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		other := parseClause(again)
		if strings.Contains(c.saying(), "unreadable") || hasTwice(text) {
			return
		}
		if c.saying() != other.saying() || c.anyone != other.anyone || c.reading != other.reading {
			t.Fatalf("%s\nsays %q, %t, %t\n%s\nsays %q, %t, %t", text, c.saying(), c.anyone, c.reading, again, other.saying(), other.anyone, other.reading)
		}
	})
}

// hasTwice says whether an object in JSON has a name twice, in any case.
func hasTwice(text string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return true
	}
	seen := map[string]bool{}
	for name := range fields {
		lower := strings.ToLower(name)
		if seen[lower] {
			return true
		}
		seen[lower] = true
	}
	return false
}
