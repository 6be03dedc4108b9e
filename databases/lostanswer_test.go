package databases_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/filefield/filefield/databases/internal/dbtest"
)

// cutter stands between a client and a database's socket. Once armed it lets a
// COMMIT through, waits for the answer, and breaks the connection instead of
// passing it on.
type cutter struct {
	armed atomic.Bool
	dsn   string
}

func newCutter(t *testing.T, d *dbtest.Database) *cutter {
	t.Helper()
	dir, err := os.MkdirTemp("", "cut-") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cutter{}
	var socket, target string
	switch d.Kind {
	case dbtest.PostgreSQL:
		host, rest, _ := strings.Cut(strings.TrimPrefix(d.DSN, "host="), " ")
		target, socket = filepath.Join(host, ".s.PGSQL.5432"), filepath.Join(dir, ".s.PGSQL.5432")
		c.dsn = "host=" + dir + " " + rest
	case dbtest.MariaDB:
		before, rest, _ := strings.Cut(d.DSN, "unix(")
		target, rest, _ = strings.Cut(rest, ")")
		socket = filepath.Join(dir, "socket")
		c.dsn = before + "unix(" + socket + ")" + rest
	default:
		t.Fatalf("%s has no connection to cut", d.Kind)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.serve(client, target)
		}
	}()
	return c
}

func (c *cutter) serve(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("unix", target)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		defer server.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := client.Read(buffer)
			if c.armed.Load() && isCommit(buffer[:n]) {
				c.armed.Store(false)
				cut.Store(true)
			}
			if _, failed := server.Write(buffer[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if cut.Load() {
			return
		}
		if _, failed := client.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// isCommit recognises the statement as PostgreSQL's simple query and as MariaDB's
// COM_QUERY carry it.
func isCommit(message []byte) bool {
	return bytes.Contains(message, []byte("commit\x00")) || bytes.Contains(message, []byte("\x03COMMIT"))
}
