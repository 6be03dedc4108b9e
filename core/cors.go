package core

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/cors"
)

// CORSRule lets pages of other origins talk to a bucket: those that upload
// straight to it, or read its objects by script.
type CORSRule struct {
	// Origins are those of the pages, as "https://app.example.org", with at most
	// one "*" each. Required.
	Origins []string `json:"origins"`
	// Methods are what they may do: GET, HEAD, PUT, POST, DELETE. Required.
	Methods []string `json:"methods"`
	// Headers are the request headers they may send, with at most one "*" each.
	Headers []string `json:"headers,omitempty"`
	// Expose are the answer's headers that scripts may read.
	Expose []string `json:"expose,omitempty"`
	// MaxAge is how long browsers may remember the answer, in whole seconds.
	MaxAge time.Duration `json:"max_age,omitempty"`
}

// DirectCORS is the rule that lets pages of these origins upload straight to a
// bucket and read what its answer says: GET, HEAD, PUT and POST with the headers
// that are signed, and the ETag. A field's Direct.Origins bring it by themselves.
func DirectCORS(origins ...string) CORSRule {
	return CORSRule{
		Origins: origins, Methods: []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost},
		Headers: []string{"*"}, Expose: []string{"ETag", "Location"}, MaxAge: time.Hour,
	}
}

// corsRules are the declared rules, and those of the fields whose pages upload.
func (b *Bucket) corsRules() []CORSRule {
	if len(b.uploaders) == 0 {
		return b.declared.CORS
	}
	return append(slices.Clone(b.declared.CORS), DirectCORS(b.uploaders...))
}

func (r CORSRule) faults(fault func(wrong bool, text string)) {
	fault(len(r.Origins) == 0, "it has no Origins")
	fault(len(r.Methods) == 0, "it has no Methods")
	for _, m := range r.Methods {
		fault(!slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}, m), "method "+m+" is none of GET, HEAD, PUT, POST, DELETE")
	}
	for _, name := range slices.Concat(r.Origins, r.Headers) {
		fault(strings.Count(name, "*") > 1, name+" has more than one *")
	}
	fault(r.MaxAge < 0, "MaxAge is negative")
}

// cors compares the rules, in their order, since the first that fits decides.
// Within one, order does not matter, nor its name.
func (in *inspection) cors(ctx context.Context) ([]step, error) {
	body, err := in.read(ctx, "cors", "NoSuchCORSConfiguration")
	if err != nil {
		return nil, err
	}
	have := []CORSRule{}
	if len(body) > 0 {
		config, err := cors.ParseBucketCorsConfig(bytes.NewReader(body))
		if err != nil {
			return nil, &Error{Kind: ErrUnavailable, Op: "read cors", Bucket: in.bucket.name, Err: err, Detail: "the server's answer is not XML as S3 has it"}
		}
		for _, r := range config.CORSRules {
			have = append(have, CORSRule{r.AllowedOrigin, r.AllowedMethod, r.AllowedHeader, r.ExposeHeader, time.Duration(r.MaxAgeSeconds) * time.Second})
		}
	}
	want := in.bucket.corsRules()
	if len(have) == 0 && len(want) > 0 && lacksCORS(in.server) && !in.bucket.declared.requires(AspectCORS) {
		return nil, errNotImplemented // what is required is tried all the same
	}
	if slices.EqualFunc(have, want, CORSRule.equal) {
		return nil, nil
	}
	if body, err = corsXML(want); err != nil {
		return nil, err
	}
	return []step{{
		differences: []Difference{in.difference(AspectCORS, have, want, "%d CORS rules, to be the %d declared", len(have), len(want))},
		do:          in.write("cors", body),
	}}, nil
}

func corsXML(rules []CORSRule) ([]byte, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	out := make([]cors.Rule, len(rules))
	for i, r := range rules {
		out[i] = cors.Rule{
			AllowedOrigin: r.Origins, AllowedMethod: r.Methods, AllowedHeader: r.Headers, ExposeHeader: r.Expose,
			MaxAgeSeconds: int(r.MaxAge / time.Second),
		}
	}
	return cors.NewConfig(out).ToXML()
}

func (r CORSRule) equal(other CORSRule) bool {
	return slices.Equal(sorted(r.Origins), sorted(other.Origins)) &&
		slices.Equal(sorted(r.Methods), sorted(other.Methods)) &&
		slices.Equal(sorted(lower(r.Headers)), sorted(lower(other.Headers))) &&
		slices.Equal(sorted(lower(r.Expose)), sorted(lower(other.Expose))) &&
		r.MaxAge/time.Second == other.MaxAge/time.Second
}
