package sweep_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

func TestTheScopeFollowsFromTheDeclarations(t *testing.T) {
	t.Parallel()
	byUser := func(n core.Naming) (string, error) {
		return core.Prefix("users/"+n.Context.Value("user").(string), nil)(n) // panics without a request
	}
	for _, c := range []struct {
		name     string
		uploadTo core.UploadTo
		prefix   string
		owned    []string
		want     []string
	}{
		{"a random name can be anywhere", nil, "", nil, []string{""}},
		{"a prefix", core.Prefix("avatars", nil), "", nil, []string{"avatars/"}},
		{"a prefix of several segments", core.Prefix("a/b/c/", core.KeepName), "", nil, []string{"a/b/c/"}},
		{"a date below a prefix", core.Strftime("avatars/%Y/%m/", nil), "", nil, []string{"avatars/"}},
		{"a date alone", core.ISODatePrefix, "", nil, []string{""}},
		{"a name with a fixed beginning", func(n core.Naming) (string, error) { return "docs/file-" + n.Random(), nil }, "", nil, []string{"docs/"}},
		{"one by type", func(n core.Naming) (string, error) { return path.Join("x", n.Type, n.Random()), nil }, "", nil, []string{"x/"}},
		{"one that needs a request", byUser, "", nil, []string{""}},
		{"one that fails", func(core.Naming) (string, error) { return "", errors.New("no") }, "", nil, []string{""}},
		{"a shard of it", core.Prefix("avatars", nil), "avatars/a", nil, []string{"avatars/a"}},
		{"a shard above it", core.Prefix("avatars", nil), "ava", nil, []string{"avatars/"}},
		{"with owned prefixes", core.Prefix("m", nil), "", []string{"z/", "a/", "m/sub/", "a/b/"}, []string{"a/", "m/", "z/"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := s3test.Start(t)
			store := openStore(t, s, s.Endpoint)
			field := store.Field(core.FieldConfig{Name: "file", Bucket: s.Bucket(t), UploadTo: c.uploadTo})
			report, _ := mustRun(t, sweep.Config{
				Bucket: field.Bucket(), Prefix: c.prefix, Owned: c.owned, References: []sweep.Source{newTable().source("rows")},
			})
			if !slices.Equal(report.Prefixes, c.want) {
				t.Errorf("listed %q, want %q", report.Prefixes, c.want)
			}
		})
	}
}

func TestADeclaredKeyPrefixIsTheScope(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	asked := func(core.Naming) (string, error) {
		t.Error("its UploadTo was asked, although KeyPrefix says it")
		return "", errors.New("no")
	}
	field := openStore(t, s, s.Endpoint).Field(core.FieldConfig{Name: "file", Bucket: s.Bucket(t), KeyPrefix: "tenants/", UploadTo: asked})
	report, _ := mustRun(t, sweep.Config{Bucket: field.Bucket(), References: []sweep.Source{newTable().source("rows")}})
	if want := []string{"tenants/"}; !slices.Equal(report.Prefixes, want) {
		t.Errorf("listed %q, want %q", report.Prefixes, want)
	}
}

func TestARunThatCouldDoHarmIsRefused(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	store := openStore(t, s, "127.0.0.1:1") // nothing is asked
	avatars := store.Field(core.FieldConfig{Name: "avatar", Bucket: "photos", UploadTo: core.Prefix("avatars", nil)})
	covers := store.Field(core.FieldConfig{Name: "cover", Bucket: "photos", UploadTo: core.Prefix("avatars/covers", nil)})
	other := store.Field(core.FieldConfig{Name: "other", Bucket: "elsewhere"})
	fields := []*core.Field{avatars, covers}
	rows := []sweep.Source{newTable().source("rows")}
	inTxn, txn := core.Begin(t.Context())
	defer func() { _ = txn.Rollback(inTxn) }()
	for _, c := range []struct {
		name   string
		config sweep.Config
		says   string
	}{
		{"no bucket", sweep.Config{References: rows}, "Bucket is missing"},
		{"no references", sweep.Config{Bucket: avatars.Bucket()}, "every object would be without one"},
		{"a source of nothing", sweep.Config{Bucket: avatars.Bucket(), References: []sweep.Source{{Name: "rows"}}}, "neither Keys nor Between"},
		{"a field less than there is", sweep.Config{Bucket: avatars.Bucket(), Fields: fields[:1], References: rows}, "the field cover"},
		{"another's field", sweep.Config{Bucket: avatars.Bucket(), Fields: append(fields, other), References: rows}, "in the bucket elsewhere"},
		{"a bucket without fields", sweep.Config{Bucket: store.Bucket("unknown"), References: rows}, "no field has files"},
		{"a shard without fields", sweep.Config{Bucket: avatars.Bucket(), Prefix: "static/", References: rows}, "no field has files"},
		{"an age that tokens outlive", sweep.Config{Bucket: avatars.Bucket(), References: rows, MinAge: time.Hour}, "a token lives for 24h"},
		{"a share of more than all", sweep.Config{Bucket: avatars.Bucket(), References: rows, MaxShare: 10}, "between 0 and 1"},
		{"a negative count", sweep.Config{Bucket: avatars.Bucket(), References: rows, MaxDeletes: -1}, "MaxDeletes is -1"},
	} {
		report, err := sweep.Run(t.Context(), c.config)
		wantKind(t, c.name, err, core.ErrConfig)
		if err != nil && !strings.Contains(err.Error(), c.says) || report.Stopped == "" {
			t.Errorf("%s: it says %v, want %q", c.name, err, c.says)
		}
	}
	_, err := sweep.Run(inTxn, sweep.Config{Bucket: avatars.Bucket(), References: rows})
	wantKind(t, "a request's transaction", err, core.ErrConfig)
	_, err = sweep.Restore(inTxn, sweep.RestoreConfig{Bucket: avatars.Bucket()})
	wantKind(t, "a request's transaction", err, core.ErrConfig)
	_, err = sweep.Restore(t.Context(), sweep.RestoreConfig{})
	wantKind(t, "no bucket", err, core.ErrConfig)
}

func TestObjectsEncryptedWithAKeyOfTheApps(t *testing.T) {
	t.Parallel()
	s := s3test.StartOwn(t, s3test.Options{TLS: true})
	store := openStore(t, s, s.Endpoint, func(c *core.Config) { c.UseHTTPS, c.CAFile = true, s.CAFile })
	customer, err := encrypt.NewSSEC([]byte("a key of exactly 32 bytes length"))
	if err != nil {
		t.Fatal(err)
	}
	bucket := s.Bucket(t)
	secret := store.Field(core.FieldConfig{Name: "secret", Bucket: bucket, UploadTo: core.Prefix("secret", core.KeepName), Options: core.ObjectOptions{Encryption: customer}})
	plain := store.Field(core.FieldConfig{Name: "plain", Bucket: bucket, UploadTo: core.Prefix("plain", core.KeepName)})
	for _, name := range []string{"live.txt", "orphan.txt"} {
		for _, field := range []*core.Field{secret, plain} {
			if _, err := field.Save(t.Context(), core.Upload{Body: strings.NewReader("content"), Name: name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Written with a key nobody here has.
	other := store.Bucket(bucket)
	foreign, err := encrypt.NewSSEC([]byte("quite another key, 32 bytes long"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Save(t.Context(), "secret/foreign.txt", core.Upload{Body: strings.NewReader("x"), Options: core.ObjectOptions{Encryption: foreign}}); err != nil {
		t.Fatal(err)
	}
	rows := newTable("plain/live.txt", "secret/live.txt", "secret/gone.txt")
	config := sweep.Config{
		Bucket: secret.Bucket(), References: []sweep.Source{rows.source("rows")}, MaxShare: 1, CheckMissing: true, Now: in(48 * time.Hour), Action: sweep.Delete,
	}
	want := map[string]string{
		"plain/orphan.txt": "orphan deleted", "secret/orphan.txt": "orphan deleted",
		"secret/foreign.txt": "foreign reported", "secret/gone.txt": "missing reported",
	}
	left := []string{"plain/live.txt", "secret/live.txt", "secret/foreign.txt"}
	if s.Engine == s3test.Embedded { // it takes no notice of keys
		want["secret/foreign.txt"], left = "orphan deleted", left[:2]
	}
	_, found := mustRun(t, config)
	wantOutcomes(t, found, want)
	f := &fixture{server: s, bucket: other}
	f.wantObjects(t, "afterwards", left...)
}
