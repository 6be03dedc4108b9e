package core_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

func TestTheIAMPolicyNamesWhatIsDeclaredAndNoMore(t *testing.T) {
	t.Parallel()
	store := offlineStore(t)
	store.Declare(core.BucketConfig{Name: "photos", Public: true, Tags: map[string]string{"a": "b"}})
	store.Declare(core.BucketConfig{Name: "plain"})
	store.Field(core.FieldConfig{Name: "avatar", Bucket: "photos", UploadTo: core.Prefix("avatars", nil), KeyPrefix: "avatars/"})
	store.Field(core.FieldConfig{Name: "small", Bucket: "photos", UploadTo: core.Prefix("avatars/small", nil), KeyPrefix: "avatars/small/"})
	store.Field(core.FieldConfig{Name: "cover", Bucket: "photos", UploadTo: core.Prefix("covers", nil), KeyPrefix: "covers/"})
	for scope, want := range map[core.IAMScope]string{
		core.IAMRun: `{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:DeleteObjectTagging","s3:GetObject","s3:GetObjectTagging","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectTagging"],"Resource":["arn:aws:s3:::photos/avatars/*","arn:aws:s3:::photos/covers/*"]},` +
			`{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:GetObject","s3:GetObjectTagging","s3:PutObject"],"Resource":["arn:aws:s3:::plain/*"]},` +
			`{"Effect":"Allow","Action":["s3:ListBucket","s3:ListBucketMultipartUploads"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::plain"]}]}`,
		core.IAMSetup: `{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:DeleteObjectTagging","s3:GetObject","s3:GetObjectTagging","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectTagging"],"Resource":["arn:aws:s3:::photos/avatars/*","arn:aws:s3:::photos/covers/*"]},` +
			`{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:GetObject","s3:GetObjectTagging","s3:PutObject"],"Resource":["arn:aws:s3:::plain/*"]},` +
			`{"Effect":"Allow","Action":["s3:CreateBucket","s3:DeleteBucketPolicy","s3:GetBucketPolicy","s3:ListBucket","s3:ListBucketMultipartUploads","s3:PutBucketPolicy"],"Resource":["arn:aws:s3:::plain"]},` +
			`{"Effect":"Allow","Action":["s3:CreateBucket","s3:GetBucketPolicy","s3:GetBucketTagging","s3:ListBucket","s3:ListBucketMultipartUploads","s3:PutBucketPolicy","s3:PutBucketTagging"],"Resource":["arn:aws:s3:::photos"]}]}`,
	} {
		if got := mustPolicy(t, store, scope).text(t); got != want {
			t.Errorf("scope %d: the policy is\n%s, want\n%s", scope, got, want)
		}
	}
	first, _ := store.IAMPolicy(core.IAMPolicyOptions{Scope: core.IAMSetup})
	for range 20 {
		if again, _ := store.IAMPolicy(core.IAMPolicyOptions{Scope: core.IAMSetup}); string(again) != string(first) {
			t.Fatalf("the policy is once\n%s and once\n%s", first, again)
		}
	}
	store.Field(core.FieldConfig{Name: ""})
	_, err := store.IAMPolicy(core.IAMPolicyOptions{})
	wantKind(t, "of a faulty declaration", err, core.ErrConfig)
}

// useAll does with a bucket's field whatever an app can do.
func useAll(t *testing.T, store *core.Store, field *core.Field, prefix string) {
	t.Helper()
	b := field.Bucket()
	o, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("small"), Name: "a.txt"})
	must(t, "save", err)
	_, err = field.Save(t.Context(), core.Upload{Body: bytes.NewReader(random(1, 6<<20)), Name: "b.bin"})
	must(t, "save in parts", err)
	_, err = field.Save(t.Context(), core.Upload{Body: io.MultiReader(bytes.NewReader(random(1, 9<<20)), iotest.ErrReader(errors.New("broken off"))), Name: "c.bin"})
	wantKind(t, "a body that breaks off", err, core.ErrMalformed)
	for range 2 { // a name that is taken
		_, err = b.Save(t.Context(), prefix+"same.bin", core.Upload{Body: bytes.NewReader(random(2, 6<<20))})
		must(t, "save in parts under a name", err)
	}
	_, err = b.Stat(t.Context(), o.Key)
	must(t, "stat", err)
	if ok, err := b.Exists(t.Context(), mustKey(t, prefix+"nothing.txt")); ok || err != nil {
		t.Errorf("what is not there exists: %t, %v", ok, err)
	}
	if o.VersionID != "" {
		mustRead(t, b, o.Key, core.OpenOptions{VersionID: o.VersionID})
	}
	_, err = b.Copy(t.Context(), o.Key, b, mustKey(t, prefix+"copy.txt"), core.KeepExisting)
	must(t, "copy", err)
	_, err = b.Move(t.Context(), mustKey(t, prefix+"copy.txt"), b, mustKey(t, prefix+"moved.txt"), core.Replace)
	must(t, "move", err)
	for _, err := range b.Walk(t.Context(), "") {
		must(t, "walk", err)
	}
	ctx, txn := core.Begin(core.WithSubject(t.Context(), "me"))
	kept, err := field.Save(ctx, core.Upload{Body: strings.NewReader("kept"), Name: "k.txt"})
	must(t, "save to keep", err)
	token, err := field.Keep(ctx, kept)
	must(t, "keep", err)
	must(t, "rollback", txn.Rollback(ctx))
	ctx, txn = core.Begin(core.WithSubject(t.Context(), "me"))
	parsed, err := field.Verify(token)
	must(t, "verify", err)
	must(t, "claim", field.Claim(ctx, parsed))
	must(t, "rollback of the claim", txn.Rollback(ctx))
	useDirect(t, field)
	_, err = b.ExpirePending(t.Context(), -time.Hour)
	must(t, "expire", err)
	must(t, "check", store.Check(t.Context()).Err())
	must(t, "delete", field.Delete(t.Context(), o.Key))
}

// useDirect sends files straight to the bucket, and claims or ends them.
func useDirect(t *testing.T, field *core.Field) {
	t.Helper()
	d := &directly{Field: field}
	for _, method := range []core.DirectMethod{core.DirectPut, core.DirectPost, core.DirectMultipart} {
		for _, end := range []string{"a commit", "a rollback", "an abort"} {
			ticket := d.begin(t.Context(), t, core.DirectUpload{Name: "d.bin", Size: 5, Method: method})
			token := d.token(t, ticket.Token)
			switch method {
			case core.DirectPost:
				u, err := url.Parse(ticket.URL)
				must(t, "parse", err)
				u.Host = s3test.Start(t).Endpoint // what browsers may is in the form
				ticket.URL = u.String()
				send(t, ticket, "hello")
			case core.DirectMultipart:
				d.parts(t, token, "hello", 5, 1)
				_, _, err := d.CompleteDirect(t.Context(), token, nil)
				must(t, "complete", err)
			default:
				send(t, ticket, "hello")
			}
			if end == "an abort" {
				must(t, "abort", field.AbortDirect(t.Context(), token))
				continue
			}
			ctx, txn := core.Begin(t.Context())
			o, err := field.ClaimObject(ctx, token)
			must(t, "claim of a "+string(method), err)
			if end == "a rollback" {
				must(t, end, txn.Rollback(ctx))
				continue
			}
			must(t, end, txn.Commit(ctx))
			must(t, "delete", field.Delete(t.Context(), o.Key))
		}
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestTheIAMPolicyIsWhatTheAppUsesAndNoLess(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	names := bucketNames(t, s, 4)
	recorder := s.Recorder(t)
	first := declareKinds(t, s, recorder.Endpoint(), names)
	setup := mustPolicy(t, first, core.IAMSetup)
	guard := enforce(recorder, setup)
	must(t, "start that makes buckets", first.Startup(core.StartupConfig{}).Start(t.Context()))
	guard.wantNone(t)
	must(t, "a bucket opened by hand", s.Client(t).SetBucketPolicy(t.Context(), names[1], allow(names[1], "s3:GetObject", "/*")))
	must(t, "start that closes it", first.Startup(core.StartupConfig{}).Start(t.Context()))
	guard.wantNone(t)
	check := enforce(recorder, mustPolicy(t, first, core.IAMCheck))
	hook := declareKinds(t, s, recorder.Endpoint(), names).Startup(core.StartupConfig{Mode: core.CheckOnly})
	must(t, "start that checks", errors.Join(hook.Start(t.Context()), hook.Err()))
	check.wantNone(t)

	store := openStoreOn(t, s, recorder.Endpoint())
	store.Declare(core.BucketConfig{Name: names[0], Public: true, Versioning: core.VersioningOn})
	store.Declare(core.BucketConfig{Name: names[1]})
	cover := store.Field(core.FieldConfig{Name: "cover", Bucket: names[0], UploadTo: core.Prefix("covers", nil), KeyPrefix: "covers/"})
	file := store.Field(core.FieldConfig{Name: "file", Bucket: names[1]})
	running := mustPolicy(t, store, core.IAMRun)
	run := enforce(recorder, running)
	useAll(t, store, cover, "covers/")
	useAll(t, store, file, "")
	run.wantNone(t)
	for _, action := range running.actions() {
		switch action {
		case "s3:ListBucketMultipartUploads": // after a lost answer: see the multipart tests
		case "s3:DeleteObjectVersion": // Diagnose's own
		default:
			if !run.used[action] {
				t.Errorf("%s is in the policy, and nothing needs it", action)
			}
		}
	}
	for _, action := range setup.actions() {
		if strings.Contains(action, "Bucket") && !strings.Contains(action, "Multipart") && action != "s3:ListBucket" && !guard.used[action] && !check.used[action] && !lackedSettings(s, action) {
			t.Errorf("%s is in the policy for a start, and nothing needs it", action)
		}
	}
}

// lackedSettings says whether a server gives no occasion to write a setting: it
// lacks it, or it comes with the bucket.
func lackedSettings(s *s3test.Server, action string) bool {
	return action == "s3:PutBucketCors" && s.Engine == s3test.MinIO || action == "admin:SetBucketQuota"
}

func TestK3KeysOutsideAFieldsPrefixAreRefused(t *testing.T) {
	t.Parallel()
	recorder, store, bucket := recorded(t)
	field := store.Field(core.FieldConfig{Name: "file", Bucket: bucket, KeyPrefix: "files/"})
	_, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("x"), Name: "a.txt"})
	wantKind(t, "save", err, core.ErrConfig)
	if n := recorder.Count(http.MethodPut); n != 0 {
		t.Errorf("%d objects were written", n)
	}
	for _, prefix := range []string{"files", "/files/", "a//b/", "../", "a*/", "a?/", "${x}/", strings.Repeat("a", 256) + "/"} {
		store := offlineStore(t)
		store.Field(core.FieldConfig{Name: "file", Bucket: "some-bucket", KeyPrefix: prefix})
		wantKind(t, prefix, store.Faults(), core.ErrConfig)
	}
}

func TestTheIAMPolicyKnowsKeysLocksAndPartitions(t *testing.T) {
	t.Parallel()
	const key = "arn:aws-cn:kms:cn-north-1:123456789012:key/0"
	store, err := core.Open(core.Config{Endpoint: "127.0.0.1:1", AccessKey: "access", SecretKey: "secret", Region: "cn-north-1", CheckOnSave: true})
	if err != nil {
		t.Fatal(err)
	}
	store.Declare(core.BucketConfig{Name: "vault", ObjectLock: true, Encryption: core.DefaultEncryption{Algorithm: "aws:kms", KeyID: key}, Quota: core.GiB})
	got := mustPolicy(t, store, core.IAMRun)
	for _, want := range []need{
		{"kms:Decrypt", key},
		{"kms:GenerateDataKey", key},
		{"s3:PutObjectRetention", "arn:aws-cn:s3:::vault/a"},
		{"s3:PutObjectLegalHold", "arn:aws-cn:s3:::vault/a"},
		{"s3:DeleteObjectVersion", "arn:aws-cn:s3:::vault/.filefield-doctor-1"},
		{"admin:SetBucketQuota", ""},
		{"s3:CreateBucket", "arn:aws-cn:s3:::vault"}, // since a save may make it
	} {
		if !got.allows(want.action, want.resource) {
			t.Errorf("%v is not in the policy %s", want, got.text(t))
		}
	}
	if got.allows("s3:DeleteObjectVersion", "arn:aws-cn:s3:::vault/a") {
		t.Error("the app may delete versions of its files")
	}
}
