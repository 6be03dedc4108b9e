package sweep_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
	"github.com/filefield/filefield/sweep"
)

const day = 24 * time.Hour

// on is a config of that day, with what quarantine is.
func (f *fixture) on(d time.Duration, action sweep.Action, isolation sweep.Isolation) sweep.Config {
	c := f.config(action)
	c.Isolation, c.Now = isolation, in(d)
	return c
}

func TestQuarantineByTag(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "live.txt", "orphan.txt", "claimed.txt")
	f.rows.add("files/live.txt")
	all := []string{"files/claimed.txt", "files/live.txt", "files/orphan.txt"}
	for _, step := range []struct {
		name   string
		day    time.Duration
		action sweep.Action
		before func()
		want   map[string]string
		left   []string
	}{
		{"a quarantine begins", 2 * day, sweep.Quarantine, nil, map[string]string{"files/orphan.txt": "orphan isolated", "files/claimed.txt": "orphan isolated"}, all},
		{"a purge waits for its end", 4 * day, sweep.Purge, nil, map[string]string{"files/orphan.txt": "quarantined kept", "files/claimed.txt": "quarantined kept"}, all},
		{"what has a row again is let alone", 5 * day, sweep.Purge, func() { f.rows.add("files/claimed.txt") }, map[string]string{"files/orphan.txt": "quarantined kept"}, all},
		{"a dry run reports it", 10 * day, sweep.DryRun, nil, map[string]string{"files/orphan.txt": "quarantined reported"}, all},
		{"a quarantine deletes nothing", 10 * day, sweep.Quarantine, nil, map[string]string{"files/orphan.txt": "quarantined kept"}, all},
		{"a purge deletes at its end", 10 * day, sweep.Purge, nil, map[string]string{"files/orphan.txt": "quarantined deleted"}, all[:2]},
		{
			"an old quarantine begins anew", 30 * day, sweep.Purge,
			func() { f.rows.remove("files/claimed.txt") },
			map[string]string{"files/claimed.txt": "orphan isolated"},
			all[:2],
		},
		{"and then ends", 37 * day, sweep.Purge, nil, map[string]string{"files/claimed.txt": "quarantined deleted"}, all[1:2]},
	} {
		if step.before != nil {
			step.before()
		}
		_, found := mustRun(t, f.on(step.day, step.action, sweep.ByTag))
		if got := outcomes(found); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("%s: found %v, want %v", step.name, got, step.want)
		}
		f.wantObjects(t, step.name, step.left...)
	}
}

func TestQuarantineByPrefix(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "live.txt", "orphan.txt", "claimed.txt")
	f.rows.add("files/live.txt")
	// The time of a move is the storage's, which no test can turn: a quarantine is
	// over a moment after it began, or never.
	over, never := time.Nanosecond, 1000*day
	for _, step := range []struct {
		name   string
		length time.Duration
		action sweep.Action
		before func()
		want   map[string]string
		left   []string
	}{
		{
			"a quarantine begins", never, sweep.Quarantine, nil,
			map[string]string{"files/orphan.txt": "orphan isolated", "files/claimed.txt": "orphan isolated"},
			[]string{"files/live.txt", sweep.QuarantinePrefix + "files/orphan.txt", sweep.QuarantinePrefix + "files/claimed.txt"},
		},
		{
			"a purge waits for its end", never, sweep.Purge, nil,
			map[string]string{"files/orphan.txt": "quarantined kept", "files/claimed.txt": "quarantined kept"},
			[]string{"files/live.txt", sweep.QuarantinePrefix + "files/orphan.txt", sweep.QuarantinePrefix + "files/claimed.txt"},
		},
		{
			"a dry run says what it would bring back", over, sweep.DryRun, func() { f.rows.add("files/claimed.txt") },
			map[string]string{"files/orphan.txt": "quarantined reported", "files/claimed.txt": "quarantined reported"},
			[]string{"files/live.txt", sweep.QuarantinePrefix + "files/orphan.txt", sweep.QuarantinePrefix + "files/claimed.txt"},
		},
		{
			"what has a row again comes back, the rest goes", over, sweep.Purge, nil,
			map[string]string{"files/orphan.txt": "quarantined deleted", "files/claimed.txt": "quarantined restored"},
			[]string{"files/live.txt", "files/claimed.txt"},
		},
		{"and that is all", over, sweep.Purge, nil, map[string]string{}, []string{"files/live.txt", "files/claimed.txt"}},
	} {
		if step.before != nil {
			step.before()
		}
		c := f.on(2*day, step.action, sweep.ByPrefix)
		c.QuarantineFor, c.CheckMissing = step.length, true
		_, found := mustRun(t, c)
		if got := outcomes(found); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("%s: found %v, want %v", step.name, got, step.want)
		}
		f.wantObjects(t, step.name, step.left...)
	}
	o, err := f.field.Stat(t.Context(), mustKey(t, "files/claimed.txt"))
	if err != nil || o.Type != "text/plain; charset=utf-8" && !strings.HasPrefix(o.Type, "text/plain") || !o.SavedHere() {
		t.Errorf("what came back is %+v, %v", o, err)
	}
}

func mustKey(t testing.TB, s string) core.Key {
	t.Helper()
	key, err := core.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestWhatIsInQuarantineIsNoneOfTheNextRunsFiles(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.put(t, "top.txt", sweep.QuarantinePrefix+"old.txt")
	c := f.config(sweep.Delete) // by tag, of a bucket that is all the app's
	c.Owned = []string{""}
	_, found := mustRun(t, c)
	wantOutcomes(t, found, map[string]string{"top.txt": "orphan deleted"})
	f.wantObjects(t, "afterwards", sweep.QuarantinePrefix+"old.txt")
}

func TestAnObjectInQuarantineWhoseKeyIsTakenStays(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt")
	c := f.on(2*day, sweep.Quarantine, sweep.ByPrefix)
	mustRun(t, c)
	f.save(t, "a.txt")
	f.rows.add("files/a.txt") // the row refers to the new one
	_, found := mustRun(t, c)
	wantOutcomes(t, found, map[string]string{"files/a.txt": "quarantined kept"})
	n, err := sweep.Restore(t.Context(), sweep.RestoreConfig{Bucket: f.bucket, Isolation: sweep.ByPrefix})
	if n != 0 || err != nil {
		t.Errorf("restored %d, %v; want none, as the key is taken", n, err)
	}
	c.Action, c.QuarantineFor = sweep.Purge, time.Nanosecond
	mustRun(t, c)
	f.wantObjects(t, "at last", "files/a.txt")
}

func TestRestoreTakesObjectsOutOfQuarantine(t *testing.T) {
	t.Parallel()
	for name, isolation := range map[string]sweep.Isolation{"by tag": sweep.ByTag, "by prefix": sweep.ByPrefix} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.save(t, "a.txt", "b.txt", "c.txt")
			c := f.on(2*day, sweep.Quarantine, isolation)
			mustRun(t, c)
			for _, step := range []struct {
				name   string
				config sweep.RestoreConfig
				want   []string
			}{
				{"by keys", sweep.RestoreConfig{Keys: slices.Values([]string{"files/b.txt", "files/not-there.txt"})}, []string{"files/b.txt"}},
				{"below another prefix", sweep.RestoreConfig{Prefix: "other/"}, nil},
				{"all that are left", sweep.RestoreConfig{}, []string{"files/a.txt", "files/c.txt"}},
				{"none are left", sweep.RestoreConfig{}, nil},
			} {
				var got []string
				step.config.Bucket, step.config.Isolation = f.bucket, isolation
				step.config.Found = func(f sweep.Finding) error { got = append(got, f.Key); return nil }
				n, err := sweep.Restore(t.Context(), step.config)
				if n != len(step.want) || err != nil || !slices.Equal(got, step.want) {
					t.Errorf("%s: restored %d, %q, %v; want %q", step.name, n, got, err, step.want)
				}
			}
			f.wantObjects(t, "afterwards", "files/a.txt", "files/b.txt", "files/c.txt")
			_, found := mustRun(t, f.on(10*day, sweep.DryRun, isolation))
			wantOutcomes(t, found, map[string]string{"files/a.txt": "orphan reported", "files/b.txt": "orphan reported", "files/c.txt": "orphan reported"})
		})
	}
}

func TestQuarantineKeepsOtherTags(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a.txt")
	key := mustKey(t, "files/a.txt")
	if err := f.bucket.SetTags(t.Context(), key, map[string]string{"team": "red"}); err != nil {
		t.Fatal(err)
	}
	mustRun(t, f.on(2*day, sweep.Quarantine, sweep.ByTag))
	tags, err := f.bucket.Tags(t.Context(), key)
	if since, failed := time.Parse(time.RFC3339, tags[sweep.QuarantineTag]); err != nil || failed != nil || tags["team"] != "red" || time.Until(since) < 47*time.Hour {
		t.Errorf("the tags are %v, %v", tags, err)
	}
}

func TestPendingFilesAndLocksGoWithAPurge(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	ctx, txn := core.Begin(t.Context())
	o, err := f.field.Save(ctx, core.Upload{Body: strings.NewReader("kept for a form"), Name: "pending.txt"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.field.Keep(ctx, o); err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	f.put(t, "files/.filefield-claim-0123456789abcdef")
	both := []string{"files/.filefield-claim-0123456789abcdef", "files/pending.txt"}
	for _, step := range []struct {
		action sweep.Action
		want   string
		left   []string
	}{
		{sweep.DryRun, "pending reported", both},
		{sweep.Quarantine, "pending kept", both},
		{sweep.Purge, "pending deleted", nil},
	} {
		report, found := mustRun(t, f.config(step.action))
		wantOutcomes(t, found, map[string]string{both[0]: step.want, both[1]: step.want})
		if report.Orphans != 0 || report.Pending != 2 {
			t.Errorf("%s: the report is %+v, want 2 pending files and no orphan", step.action, report)
		}
		f.wantObjects(t, step.action.String(), step.left...)
	}
}

func TestAPendingFileThatIsBeingClaimedIsLetAlone(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	begin, txn := core.Begin(t.Context())
	o, err := f.field.Save(begin, core.Upload{Body: strings.NewReader("kept for a form"), Name: "pending.txt"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.field.Keep(begin, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := txn.Rollback(begin); err != nil {
		t.Fatal(err)
	}
	token, err := f.field.Verify(text)
	if err != nil {
		t.Fatal(err)
	}
	claim, claiming := core.Begin(t.Context())
	c := f.config(sweep.Purge)
	c.Progress = func(p sweep.Progress) {
		if p.Phase == "judge" && claiming != nil { // it was found pending
			if err := f.field.Claim(claim, token); err != nil {
				t.Error(err)
			}
			claiming = nil
		}
	}
	inClaim := core.TxnFrom(claim)
	_, found := mustRun(t, c)
	wantOutcomes(t, found, map[string]string{"files/pending.txt": "pending kept"})
	if err := inClaim.Commit(claim); err != nil {
		t.Fatal(err)
	}
	f.wantObjects(t, "afterwards", "files/pending.txt")
}

func TestOldIncompleteUploadsAreAborted(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	client := minio.Core{Client: f.server.Client(t)}
	for _, key := range []string{"files/big.bin", "theirs/big.bin"} {
		if _, err := client.NewMultipartUpload(t.Context(), f.bucket.Name(), key, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	young := f.config(sweep.Purge)
	young.Now = nil
	if report, _ := mustRun(t, young); report.Uploads != 0 {
		t.Errorf("%d young uploads were found old", report.Uploads)
	}
	for _, action := range []sweep.Action{sweep.DryRun, sweep.Quarantine} {
		if report, _ := mustRun(t, f.config(action)); report.Uploads != 1 || report.Aborted != 0 {
			t.Errorf("%s: the report is %+v, want one upload and none aborted", action, report)
		}
	}
	report, found := mustRun(t, f.config(sweep.Purge))
	if report.Aborted != 1 || found["files/big.bin"].UploadID == "" {
		t.Errorf("the report is %+v, want one upload aborted", report)
	}
	if _, uploads := s3test.Leftovers(t, f.server, f.bucket.Name()); len(uploads) != 1 || !strings.HasPrefix(uploads[0], "theirs/") {
		t.Errorf("left are %q, want the other app's", uploads)
	}
}

func TestO13AVersionedBucketKeepsAMarkerAndTheReportSaysSo(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	client := f.server.Client(t)
	if err := client.EnableVersioning(t.Context(), f.bucket.Name()); err != nil {
		t.Fatal(err)
	}
	f.save(t, "a.txt")
	report, _ := mustRun(t, f.config(sweep.Delete))
	if !report.Versioned || report.Deleted != 1 || len(report.Notes) == 0 || !strings.Contains(report.Notes[0], "delete marker") {
		t.Errorf("the report is %+v", report)
	}
	f.wantObjects(t, "as listed")
	versions, markers := 0, 0
	for o := range client.ListObjectsIter(t.Context(), f.bucket.Name(), minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if o.IsDeleteMarker {
			markers++
		} else {
			versions++
		}
	}
	if versions != 1 || markers != 1 {
		t.Errorf("%d versions and %d markers, want one of each", versions, markers)
	}
	if report, _ := mustRun(t, f.config(sweep.Delete)); report.Listed != 0 {
		t.Errorf("the next run lists %d objects", report.Listed)
	}
}

func TestFindingsAndReportsAreJSON(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.save(t, "a&b.txt", "c.txt")
	f.rows.add("files/gone.txt")
	var lines bytes.Buffer
	c := f.config(sweep.DryRun)
	c.CheckMissing, c.Found = true, sweep.JSONLines(&lines)
	report, err := sweep.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(lines.String()) {
		var finding sweep.Finding
		if err := json.Unmarshal([]byte(line), &finding); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kinds = append(kinds, string(finding.Kind)+" "+finding.Key)
	}
	if want := []string{"orphan files/ab.txt", "orphan files/c.txt", "missing files/gone.txt"}; !slices.Equal(kinds, want) {
		t.Errorf("the lines are %q, want %q", kinds, want)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var back sweep.Report
	if err := json.Unmarshal(text, &back); err != nil || back.Orphans != 2 || back.Action != sweep.DryRun || !strings.Contains(string(text), `"action":"dry run"`) {
		t.Errorf("the report reads back as %+v, %v from %s", back, err, text)
	}
}
