package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// newShop returns a shell for the app that embeds the commands.
func newShop(t *testing.T) *shell {
	t.Helper()
	s := newShell(t)
	s.program = filepath.Join(programs, "shop")
	s.env["SHOP_PHOTOS"], s.env["SHOP_ARCHIVE"] = "photos-"+s.private(), "archive-"+s.private()
	s.env["SHOP_ASSETS"] = "assets-" + s.private()
	s.buckets = append(s.buckets, s.env["SHOP_PHOTOS"], s.env["SHOP_ARCHIVE"], s.env["SHOP_ASSETS"])
	return s
}

func TestAnAppSeesItsOwnBucketsAndStorages(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	photos, archive := s.env["SHOP_PHOTOS"], s.env["SHOP_ARCHIVE"]

	s.run("serve").wants(0)
	s.run("files", "init", "--plan", "--storage", "archive").wants(3).says(archive).hides(photos)
	both := s.run("files", "init").wants(0).results()
	if len(both) != 2 || both[0]["storage"] != "shop" || both[1]["storage"] != "archive" {
		t.Errorf("init reports %v, want both storages", both)
	}
	s.show(nil, "files", "ls").wants(0).says(photos+"   private  shop", archive+"  private  archive")
	s.show(nil, "files", "check", "--storage", "archive").wants(0).says(archive).hides(photos)
	s.run("files", "policy").wants(0).says(photos).hides(archive)
	s.run("files", "policy", "--storage", "archive").wants(0).says(archive).hides(photos)

	s.fed(strings.NewReader("12345"), "files", "put", "--storage", "archive", "-", archive+"/old").wants(0)
	s.run("files", "price", "--storage", "archive", archive).wants(0).says("5 bytes in storage archive")
	s.run("files", "price", photos).wants(0).says("0 bytes in storage shop")

	s.run("files", "check", "--storage", "attic").failsWith(2, "configuration").says("shop, archive")
	s.run("files", "initialise").failsWith(2, "usage")
	s.run("__complete", "files", "ls", "--storage", "").wants(0).says("shop", "archive")
	s.run("completion", "bash").wants(0).says("__start_shop")
}

func TestAnAppPublishesItsStaticFiles(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.run("files", "collectstatic").failsWith(4, "bucket_missing")
	s.run("files", "init").wants(0)
	s.run("files", "collectstatic", "--dry-run").wants(0).says(`"dry_run":true`)
	first := s.run("files", "collectstatic").wants(0)
	r := first.result()
	if r["storage"] != "shop" || r["bucket"] != s.env["SHOP_ASSETS"] || len(r["uploaded"].([]any)) != 3 {
		t.Errorf("collectstatic reports %v, want two files and the manifest", r)
	}
	if p := first.events("progress"); len(p) == 0 || p[len(p)-1]["done"] != 3. || p[len(p)-1]["unit"] != "files" {
		t.Errorf("its progress is %v", p)
	}
	if again := s.run("files", "collectstatic").wants(0).result(); len(again["uploaded"].([]any)) != 0 || again["unchanged"] != 3. {
		t.Errorf("a second run reports %v, want nothing published", again)
	}
	s.show(nil, "files", "collectstatic", "--rewrite").wants(0).says("Publishing to "+s.env["SHOP_ASSETS"], "3 / 3 files", "3 objects published")
	s.run("files", "collectstatic", "--prefix", "x").failsWith(2, "usage")
}

func TestAnAppSweepsWithItsOwnReferences(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.run("files", "init").wants(0)
	s.env["FILEFIELD_TOKEN_EXPIRY"] = "1s"
	photos := s.env["SHOP_PHOTOS"]
	s.write("cat.png", picture)
	s.run("files", "put", "cat.png", photos+"/a.png").wants(0)
	s.run("files", "put", "cat.png", photos+"/b.png").wants(0)
	s.env["SHOP_ROWS"] = "a.png gone.png"
	found := s.until(1, func() outcome { return s.run("files", "sweep", "--min-age", "1s").wants(0) }).results()
	if found[0]["key"] != "b.png" || found[0]["bucket"] != photos || found[0]["storage"] != "shop" {
		t.Errorf("the sweep reports %v, want b.png", found)
	}
	s.run("files", "sweep", "--min-age", "1s", "--check-missing").wants(1).says("gone.png")
	s.run("files", "sweep", "--storage", "archive").failsWith(2, "usage")
	s.run("files", "sweep", s.env["SHOP_ARCHIVE"]).failsWith(2, "usage")
}
