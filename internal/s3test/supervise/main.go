// Command supervise runs a server for as long as its own standard input stays
// open, so that the server ends with the process that holds the other end,
// however that one ends.
//
//	supervise [-log file] [-remove folder] -- program arguments…
//
// It prints the program's process id as one line of JSON.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"
)

// patience is what the server gets to end by itself.
const patience = 5 * time.Second

func main() {
	// The server dies with the thread that started it (see dieWithParent); the
	// main thread is the one that lives as long as this process.
	runtime.LockOSThread()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "supervise:", err)
		os.Exit(1)
	}
}

func run() error {
	log := flag.String("log", os.DevNull, "`file` for what the program prints")
	remove := flag.String("remove", "", "`folder` to remove at the end")
	flag.Parse()
	if flag.NArg() == 0 {
		return errors.New("no program named")
	}
	// An interrupt from the keyboard reaches the whole process group; the end of
	// standard input follows, and there is a folder to remove then.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)

	err := supervise(*log, flag.Args())
	if *remove != "" {
		err = errors.Join(err, os.RemoveAll(*remove))
	}
	return err
}

func supervise(log string, args []string) error {
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	err = json.NewEncoder(os.Stdout).Encode(map[string]int{"pid": cmd.Process.Pid})
	if err == nil {
		io.Copy(io.Discard, os.Stdin)
	}
	end(cmd, ended)
	return err
}

// end asks the server to end, and makes it.
func end(cmd *exec.Cmd, ended <-chan struct{}) {
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		cmd.Process.Kill() // there are systems without interrupts
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		cmd.Process.Kill()
		<-ended
	}
}
