package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRunAnnouncesItselfAndEndsWithItsInput(t *testing.T) {
	t.Setenv("S3_ACCESS_KEY", "someone")
	t.Setenv("S3_SECRET_KEY", "something-secret")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	stdin, hold := io.Pipe()
	printed, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run([]string{"-stdin"}, stdin, stdout); stdout.Close() }()

	out := bufio.NewReader(printed)
	line, err := out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("read the first line: %v (run: %v)", err, <-ended)
	}
	var got ready
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("first line %q is not JSON: %v", line, err)
	}
	if got.AccessKey != "someone" || got.SecretKey != "something-secret" || got.Region != "us-east-1" || got.StartupMS < 0 {
		t.Errorf("announced %+v, want the keys of the environment and us-east-1", got)
	}
	conn, err := net.Dial("tcp", got.Endpoint)
	if err != nil {
		t.Fatalf("dial %s: %v, want a connection", got.Endpoint, err)
	}
	conn.Close()

	hold.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run: %v, want no error", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("still running 20 s after its input ended")
	}
	if more, _ := io.ReadAll(out); len(more) != 0 {
		t.Errorf("printed %q after the first line, want nothing", more)
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("left %v behind, want nothing", left)
	}
}

func TestRunReportsWhatIsWrong(t *testing.T) {
	err := run([]string{"-addr", "0.0.0.0:0"}, strings.NewReader(""), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "AllowRemote") {
		t.Errorf("run on every interface: %v, want an error about AllowRemote", err)
	}
}
