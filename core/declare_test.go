package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/filefield/filefield/core"
)

func TestFaultsOfDeclaredBucketsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	cases := map[string]core.BucketConfig{
		"not a valid bucket name":  {Name: "No_Name"},
		"hook 0 is nil":            {Name: "nil-hook", Policy: []core.PolicyHook{nil}},
		"has no Action":            {Name: "half-a-hook", Policy: []core.PolicyHook{core.PolicyDocument(`{"Effect":"Allow","Principal":"*","Resource":"x"}`)}},
		"hook 0: broken":           {Name: "broken-hook", Policy: []core.PolicyHook{func(string) (string, error) { return "", errors.New("broken") }}},
		"Foreign is unknown":       {Name: "foreign", Foreign: 9},
		"CORS[0]: it has no":       {Name: "cors", CORS: []core.CORSRule{{Methods: []string{"GET"}}}},
		"PATCH is none of":         {Name: "cors-method", CORS: []core.CORSRule{{Origins: []string{"*"}, Methods: []string{"PATCH"}}}},
		"more than one *":          {Name: "cors-star", CORS: []core.CORSRule{{Origins: []string{"*.*"}, Methods: []string{"GET"}}}},
		"PendingDays is -1":        {Name: "pending", Lifecycle: core.Lifecycle{PendingDays: -1}},
		"an empty prefix":          {Name: "prefix", Lifecycle: core.Lifecycle{ExpireDays: map[string]int{"": 1}}},
		`ExpireDays["tmp/"] is 0`:  {Name: "days", Lifecycle: core.Lifecycle{ExpireDays: map[string]int{"tmp/": 0}}},
		`Versioning is "on"`:       {Name: "versioning", Versioning: "on"},
		"which is declared off":    {Name: "lock-off", Versioning: core.VersioningOff, ObjectLock: true},
		"Retention needs ObjectL":  {Name: "retention", Retention: core.DefaultRetention{Mode: "GOVERNANCE", Days: 1}},
		"either Days or Years":     {Name: "years", ObjectLock: true, Retention: core.DefaultRetention{Mode: "GOVERNANCE", Days: 1, Years: 1}},
		`Algorithm is "ROT13"`:     {Name: "encryption", Encryption: core.DefaultEncryption{Algorithm: "ROT13"}},
		"KeyID needs":              {Name: "key-id", Encryption: core.DefaultEncryption{Algorithm: "AES256", KeyID: "x"}},
		"Tags:":                    {Name: "tags", Tags: map[string]string{"": "x"}},
		"Quota is -2":              {Name: "quota", Quota: -2},
		`names "beauty"`:           {Name: "required", Required: []core.Aspect{"beauty"}},
		"bucket declared twice":    {Name: "twice"},
		"private by the configura": {Name: "locked", Public: true},
	}
	store := core.MustOpen(core.Config{
		Endpoint: "minio.internal:9000", AccessKey: "access", SecretKey: "secret",
		PrivateBuckets: []string{"locked"}, SigningKeys: []core.Secret{"32 random bytes, from a secret store"},
	})
	store.Declare(core.BucketConfig{Name: "twice"})
	for _, c := range cases {
		store.Declare(c)
	}
	err := store.Faults()
	wantKind(t, "faults", err, core.ErrConfig)
	for says, c := range cases {
		says = strings.TrimPrefix(says, "bucket ")
		if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "declare bucket "+c.Name) {
			t.Errorf("bucket %s: want %q in %v", c.Name, says, err)
		}
	}
	if _, failed := store.Plan(t.Context()); failed == nil || failed.Error() != err.Error() {
		t.Errorf("a plan with faulty declarations is %v, want the faults", failed)
	}
}

func TestADeclarationMayFollowAFieldAndIsNotChangedLater(t *testing.T) {
	t.Parallel()
	store := exampleStore()
	field := store.Field(core.FieldConfig{Name: "file", Bucket: "media"})
	tags := map[string]string{"team": "a"}
	bucket := store.Declare(core.BucketConfig{Name: "media", Public: true, Tags: tags})
	tags[""] = "a fault, had it been declared"
	if field.Bucket() != bucket || !field.Bucket().Public() || store.Bucket("media") != bucket {
		t.Errorf("the field's bucket is public: %t, and the declared one: %t; want both", field.Bucket().Public(), field.Bucket() == bucket)
	}
	if !store.Declare(core.BucketConfig{Name: "logos"}).Public() {
		t.Error("a bucket that the configuration makes public is private")
	}
	if err := store.Faults(); err != nil {
		t.Error(err)
	}
}
