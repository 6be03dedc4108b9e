package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/nethttp"
)

// ownProblem is an app's own error, with a status that no kind of the library has.
type ownProblem int

func (p ownProblem) Error() string { return fmt.Sprintf("the app's own %d", int(p)) }

func (p ownProblem) Problem() core.Problem {
	return core.Problem{Type: "about:blank", Title: "Own", Status: int(p)}
}

// intoAlbums refuses files for albums of others, which it sees before the file.
func intoAlbums(incoming chan<- nethttp.Incoming) nethttp.Config {
	return nethttp.Config{BeforeFile: func(_ *http.Request, in nethttp.Incoming) error {
		in.Form = url.Values{"album": in.Form["album"], "late": in.Form["late"]}
		incoming <- in
		if in.Form.Get("album") != "mine" {
			return ownProblem(http.StatusForbidden)
		}
		return nil
	}}
}

func refusals(t *testing.T, s *suite) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"BeforeFile sees the text and the file's name", beforeFileSees},
		{"BeforeFile ends the request before the file is sent", beforeFileEnds},
		{"a refused client can send little of a large file", refusedClientsStop},
		{"BeforeFile undoes the files before", beforeFileUndoes},
		{"BeforeFile's plain error is the server's fault", beforeFileFails},
		{"U18 a guard refuses before the body is read", guardsComeFirst},
		{"U18 a client that asks first is told before it sends", clientsThatAsk},
		{"a second file for one is refused before it is sent", secondFiles},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, s) })
	}
}

func beforeFileSees(t *testing.T, s *suite) {
	incoming := make(chan nethttp.Incoming, 4)
	a := s.app(t, options{http: intoAlbums(incoming)})
	newBody().text("album", "mine").upload("file", `C:\Windows\a.txt`, "x").upload("files", "", "").text("late", "x").
		upload("files", "b.txt", "y").post(t, a).want(t, http.StatusCreated, 0)
	close(incoming)
	var got []string
	for in := range incoming {
		got = append(got, fmt.Sprintf("%s as %s: %s with %s%s", in.Field.Name(), in.Input, in.Name, in.Form.Get("album"), in.Form.Get("late")))
	}
	if want := "[file as file: a.txt with mine files as files: b.txt with minex]"; fmt.Sprint(got) != want {
		t.Errorf("BeforeFile saw %v, want %s", got, want)
	}
}

func beforeFileEnds(t *testing.T, s *suite) {
	a := s.app(t, options{http: intoAlbums(make(chan nethttp.Incoming, 4)), file: core.FieldConfig{MaxSize: core.GiB}})
	conn := a.dial(t)
	start := part(`Content-Disposition: form-data; name="album"`, "theirs") + strings.TrimSuffix(filePart(""), "\r\n")
	if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(64*core.MiB), nil)+start); err != nil {
		t.Fatal(err)
	}
	res := answerOn(t, conn) // no byte of the file was sent
	if res.want(t, http.StatusForbidden, 0); res.problem.Title != "Own" || !res.closes {
		t.Errorf("the answer is %s, closing %v; want the app's own problem and a closed connection", res.body, res.closes)
	}
	a.unseen(t)
	a.settles(t, 0)
}

func refusedClientsStop(t *testing.T, s *suite) {
	const announced = 256 * core.MiB
	a := s.app(t, options{http: intoAlbums(make(chan nethttp.Incoming, 4)), file: core.FieldConfig{MaxSize: core.GiB}})
	conn := a.dial(t)
	var sent atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		start := part(`Content-Disposition: form-data; name="album"`, "theirs") + strings.TrimSuffix(filePart(""), "\r\n")
		_, _ = io.WriteString(conn, a.head(formType, fmt.Sprint(announced), nil)+start)
		chunk := make([]byte, 256<<10)
		for sent.Load() < announced-core.MiB {
			n, err := conn.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	line, err := bufio.NewReader(conn).ReadString('\n')
	// A client that goes on sending may find the connection reset before it reads.
	if err == nil && !strings.HasPrefix(line, "HTTP/1.1 403 ") {
		t.Errorf("the answer is %q, want 403", line)
	}
	<-done
	if most := 32 * core.MiB; sent.Load() > most { // what the kernel's buffers take
		t.Errorf("the client could send %d MiB of %d, want at most %d", sent.Load()/core.MiB, announced/core.MiB, most/core.MiB)
	}
	a.settles(t, 0)
}

func beforeFileUndoes(t *testing.T, s *suite) {
	calls := 0
	a := s.app(t, options{http: nethttp.Config{BeforeFile: func(_ *http.Request, _ nethttp.Incoming) error {
		if calls++; calls == 2 {
			return core.Invalid{{Field: "files", Code: "quota", Message: "There is no room left."}}
		}
		return nil
	}}})
	newBody().upload("files", "a.txt", "a").upload("files", "b.txt", "b").post(t, a).wantFault(t, "files", "quota", "There is no room left.")
	a.unseen(t)
	a.holds(t, 0)
}

func beforeFileFails(t *testing.T, s *suite) {
	a := s.app(t, options{http: nethttp.Config{BeforeFile: func(*http.Request, nethttp.Incoming) error {
		return errors.New("the secret database is down")
	}}})
	res := newBody().upload("file", "a.txt", "a").post(t, a)
	res.want(t, http.StatusInternalServerError, 0)
	if strings.Contains(res.body, "secret") {
		t.Errorf("the answer %s tells of the cause", res.body)
	}
	a.holds(t, 0)
}

func guarded(Call) error { return ownProblem(http.StatusUnauthorized) }

func guardsComeFirst(t *testing.T, s *suite) {
	a := s.app(t, options{guard: guarded})
	conn := a.dial(t)
	if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(core.MiB), nil)); err != nil {
		t.Fatal(err)
	}
	res := answerOn(t, conn)
	res.want(t, http.StatusUnauthorized, 0)
	a.unseen(t)
}

func clientsThatAsk(t *testing.T, s *suite) {
	for _, c := range []struct {
		name   string
		length int64
		more   http.Header
		guard  func(Call) error
		status string
	}{
		{"with a length over the limit", 1 << 40, nil, nil, "413"},
		{"with a form that is compressed", 100, http.Header{"Content-Encoding": {"gzip"}}, nil, "415"},
		{"where the app wants to know first who asks", 100, nil, guarded, "401"},
		{"and may send what is within", 100, nil, nil, "100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.app(t, options{guard: c.guard})
			conn := a.dial(t)
			more := c.more.Clone()
			if more == nil {
				more = http.Header{}
			}
			more.Set("Expect", "100-continue")
			if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(c.length), more)); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("the first answer is %q (%v), want %s", line, err, c.status)
			}
			a.unseen(t)
		})
	}
}

func secondFiles(t *testing.T, s *suite) {
	a := s.app(t, options{file: core.FieldConfig{MaxSize: core.GiB}})
	conn := a.dial(t)
	if _, err := io.WriteString(conn, a.head(formType, fmt.Sprint(64*core.MiB), nil)+filePart("a")+strings.TrimSuffix(filePart(""), "\r\n")); err != nil {
		t.Fatal(err)
	}
	res := answerOn(t, conn)
	res.want(t, http.StatusRequestEntityTooLarge, core.ErrTooMany)
	a.settles(t, 0)
}
