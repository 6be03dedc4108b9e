package core

import (
	"encoding/xml"
	"testing"
)

// FuzzLifecycleRules checks that rules of others, which are written back beside
// ours, are read again as they were: one that was changed would delete what it
// should not.
func FuzzLifecycleRules(f *testing.F) {
	for _, rule := range []string{
		"<ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>30</Days></Expiration>",
		"<ID>a&amp;b</ID><Status>Disabled</Status><Filter><And><Prefix>&lt;x&gt;</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>",
		"<Prefix></Prefix><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>", "<!-- x --><ID><![CDATA[<]]></ID>", "", "</Rule><Rule>",
		"<Expiration><Days>-1</Days></Expiration>", "<ID>filefield-pending</ID>",
	} {
		f.Add(rule)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		in := &inspection{bucket: &Bucket{name: "photos"}}
		read := func(body []byte) ([]lifecycleRule, bool) {
			var config lifecycleXML
			if in.parse("lifecycle", body, &config) != nil {
				return nil, false
			}
			for i := range config.Rules {
				r := &config.Rules[i]
				if in.parse("lifecycle", []byte("<Rule>"+r.Text+"</Rule>"), &r.says) != nil {
					return nil, false
				}
			}
			return config.Rules, true
		}
		have, ok := read([]byte(xml.Header + "<LifecycleConfiguration><Rule>" + rule + "</Rule></LifecycleConfiguration>"))
		if !ok || len(have) == 0 {
			return
		}
		body, err := lifecycleBody(have)
		if err != nil {
			t.Fatal(err)
		}
		again, ok := read(body)
		if !ok || len(again) != len(have) {
			t.Fatalf("%q is written as %q, which is %d rules, %t", rule, body, len(again), ok)
		}
		for i := range have {
			if again[i].Text != have[i].Text || !again[i].equal(have[i]) {
				t.Fatalf("rule %d was %+v and is %+v", i, have[i], again[i])
			}
		}
	})
}
