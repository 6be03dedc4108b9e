package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/s3test"
)

// startProcessVar makes the test binary an app that starts once and ends.
const startProcessVar = "FILEFIELD_TEST_START"

// startedApp is what such a process is told.
type startedApp struct {
	Server s3test.Server
	Names  []string
}

func (a startedApp) open() (*core.Store, error) {
	store, err := core.Open(core.Config{
		Endpoint: a.Server.Endpoint, AccessKey: a.Server.AccessKey, SecretKey: core.Secret(a.Server.SecretKey), Region: a.Server.Region,
		SigningKeys: []core.Secret{"a key for tests, long enough"},
	})
	if err != nil {
		return nil, err
	}
	for _, name := range a.Names {
		config, _ := everything(&a.Server, name)
		store.Declare(config)
	}
	return store, nil
}

// startAsProcess is such a process: it says that it is there, waits for its input
// to end, so that all begin at once, and starts.
func startAsProcess(declared string) int {
	var app startedApp
	err := json.Unmarshal([]byte(declared), &app)
	var store *core.Store
	if err == nil {
		store, err = app.open()
	}
	fmt.Println("there")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err == nil {
		err = store.Startup(core.StartupConfig{}).Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestO8EightProcessesStartAtOnce(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	app := startedApp{Names: bucketNames(t, s, 4)}
	app.Server.Engine, app.Server.Endpoint = s.Engine, s.Endpoint
	app.Server.AccessKey, app.Server.SecretKey, app.Server.Region = s.AccessKey, s.SecretKey, s.Region
	told, err := json.Marshal(app)
	must(t, "marshal", err)
	program, err := os.Executable()
	must(t, "find the test binary", err)
	type process struct {
		cmd   *exec.Cmd
		begin io.Closer
		says  bytes.Buffer
	}
	var all []*process
	for range 8 {
		p := &process{cmd: exec.CommandContext(t.Context(), program)}
		p.cmd.Env = append(os.Environ(), startProcessVar+"="+string(told))
		p.cmd.Stderr = &p.says
		input, err := p.cmd.StdinPipe()
		must(t, "stdin", err)
		output, err := p.cmd.StdoutPipe()
		must(t, "stdout", err)
		must(t, "start a process", p.cmd.Start())
		_, err = io.ReadFull(output, make([]byte, len("there\n")))
		must(t, "wait for a process", err)
		p.begin = input
		all = append(all, p)
	}
	for _, p := range all {
		must(t, "let it begin", p.begin.Close())
	}
	for i, p := range all {
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, &p.says)
		}
	}
	recorder := s.Recorder(t)
	app.Server.Endpoint = recorder.Endpoint()
	last, err := app.open()
	must(t, "open", err)
	wantSettled(t, last, recorder)
}
