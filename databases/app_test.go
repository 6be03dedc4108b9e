package databases_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/filefield/filefield/databases/internal/dbtest"
)

// databaseURL is a database as the example apps take it.
func databaseURL(t *testing.T, d *dbtest.Database) string {
	t.Helper()
	switch d.Kind {
	case dbtest.PostgreSQL:
		host, rest, _ := strings.Cut(strings.TrimPrefix(d.DSN, "host="), " ")
		_, name, _ := strings.Cut(rest, "dbname=")
		name, _, _ = strings.Cut(name, " ")
		return "postgres://filefield@/" + name + "?host=" + url.QueryEscape(host) + "&sslmode=disable"
	case dbtest.MariaDB:
		_, rest, _ := strings.Cut(d.DSN, "unix(")
		socket, rest, _ := strings.Cut(rest, ")/")
		name, _, _ := strings.Cut(rest, "?")
		return "mysql://root@/" + name + "?socket=" + url.QueryEscape(socket)
	default:
		return ""
	}
}

// startApp runs the example app on a database and returns its address.
func startApp(t *testing.T, program string, d *dbtest.Database) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MINIO_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "ADDR=127.0.0.1:0", "DATA_DIR="+t.TempDir(), "SECRET_KEY=a key of sixteen bytes or more", "DATABASE_URL="+databaseURL(t, d))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() }) // the test's context has ended by then
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	lines := bufio.NewScanner(stderr)
	var log strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if found := address.FindString(lines.Text()); strings.Contains(lines.Text(), "serving") && found != "" {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // so that it never waits for a reader
			return found
		}
	}
	t.Fatalf("the app did not come up:\n%s", &log)
	return ""
}

// form sends a form with a title and a file.
func form(t *testing.T, method, address, title, file string) (status int, document map[string]any) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	_ = w.WriteField("title", title)
	if file != "" {
		part, err := w.CreateFormFile("file", "note.txt")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(part, file)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (status int, document map[string]any) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	document = map[string]any{}
	_ = json.Unmarshal(text, &document) // a file is no JSON
	document["text"] = string(text)
	return response.StatusCode, document
}

func fetch(t *testing.T, method, address string) (status int, document map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

func TestTheExampleAppRunsOnEveryDatabase(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "app")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "examples", "nethttp")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, kind := range dbtest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			app := startApp(t, program, dbtest.Open(t, kind))
			status, one := form(t, http.MethodPost, app+"/documents", "eins", "first")
			if status != http.StatusCreated {
				t.Fatalf("create: %d %v", status, one)
			}
			if status, again := form(t, http.MethodPost, app+"/documents", "eins", "second"); status != http.StatusConflict {
				t.Errorf("a title that is taken: %d %v", status, again)
			}
			if status, other := form(t, http.MethodPost, app+"/documents", "EINS", "other"); status != http.StatusCreated {
				t.Errorf("a title in capitals: %d %v", status, other)
			}
			here := fmt.Sprintf("%s/documents/%v", app, one["id"])
			if status, changed := form(t, http.MethodPatch, here, "zwei", "changed"); status != http.StatusOK || changed["title"] != "zwei" {
				t.Errorf("change: %d %v", status, changed)
			}
			if status, file := fetch(t, http.MethodGet, here+"/file"); status != http.StatusOK || file["text"] != "changed" {
				t.Errorf("the file: %d %v", status, file)
			}
			old, _ := one["file"].(map[string]any)["url"].(string)
			if status, _ := fetch(t, http.MethodGet, old); status != http.StatusNotFound {
				t.Errorf("the replaced file: %d, want 404", status)
			}
			if status, list := fetch(t, http.MethodGet, app+"/documents"); status != http.StatusOK || len(list["documents"].([]any)) != 2 {
				t.Errorf("list: %d %v", status, list)
			}
			if status, gone := fetch(t, http.MethodDelete, here); status != http.StatusNoContent {
				t.Errorf("delete: %d %v", status, gone)
			}
			if status, gone := fetch(t, http.MethodGet, here); status != http.StatusNotFound {
				t.Errorf("after that: %d %v", status, gone)
			}
		})
	}
}
