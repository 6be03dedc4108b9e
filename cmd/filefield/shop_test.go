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
	s.buckets = append(s.buckets, s.env["SHOP_PHOTOS"], s.env["SHOP_ARCHIVE"])
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
