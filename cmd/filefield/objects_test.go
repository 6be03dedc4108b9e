package main

import (
	"bytes"
	"crypto/rand"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/internal/s3test"
)

// picture is a PNG of 2 by 3 pixels.
var picture = func() string {
	var b strings.Builder
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 3))); err != nil {
		panic(err)
	}
	return b.String()
}()

func TestPutStoresAFileUnderTheKeyItPrints(t *testing.T) {
	t.Parallel()
	s := ready(t)
	file := s.write("cat.png", picture)

	first := s.run("put", file, s.public()+"/pictures/").wants(0)
	if r := first.result(); r["key"] != "pictures/cat.png" || r["type"] != "image/png" || r["size"] != float64(len(picture)) || r["name"] != "cat.png" {
		t.Errorf("put reports %v", r)
	}
	if p := first.events("progress"); len(p) != 1 || p[0]["finished"] != true || p[0]["done"] != float64(len(picture)) || p[0]["unit"] != "bytes" {
		t.Errorf("put's progress is %v, want one finished event", p)
	}
	second := s.run("put", file, s.public()+"/pictures/cat.png").wants(0).result()
	if key := second["key"].(string); key == "pictures/cat.png" || !strings.HasPrefix(key, "pictures/cat_") {
		t.Errorf("the second file has the key %q, want an alternative", key)
	}
	replaced := s.run("put", "--replace", "--name", "Katze.png", "--metadata", "photographer=Zoë", "--metadata", "api-token=t0p",
		"--cache-control", "max-age=60", file, s.public()+"/pictures/cat.png").wants(0).result()
	if replaced["key"] != "pictures/cat.png" {
		t.Errorf("with --replace the key is %v", replaced["key"])
	}
	s.run("stat", s.public()+"/pictures/cat.png").wants(0).says("Zoë", "Katze.png", "[redacted]").hides("t0p")
}

func TestPutInATerminalShowsABar(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.write("film.bin", strings.Repeat("0123456789abcdef", 1<<20)) // 16 MiB
	s.show(nil, "put", "film.bin", s.private()).wants(0).says("100 %", "16.0 MiB / 16.0 MiB", s.private()+"/film.bin", "16 MiB")
	s.show(nil, "get", s.private()+"/film.bin", "back.bin").wants(0).says("100 %", "16.0 MiB / 16.0 MiB", "back.bin")
	if s.read("back.bin") != s.read("film.bin") {
		t.Error("the file came back different")
	}
	s.show(nil, "put", "--quiet", "film.bin", s.private()).wants(0).hides("100 %")
	s.show(nil, "put", s.write("empty", ""), s.private()).wants(0).says("empty", "0 B")
}

func TestPutTakesStandardInputOfAnySize(t *testing.T) {
	t.Parallel()
	s := ready(t)
	content := make([]byte, 23<<20) // several parts
	_, _ = rand.Read(content)
	r := s.fed(bytes.NewReader(content), "put", "-", s.private()+"/dump").wants(0).result()
	if r["size"] != float64(len(content)) || r["key"] != "dump" {
		t.Errorf("put reports %v, want %d bytes", r, len(content))
	}
	got := s.run("get", s.private()+"/dump", "-").wants(0)
	if got.out != string(content) {
		t.Error("the bytes came back different")
	}
	s.fed(strings.NewReader(""), "put", "-", s.private()+"/nothing").wants(0)
}

func TestPutSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.run("put", "absent", s.private()).failsWith(1, "failed").says("absent")
	s.run("put", ".", s.private()).failsWith(1, "failed").says("folder")
	s.run("put", s.write("a", "a"), "absent-"+s.private()+"/a").failsWith(4, "bucket_missing")
}

func TestGetNeverLeavesHalfAFileNorOverwritesOne(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.fed(strings.NewReader("0123456789"), "put", "-", s.private()+"/docs/ten.txt").wants(0)
	at := s.private() + "/docs/ten.txt"

	r := s.run("get", at).wants(0).result()
	if r["file"] != "ten.txt" || r["length"] != 10. || s.read("ten.txt") != "0123456789" {
		t.Errorf("get reports %v and wrote %q", r, s.read("ten.txt"))
	}
	s.write("ten.txt", "mine")
	s.run("get", at).failsWith(1, "failed").says("--force")
	if s.read("ten.txt") != "mine" {
		t.Error("the file was overwritten without --force")
	}
	s.run("get", "--force", at).wants(0)
	if s.read("ten.txt") != "0123456789" {
		t.Error("the file was not overwritten with --force")
	}
	s.run("get", s.private()+"/docs/absent").failsWith(4, "not_found")
	s.run("get", at, "no/such/folder").wants(1)
	if err := os.Mkdir(filepath.Join(s.dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.run("get", at, "sub").wants(0).says("sub/ten.txt")
	s.holds("sub", "ten.txt")
}

func TestGetTakesARange(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.fed(strings.NewReader("0123456789"), "put", "-", s.private()+"/ten").wants(0)
	cases := []struct{ name, bytes, want string }{
		{"from one byte to another", "2-4", "234"},
		{"from a byte on", "7-", "789"},
		{"the last ones", "-3", "789"},
		{"one byte", "0-0", "0"},
		{"more than there is", "8-99", "89"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := s.of(t).run("get", "--range", c.bytes, s.private()+"/ten", "-").wants(0).out; got != c.want {
				t.Errorf("--range %s gives %q, want %q", c.bytes, got, c.want)
			}
		})
	}
	t.Run("behind the end", func(t *testing.T) {
		t.Parallel()
		s.of(t).run("get", "--range", "10-", s.private()+"/ten", "-").failsWith(1, "range_not_satisfiable")
	})
}

func TestLsListsOneLevelOrAll(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for _, key := range []string{"a.txt", "docs/b.txt", "docs/deep/c.txt", "docs/\u202eevil"} {
		if _, err := s.client.PutObject(t.Context(), s.private(), key, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	in := s.private()
	cases := []struct {
		name string
		args []string
		want []string // keys and prefixes
	}{
		{"a bucket", []string{"ls", in}, []string{"a.txt", "docs/"}},
		{"a folder", []string{"ls", in + "/docs/"}, []string{"docs/b.txt", "docs/deep/", "docs/\u202eevil"}},
		{"a folder without its slash", []string{"ls", in + "/docs"}, []string{"docs/b.txt", "docs/deep/", "docs/\u202eevil"}},
		{"everything", []string{"ls", "-r", "s3://" + in}, []string{"a.txt", "docs/b.txt", "docs/deep/c.txt", "docs/\u202eevil"}},
		{"everything in a folder", []string{"ls", "--recursive", in + "/docs/deep"}, []string{"docs/deep/c.txt"}},
		{"an object", []string{"ls", in + "/docs/b.txt"}, []string{"docs/b.txt"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range s.of(t).run(c.args...).wants(0).results() {
				if key, ok := r["key"].(string); ok {
					got = append(got, key)
				} else {
					got = append(got, r["prefix"].(string))
				}
			}
			slices.Sort(got) // in one level objects come before folders
			if strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("it lists %q, want %q", got, c.want)
			}
		})
	}
	t.Run("what does not exist is not found", func(t *testing.T) {
		t.Parallel()
		s := s.of(t)
		s.run("ls", in+"/absent").failsWith(4, "not_found")
		s.run("ls", "absent-"+in).failsWith(4, "bucket_missing")
	})
	t.Run("in a terminal sizes are for people and names cannot move the cursor", func(t *testing.T) {
		t.Parallel()
		s.of(t).show(nil, "ls", "-r", in).wants(0).says("1 B", "docs/deep/c.txt", `"docs/\u202eevil"`).hides("\u202e", "{")
	})
	t.Run("buckets", func(t *testing.T) {
		t.Parallel()
		s := s.of(t)
		s.show(nil, "ls").wants(0).says(s.public() + "   public")
		if r := s.run("ls").wants(0).results(); len(r) != 2 || r[1]["bucket"] != s.public() || r[1]["access"] != "public" {
			t.Errorf("ls lists %v", r)
		}
	})
}

func TestStat(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.run("put", s.write("cat.png", picture), s.private()).wants(0)
	at := s.private() + "/cat.png"
	r := s.run("stat", at).wants(0).result()
	if r["type"] != "image/png" || r["size"] != float64(len(picture)) || r["modified"] == nil || r["etag"] == "" || r["width"] != 2. || r["height"] != 3. {
		t.Errorf("stat reports %v", r)
	}
	s.show(nil, "stat", at).wants(0).says(at, "image/png", "bytes (", "2 x 3")
	if two := s.run("stat", at, s.private()+"/absent", at).failsWith(4, "not_found").results(); len(two) != 2 {
		t.Errorf("stat reports %v, want the two that exist", two)
	}
}

func TestURLIsBareAndWorks(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.run("put", s.write("cat.png", picture), s.private(), "--quiet").wants(0)
	s.run("put", "cat.png", s.public(), "--quiet").wants(0)

	open := s.run("url", s.public()+"/cat.png").wants(0)
	if want := s.server.URL() + "/" + s.public() + "/cat.png\n"; open.out != want {
		t.Errorf("the public URL is %q, want %q", open.out, want)
	}
	signed := s.run("url", "--expiry", "10m", "--name", "Miau.png", s.private()+"/cat.png").wants(0).says("X-Amz-Expires=600")
	for _, link := range []string{open.out, signed.out} {
		answer, err := http.Get(strings.TrimSpace(link))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || string(body) != picture {
			t.Errorf("%s answers %d, %v", link, answer.StatusCode, err)
		}
		if link == signed.out && !strings.Contains(answer.Header.Get("Content-Disposition"), "Miau.png") {
			t.Errorf("it is saved as %q", answer.Header.Get("Content-Disposition"))
		}
	}
	r := s.run("url", "--json", "--expiry", "1h", s.private()+"/cat.png").wants(0).result()
	expires, err := time.Parse(time.RFC3339, r["expires"].(string))
	if left := time.Until(expires); err != nil || left < 50*time.Minute || left > time.Hour {
		t.Errorf("it expires at %v, %v, want an hour from now", r["expires"], err)
	}
	s.run("url", s.private()+"/absent").wants(0)
	s.run("url", "--check", s.private()+"/absent").failsWith(4, "not_found")
	s.show(nil, "url", s.public()+"/cat.png").wants(0).says(s.public() + "/cat.png\n")
}

func TestRmAsksFirst(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for _, key := range []string{"a", "b", "docs/1", "docs/2", "docs-too"} {
		s.fed(strings.NewReader(key), "put", "-", s.private()+"/"+key).wants(0)
	}
	in := s.private()
	left := func(want ...string) {
		t.Helper()
		if objects, _ := s3test.Leftovers(t, s.server, in); strings.Join(objects, " ") != strings.Join(want, " ") {
			t.Fatalf("the bucket holds %q, want %q", objects, want)
		}
	}
	s.run("rm", in+"/a").failsWith(2, "usage").says("--yes")
	s.show([]string{"Remove " + in + "/a (1 B)? [y/N]", "n\n"}, "rm", in+"/a").wants(1).says("nothing was removed")
	s.run("rm", "--yes", in+"/a", in+"/absent").failsWith(4, "not_found")
	s.run("rm", "--dry-run", in+"/a").wants(0).says(`"removed":false`)
	left("a", "b", "docs-too", "docs/1", "docs/2")

	s.show([]string{"Remove 2 objects? [y/N]", "y\n"}, "rm", in+"/a", in+"/b").wants(0).says("removed", in+"/b")
	left("docs-too", "docs/1", "docs/2")

	s.run("rm", "-r", in+"/docs").failsWith(2, "usage").says("--yes")
	s.show([]string{"Type that address", "docs\n"}, "rm", "-r", in+"/docs").wants(1).says("2 objects", "nothing was removed")
	s.run("rm", "-r", "--dry-run", in+"/docs").wants(0).says("docs/1", "docs/2").hides("docs-too")
	left("docs-too", "docs/1", "docs/2")
	s.show([]string{"Type that address", in + "/docs/\n"}, "rm", "-r", in+"/docs").wants(0).says("2 / 2 objects", "removed 2 objects below")
	left("docs-too")
	s.run("rm", "-r", "-y", in+"/docs").failsWith(4, "not_found")

	if r := s.run("rm", "-r", "--yes", in+"/").wants(0).result(); r["key"] != "docs-too" || r["removed"] != true {
		t.Errorf("rm reports %v", r)
	}
	left()
}

func TestRmAsksForEachFolder(t *testing.T) {
	t.Parallel()
	s := ready(t)
	in := s.private()
	for _, key := range []string{"one/x", "two/x"} {
		s.fed(strings.NewReader(key), "put", "-", in+"/"+key).wants(0)
	}
	s.show([]string{in + "/one/. Type that address", in + "/one/\n", in + "/two/. Type that address", "no\n"}, "rm", "-r", in+"/one", in+"/two").
		wants(1).says("removed 1 object below "+in+"/one/", "nothing was removed")
	if objects, _ := s3test.Leftovers(t, s.server, in); strings.Join(objects, " ") != "two/x" {
		t.Errorf("the bucket holds %q, want what was not confirmed", objects)
	}
}

func TestRmRemovesManyWithProgress(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for i := range 60 {
		key := "many/" + strings.Repeat("x", i+1)
		if _, err := s.client.PutObject(t.Context(), s.private(), key, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	o := s.run("rm", "-r", "--yes", s.private()+"/many").wants(0)
	if n := len(o.results()); n != 60 {
		t.Errorf("it reports %d objects, want 60", n)
	}
	p := o.events("progress")
	if last := p[len(p)-1]; last["done"] != 60. || last["total"] != 60. || last["unit"] != "objects" || last["finished"] != true {
		t.Errorf("the last progress is %v", last)
	}
	if objects, _ := s3test.Leftovers(t, s.server, s.private()); len(objects) != 0 {
		t.Errorf("%d objects are left", len(objects))
	}
}

// slow is standard input that brings some bytes and then nothing until the test ends.
func slow(t *testing.T, bytes int) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = w.Write(make([]byte, bytes)) }()
	t.Cleanup(func() { _ = w.Close(); _ = r.Close() })
	return r
}

func TestASignalStopsCleanly(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		signal syscall.Signal
		code   int
	}{
		{"SIGINT ends with 130", syscall.SIGINT, 130},
		{"SIGTERM ends with 143", syscall.SIGTERM, 143},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := ready(t)
			cmd := s.command("put", "-", s.private()+"/never")
			var errs bytes.Buffer
			cmd.Stdin, cmd.Stderr = slow(t, 12<<20), &errs // some parts are sent by then
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(patience)
			for uploads := []string{}; len(uploads) == 0; _, uploads = s3test.Leftovers(t, s.server, s.private()) {
				if time.Now().After(deadline) {
					t.Fatal("the upload never began")
				}
			}
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd.Wait()); code != c.code {
				t.Errorf("it ends with %d, want %d: %s", code, c.code, errs.String())
			}
			o := outcome{t: t, errs: errs.String(), code: c.code}
			o.failsWith(c.code, "interrupted")
			if objects, uploads := s3test.Leftovers(t, s.server, s.private()); len(objects)+len(uploads) > 0 {
				t.Errorf("objects %q and uploads %q are left", objects, uploads)
			}
		})
	}
}

func TestCtrlCStopsAnUploadThatWaitsForItsContent(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.show([]string{"never", "\x03"}, "put", "-", s.private()+"/never").wants(130).says("stopped by a signal: interrupt")
	s.run("stat", s.private()+"/never").failsWith(4, "not_found")
}

// halfway returns a handler that answers a GET with half of what it announces,
// and then either waits for the client to leave or closes the connection.
func halfway(then func(*http.Request)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Length", "2048")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write(make([]byte, 1024))
		_ = http.NewResponseController(w).Flush()
		then(r)
		panic(http.ErrAbortHandler)
	}
}

func TestAGetThatDoesNotFinishLeavesNothing(t *testing.T) {
	t.Parallel()
	s := ready(t)
	recorder := s.server.Recorder(t)
	s.env["MINIO_ENDPOINT"] = recorder.Endpoint()

	recorder.Intercept(halfway(func(*http.Request) {}))
	s.run("get", s.private()+"/long", "file").failsWith(1, "storage_unavailable")
	s.holds()
	s.write("file", "mine")
	s.run("get", "--force", s.private()+"/long", "file").failsWith(1, "storage_unavailable")
	if s.read("file") != "mine" {
		t.Errorf("the file holds %q after a get that failed, want what it held", s.read("file"))
	}

	recorder.Intercept(halfway(func(r *http.Request) { <-r.Context().Done() }))
	cmd := s.command("get", s.private()+"/long", "other")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for begun := 0; begun == 0; {
		parts, err := filepath.Glob(filepath.Join(s.dir, ".other.*.part"))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the file never began: %v", err)
		}
		begun = len(parts)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, cmd.Wait()); code != 130 {
		t.Errorf("it ends with %d, want 130", code)
	}
	s.holds("file")
}

func TestAReaderThatGoesAwayEndsTheCommandQuietly(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.fed(bytes.NewReader(make([]byte, 8<<20)), "put", "-", s.private()+"/long").wants(0)
	for _, args := range [][]string{{"get", s.private() + "/long", "-", "-q"}, {"ls", "-q"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		cmd := s.command(args...)
		var errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &errs
		err = cmd.Run()
		_ = w.Close()
		if code := exitCode(t, err); code != 141 || errs.Len() > 0 {
			t.Errorf("%v ends with %d and says %q, want 141 and nothing", args, code, errs.String())
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.fed(strings.NewReader("x"), "put", "-", s.private()+"/docs/a.txt").wants(0)
	cases := []struct {
		name, typed, want string
		args              []string
	}{
		{"buckets", "", s.public() + "/", []string{"ls"}},
		{"a bucket that was begun", s.private()[:9], s.private() + "/", []string{"stat"}},
		{"folders of a bucket", s.private() + "/", s.private() + "/docs/", []string{"rm"}},
		{"objects of a folder", s.private() + "/docs/", s.private() + "/docs/a.txt", []string{"get"}},
		{"storages", "", "default", []string{"ls", "--storage"}},
		{"commands", "st", "stat", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s.of(t).run(append(append([]string{"__complete"}, c.args...), c.typed)...).wants(0).says(c.want)
		})
	}
}

// TestTheBashScriptCompletes sources the script in bash and asks it, with a
// stand-in for the function of the package bash-completion that it uses, and for
// the builtin that only works while a person presses Tab.
func TestTheBashScriptCompletes(t *testing.T) {
	t.Parallel()
	s := ready(t)
	const script = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
compopt() { :; }
source <(filefield completion bash)
complete -p filefield
COMP_WORDS=(filefield ls "$BEGUN"); COMP_CWORD=2; COMP_LINE="filefield ls $BEGUN"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_filefield
printf 'reply: %s\n' "${COMPREPLY[@]}"
`
	cmd := exec.Command("bash", "--noprofile", "--norc", "-c", script)
	cmd.Env = append(s.command().Env, "BEGUN="+s.public()[:8], "PATH="+programs+":"+os.Getenv("PATH"))
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "__start_filefield filefield") || !strings.Contains(string(said), "reply: "+s.public()+"/\n") {
		t.Errorf("bash says %s: %v", said, err)
	}
	for _, kind := range []string{"zsh", "fish", "powershell"} {
		s.run("completion", kind).wants(0).says("filefield")
	}
	s.show(nil, "completion", "bash").wants(0).says("__start_filefield")
}
