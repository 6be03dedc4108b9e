package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"modernc.org/sqlite"

	"github.com/filefield/filefield/internal/s3test"
)

// sweepable returns a shell where objects are old enough after a second, and
// stores the keys.
func sweepable(t *testing.T, s *shell, bucket string, keys ...string) {
	t.Helper()
	s.env["FILEFIELD_TOKEN_EXPIRY"] = "1s"
	for _, key := range keys {
		if _, err := s.client.PutObject(t.Context(), bucket, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// until runs a sweep again and again until its report has so many orphans: they
// have to grow old.
func (s *shell) until(orphans int, sweep func() outcome) outcome {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		o := sweep()
		all := o.results()
		report := all[len(all)-1]
		if report["orphans"] == float64(orphans) {
			return o
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the report says %v, want %d orphans", report, orphans)
		}
	}
}

func TestSweepTakesReferencesFromStandardInput(t *testing.T) {
	t.Parallel()
	s := ready(t)
	in := s.private()
	sweepable(t, s, in, "docs/kept", "docs/lost", "docs/too", "else/where")
	const rows = "docs/kept\n{\"v\":1,\"key\":\"docs/gone\"}\n"
	sweep := func(more ...string) func() outcome {
		return func() outcome {
			args := append([]string{"sweep", in, "--references", "-", "--owned", "docs/", "--min-age", "1s"}, more...)
			return s.fed(strings.NewReader(rows), args...)
		}
	}

	s.run("sweep").failsWith(2, "usage").says("--references")
	s.run("sweep", in).failsWith(2, "usage").says("--references")
	s.fed(strings.NewReader("docs/kept"), "sweep", in, "--references", "-", "--owned", "docs/", "--min-age", "1s").wants(1).says("cut off")
	s.fed(strings.NewReader(rows), "sweep", in, "--references", "-", "--owned", "docs/", "--min-age", "1s", "--end", "END").wants(1).says("cut off")
	s.fed(strings.NewReader(rows), "sweep", in, "--references", "-", "--min-age", "1s").failsWith(2, "configuration").says("Owned")

	dry := s.until(2, sweep()).wants(0)
	found := dry.results()
	if len(found) != 3 || found[0]["result"] != "finding" || found[0]["key"] != "docs/lost" || found[0]["outcome"] != "reported" ||
		found[2]["result"] != "report" || found[2]["action"] != "dry run" || found[2]["bucket"] != in {
		t.Errorf("the sweep reports %v", found)
	}
	if p := dry.events("progress"); len(p) == 0 || p[0]["phase"] == nil || p[len(p)-1]["finished"] != true {
		t.Errorf("the sweep's progress is %v", p)
	}
	sweep("--check-missing")().failsWith(1, "failed").says("docs/gone", `"missing":1`)

	sweep("--action", "delete")().failsWith(2, "usage").says("--yes")
	sweep("--action", "frobnicate")().failsWith(2, "usage")
	sweep("--action", "purge", "--dry-run")().failsWith(2, "usage")
	sweep("--action", "delete", "--yes", "--max-deletes", "1")().wants(1).says("precondition_failed", "the most is 1")
	if objects, _ := s3test.Leftovers(t, s.server, in); len(objects) != 4 {
		t.Fatalf("the bucket holds %q, want all four", objects)
	}
	checkpoint := filepath.Join(s.dir, "at.json")
	sweep("--action", "delete", "--yes", "--checkpoint", checkpoint)().wants(0).says(`"deleted":2`)
	s.holds()
	if objects, _ := s3test.Leftovers(t, s.server, in); strings.Join(objects, " ") != "docs/kept else/where" {
		t.Errorf("the bucket holds %q, want what has a reference or is not owned", objects)
	}
}

func TestTheReferencesSweepQuarantinesFirst(t *testing.T) {
	t.Parallel()
	s := ready(t)
	in := s.private()
	sweepable(t, s, in, "lost")
	args := []string{"clean_orphaned_minio_files", in, "--references", s.write("rows", ""), "--owned", "", "--min-age", "1s"}
	s.until(1, func() outcome { return s.run(append(args, "--dry-run", "--check-missing")...).wants(0) })
	acted := s.run(args...).wants(0).says(`"isolated":1`).says(`"action":"purge"`)
	if found := acted.results(); found[0]["outcome"] != "isolated" {
		t.Errorf("the sweep reports %v, want the orphan in quarantine", found)
	}
	s.run("sweep", "--restore", in).wants(0).says(`"restored"`)
	s.run("sweep", "--checkpoint", "at.json").failsWith(2, "usage")
	s.run("sweep", "--restore").failsWith(2, "usage")
	s.run("sweep", "--restore", "--action", "purge", in).failsWith(2, "usage")
	s.until(1, func() outcome { return s.run(append(args, "--dry-run")...).wants(0) }).says(`"waiting":0`)
	s.show(nil, append(args, "--dry-run")...).wants(0).says("Judging "+in, "1 objects", "reported", in+"/lost", "1 orphans")
	s.show([]string{"for good, without quarantine? [y/N]", "n\n"}, append(args, "--action", "delete")...).wants(1)
	s.show([]string{"for good, without quarantine? [y/N]", "y\n"}, append(args, "--action", "delete")...).wants(0).says("1 deleted")
}

func TestSweepReadsADatabase(t *testing.T) {
	t.Parallel()
	s := ready(t)
	in := s.private()
	sweepable(t, s, in, "kept", "lost")
	db := sql.OpenDB(&sqliteFile{name: filepath.Join(s.dir, "app.db"), driver: &sqlite.Driver{}})
	for _, statement := range []string{"CREATE TABLE profiles (avatar TEXT)", "INSERT INTO profiles VALUES ('kept'), (NULL)"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	args := []string{"sweep", in, "--column", "profiles.avatar", "--owned", "", "--min-age", "1s"}
	s.run(args...).failsWith(2, "configuration").says("DATABASE_URL")
	s.env["DATABASE_URL"] = "oracle://scott:tiger@host/db"
	s.run(args...).failsWith(2, "configuration").hides("tiger")
	s.env["DATABASE_URL"] = "sqlite:app.db"
	found := s.until(1, func() outcome { return s.run(args...).wants(0) }).results()
	if len(found) != 2 || found[0]["key"] != "lost" {
		t.Errorf("the sweep reports %v, want the one that is lost", found)
	}
	s.env["OTHER_URL"] = "sqlite:" + filepath.Join(s.dir, "app.db")
	s.run(append(args, "--database-env", "OTHER_URL", "--keys-only", "--sorted")...).wants(0).says(`"key":"lost"`)
	s.run("sweep", in, "--column", "profiles.picture", "--owned", "", "--min-age", "1s").wants(1).says("picture")
}

func TestDatabaseURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"postgres://u:p@host/db?sslmode=require", "postgresql://host/db", "mysql://u:p@host/db", "mysql://host:3307/db?tls=true",
		"sqlite:app.db", "sqlite:///var/lib/a b.db",
	} {
		db, _, err := openDatabase(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_ = db.Close()
	}
	for _, text := range []string{"", "sqlite:", "mysql://host", "mysql:secret", "postgres://u:secret@[::1", "secret"} {
		if db, _, err := openDatabase(t.Context(), text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q opens %v, %v, want an error that does not repeat it", text, db, err)
		}
	}
}

func TestCollectstaticPublishesFolders(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.env["MINIO_STATIC_FILES_BUCKET"] = s.public()
	s.run("init").wants(0)
	if err := os.MkdirAll(filepath.Join(s.dir, "assets", "css"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("assets/robots.txt", "User-agent: *\n")
	s.write("assets/css/app.css", strings.Repeat("body { color: black }\n", 100))
	s.write("assets/draft.txt", "not yet")
	args := []string{"collectstatic", "assets", "--prefix", "static", "--unhashed", "robots.txt", "--exclude", "draft.*", "--encoding", "gzip,br"}
	r := s.run(args...).wants(0).result()
	objects, _ := s3test.Leftovers(t, s.server, s.public())
	if len(objects) != 5 || len(r["uploaded"].([]any)) != 5 || objects[3] != "static/robots.txt" || r["manifest"] != "static/staticfiles.json" {
		t.Errorf("it publishes %q and reports %v", objects, r)
	}
	s.show(nil, append(args, "--rewrite")...).wants(0).says("5 / 5 files", "5 objects published")
	s.show(nil, args...).wants(0).says("0 objects published", "5 objects unchanged")
	s.write("assets/css/app.css", "body { background: url(absent.png) }\n")
	s.run(args...).failsWith(2, "configuration").says("absent.png")
	s.run(append(args, "--allow-missing", "css/*.png")...).wants(0)
	s.run("collectstatic").failsWith(2, "usage")
	s.run("collectstatic", "absent").wants(1)
	s.run("collectstatic", "assets/robots.txt").failsWith(2, "usage")
	s.run("collectstatic", "assets", "--encoding", "lzma").failsWith(2, "configuration")
}
