package core_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// iamDocument is an IAM policy as a test reads it.
type iamDocument struct {
	Version   string
	Statement []struct {
		Effect           string
		Action, Resource []string `json:",omitempty"`
	}
}

func mustPolicy(t testing.TB, store *core.Store, scope core.IAMScope) iamDocument {
	t.Helper()
	text, err := store.IAMPolicy(core.IAMPolicyOptions{Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	var d iamDocument
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d iamDocument) text(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// actions are all actions of the policy, each once.
func (d iamDocument) actions() []string {
	var all []string
	seen := map[string]bool{}
	for _, s := range d.Statement {
		for _, a := range s.Action {
			if !seen[a] {
				seen[a] = true
				all = append(all, a)
			}
		}
	}
	return all
}

// without returns the policy with one action fewer.
func (d iamDocument) without(action string) iamDocument {
	out := iamDocument{Version: d.Version}
	for _, s := range d.Statement {
		rest := s
		rest.Action = nil
		for _, a := range s.Action {
			if a != action {
				rest.Action = append(rest.Action, a)
			}
		}
		if len(rest.Action) > 0 {
			out.Statement = append(out.Statement, rest)
		}
	}
	return out
}

func (d iamDocument) allows(action, resource string) bool {
	for _, s := range d.Statement {
		for _, a := range s.Action {
			if a != action {
				continue
			}
			if len(s.Resource) == 0 {
				return true
			}
			for _, pattern := range s.Resource {
				begin, open := strings.CutSuffix(pattern, "*")
				if pattern == resource || open && strings.HasPrefix(resource, begin) {
					return true
				}
			}
		}
	}
	return false
}

// need is one permission a request asks for.
type need struct{ action, resource string }

// needsOf says what a request needs, by S3's documentation of each operation.
func needsOf(r *http.Request) []need {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	on := "arn:aws:s3:::" + bucket
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case bucket == "":
		return nil // the list of buckets: refused or not, nobody needs it
	case bucket == "minio":
		return []need{{map[bool]string{true: "admin:GetBucketQuota", false: "admin:SetBucketQuota"}[reads], ""}}
	case key == "":
		return []need{{bucketAction(r.Method, q, reads), on}}
	}
	on += "/" + key
	if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
		from, _ := url.PathUnescape(source)
		from = "arn:aws:s3:::" + strings.TrimPrefix(from, "/")
		return []need{{"s3:GetObject", from}, {"s3:GetObjectTagging", from}, {"s3:PutObject", on}}
	}
	versioned := map[bool]string{true: "Version"}[q.Has("versionId")]
	switch {
	case q.Has("retention"):
		return []need{{"s3:PutObjectRetention", on}}
	case q.Has("legal-hold"):
		return []need{{"s3:PutObjectLegalHold", on}}
	case q.Has("tagging"):
		return []need{{map[string]string{"GET": "s3:GetObjectTagging", "PUT": "s3:PutObjectTagging", "DELETE": "s3:DeleteObjectTagging"}[r.Method], on}}
	case reads && q.Has("uploadId"):
		return []need{{"s3:ListMultipartUploadParts", on}}
	case reads:
		return []need{{"s3:GetObject" + versioned, on}}
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return []need{{"s3:AbortMultipartUpload", on}}
	case r.Method == http.MethodDelete:
		return []need{{"s3:DeleteObject" + versioned, on}}
	}
	needs := []need{{"s3:PutObject", on}}
	for header, action := range map[string]string{
		"X-Amz-Tagging": "s3:PutObjectTagging", "X-Amz-Object-Lock-Mode": "s3:PutObjectRetention", "X-Amz-Object-Lock-Legal-Hold": "s3:PutObjectLegalHold",
	} {
		if r.Header.Get(header) != "" {
			needs = append(needs, need{action, on})
		}
	}
	return needs
}

func bucketAction(method string, q url.Values, reads bool) string {
	get := map[bool]string{true: "Get", false: "Put"}[reads]
	for name, noun := range map[string]string{
		"cors": "BucketCors", "lifecycle": "LifecycleConfiguration", "versioning": "BucketVersioning", "tagging": "BucketTagging",
		"object-lock": "BucketObjectLockConfiguration", "encryption": "EncryptionConfiguration",
	} {
		if q.Has(name) {
			return "s3:" + get + noun
		}
	}
	switch {
	case q.Has("policy") && method == http.MethodDelete:
		return "s3:DeleteBucketPolicy"
	case q.Has("policy"):
		return "s3:" + get + "BucketPolicy"
	case q.Has("uploads"):
		return "s3:ListBucketMultipartUploads"
	case reads:
		return "s3:ListBucket"
	case method == http.MethodPut:
		return "s3:CreateBucket"
	}
	return "s3:" + method + path.Base(q.Encode())
}

// guard lets a recorder refuse what a policy does not allow, as an IAM would in
// front of the server, and notes what was refused. It has every action enforced,
// which no server does.
type guard struct {
	mu      sync.Mutex
	refused []need
	used    map[string]bool
}

func enforce(recorder *s3test.Recorder, d iamDocument) *guard {
	g := &guard{used: map[string]bool{}}
	recorder.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "" && !r.URL.Query().Has("X-Amz-Signature") {
			return false // a stranger's
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, n := range needsOf(r) {
			g.used[n.action] = true
			if !d.allows(n.action, n.resource) {
				g.refused = append(g.refused, n)
				w.WriteHeader(http.StatusForbidden)
				return true
			}
		}
		return false
	})
	return g
}

// wantNone checks that nothing was refused.
func (g *guard) wantNone(t testing.TB) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.refused) > 0 {
		t.Errorf("the policy does not allow %v", g.refused)
	}
}
