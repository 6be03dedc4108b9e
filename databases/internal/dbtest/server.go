package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
)

// server is the one server of a kind that this test binary runs.
type server struct {
	kind    Kind
	drop    string // statement that drops a database
	quote   func(string) string
	account string // who runs it where root must not
	prepare func(s *server) (*exec.Cmd, error)
	open    func(dir string) (*sql.DB, error)
	// interrupt ends it in good order, and quit quickly.
	interrupt, quit syscall.Signal

	once  sync.Once
	err   error
	dir   string
	admin *sql.DB
	ended chan struct{}
	cmd   *exec.Cmd
}

// The servers of this test binary.
var (
	postgres = server{
		kind: PostgreSQL, drop: "DROP DATABASE %s WITH (FORCE)", account: "postgres",
		quote:     func(s string) string { return `"` + s + `"` },
		prepare:   preparePostgres,
		open:      func(dir string) (*sql.DB, error) { return sql.Open("pgx", postgresDSN(dir, "postgres")) },
		interrupt: syscall.SIGINT, quit: syscall.SIGQUIT,
	}
	mariadb = server{
		kind: MariaDB, drop: "DROP DATABASE %s", account: "mysql",
		quote:     func(s string) string { return "`" + s + "`" },
		prepare:   prepareMariaDB,
		open:      func(dir string) (*sql.DB, error) { return sql.Open("mysql", mariadbDSN(dir, "")) },
		interrupt: syscall.SIGTERM, quit: syscall.SIGKILL,
	}
)

func postgresDSN(dir, database string) string {
	return fmt.Sprintf("host=%s user=filefield dbname=%s sslmode=disable", dir, database)
}

func mariadbDSN(dir, database string) string {
	return fmt.Sprintf("root@unix(%s/socket)/%s?parseTime=true&clientFoundRows=true", dir, database)
}

func (s *server) start() error {
	s.once.Do(func() {
		if s.err = s.launch(); s.err != nil {
			s.err = errors.Join(s.err, s.log())
			s.stop()
		}
	})
	return s.err
}

// log returns the end of what the server printed.
func (s *server) log() error {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil || len(text) == 0 {
		return nil //nolint:nilerr // it did not come to printing anything
	}
	return errors.New(string(text[max(0, len(text)-2000):]))
}

func (s *server) launch() (err error) {
	sweepTemporary()
	if s.dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", temporary, os.Getpid())); err != nil {
		return err
	}
	if err := s.giveAway(s.dir); err != nil {
		return err
	}
	if s.cmd, err = s.prepare(s); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.asAccount(s.cmd)
	s.cmd.SysProcAttr.Pdeathsig = s.quit
	if err := s.run(); err != nil {
		return err
	}
	if s.admin, err = s.open(s.dir); err != nil {
		return err
	}
	return s.waitReady()
}

// run starts the process on a thread that lives as long as it does: the kernel
// sends the parent-death signal when the thread ends, not the process.
func (s *server) run() error {
	started := make(chan error)
	s.ended = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.ended)
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.cmd.Wait()
		}
	}()
	return <-started
}

func (s *server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.admin.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the server did not come up: %w", err)
		}
	}
}

func (s *server) stop() {
	if s.admin != nil {
		_ = s.admin.Close()
	}
	if s.ended != nil {
		s.end()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *server) end() {
	if s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(s.interrupt)
		late := time.AfterFunc(stopTimeout, func() { s.cmd.Process.Kill() })
		defer late.Stop()
	}
	<-s.ended
}

// unprivileged returns the account that runs the server: these servers refuse
// to run as root, or should not. nil for the one that runs the tests.
func (s *server) unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no other account, and no fault
	}
	account, err := user.Lookup(s.account)
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func (s *server) asAccount(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if credential, err := s.unprivileged(); err == nil {
		cmd.SysProcAttr.Credential = credential
	}
}

func (s *server) giveAway(path string) error {
	credential, err := s.unprivileged()
	if err != nil || credential == nil {
		return err
	}
	return os.Chown(path, int(credential.Uid), int(credential.Gid))
}

// tool runs a program of the database to its end.
func (s *server) tool(path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	s.asAccount(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", path, err, out)
	}
	return nil
}

// temporary is how the folders of servers start; the test binary's id follows.
const temporary = "filefield-db-"

// sweepTemporary removes folders that killed test binaries left.
func sweepTemporary() {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), temporary+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), temporary), "-")
		if pid, err := strconv.Atoi(id); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

// find returns the first program there is.
func find(missing string, patterns ...string) (string, error) {
	for _, pattern := range patterns {
		if path, err := exec.LookPath(pattern); err == nil {
			return path, nil
		}
		found, err := filepath.Glob(pattern)
		if err == nil && len(found) > 0 {
			return found[len(found)-1], nil // the newest version
		}
	}
	return "", fmt.Errorf("%s is not installed: run \"make databases\", or on Debian and Ubuntu \"apt-get install --no-install-recommends postgresql mariadb-server\"", missing)
}

func preparePostgres(s *server) (*exec.Cmd, error) {
	initdb, err := find("PostgreSQL", "/usr/lib/postgresql/*/bin/initdb", "initdb")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.tool(initdb, "--pgdata="+data, "--username=filefield", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"); err != nil {
		return nil, err
	}
	return exec.Command(filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data,
		"-k", s.dir, "-h", "", "-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=400", "-c", "shared_buffers=64MB", "-c", "deadlock_timeout=200ms",
		"-c", "max_prepared_transactions=0"), nil
}

func prepareMariaDB(s *server) (*exec.Cmd, error) {
	daemon, err := find("MariaDB", "mariadbd", "/usr/sbin/mariadbd")
	if err != nil {
		return nil, err
	}
	install, err := find("MariaDB", "mariadb-install-db")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.tool(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"); err != nil {
		return nil, err
	}
	return exec.Command(daemon, "--no-defaults", "--datadir="+data, "--socket="+filepath.Join(s.dir, "socket"),
		"--pid-file="+filepath.Join(s.dir, "pid"), "--tmpdir="+s.dir, "--skip-networking", "--skip-name-resolve", "--skip-log-bin",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M",
		"--max-connections=400", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"), nil
}
