package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/filefield/filefield/bench/sink"
	"github.com/filefield/filefield/internal/s3test"
)

// sinkVar makes the test binary be the sink: in a process of its own, so that
// its allocations and its garbage do not count as the client's.
const sinkVar = "FILEFIELD_BENCH_SINK"

func TestMain(m *testing.M) {
	if os.Getenv(sinkVar) != "" {
		if err := serveSink(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	s3test.Main(m)
}

// serveSink runs until standard input ends.
func serveSink() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()
	err = http.Serve(listener, sink.Handler())
	if strings.Contains(err.Error(), "closed") {
		return nil
	}
	return err
}

// startSink runs a sink for as long as the test and returns its endpoint.
func startSink(t testing.TB) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sinkVar+"=1")
	return startProcess(t, cmd)
}

// startProcess runs cmd until the test's end and returns the first line it prints.
func startProcess(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "interrupt") {
			t.Errorf("%s ended with %v, want no error", cmd.Path, err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said nothing: %v", cmd.Path, err)
	}
	return strings.TrimSpace(line)
}
