package core

import (
	"strings"
	"testing"
)

func TestPublicReadingIsAddedToAPolicyAndNothingIsLost(t *testing.T) {
	t.Parallel()
	const public = `{"Sid":"PublicRead","Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::b/*"]}`
	cases := []struct {
		name, document string
		changed        bool
		keeps          string
	}{
		{"a bucket without a policy gets one", "", true, "s3:GetObject"},
		{"ours is left as it is", `{"Version":"2012-10-17","Statement":[` + public + `]}`, false, ""},
		{"another spelling of it is left as it is", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`, false, ""},
		{"an operator's denial stays", `{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/secret/*"}]}`, true, `"Sid":"No"`},
		{"a condition makes it not public", `{"Statement":[` + strings.TrimSuffix(public, "}") + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`, true, "10.0.0.0/8"},
		{"another bucket's grant is not ours", `{"Statement":[` + strings.ReplaceAll(public, ":b/", ":c/") + `]}`, true, ":::c/*"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, changed, err := withPublicRead(c.document, "b")
			if err != nil || changed != c.changed || !strings.Contains(got, c.keeps) {
				t.Fatalf("got %s, changed %t, error %v; want changed %t and %q in it", got, changed, err, c.changed, c.keeps)
			}
			if _, again, err := withPublicRead(got, "b"); again || err != nil {
				t.Errorf("a second time it changes again (%v)", err)
			}
		})
	}
	if _, _, err := withPublicRead("not a policy", "b"); err == nil {
		t.Error("a policy that cannot be read was replaced, want an error")
	}
}
