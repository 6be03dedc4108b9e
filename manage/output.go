package manage

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/filefield/filefield/core"
)

// terminal says whether a stream is one.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// structured says whether a stream of a command gets JSON: where it is no
// terminal, or where the flag says so. A terminal's standard error never does.
func structured(cmd *cobra.Command, stream io.Writer) bool {
	chosen := cmd.Flags().Lookup("json")
	switch {
	case chosen == nil || !chosen.Changed:
		return !terminal(stream)
	case stream == cmd.ErrOrStderr():
		return chosen.Value.String() == "true" && !terminal(stream)
	}
	return chosen.Value.String() == "true"
}

// output is where a command's results go. Its first error, such as that of a
// closed pipe, is kept and ends what is written after it; end returns it. Not
// safe for concurrent use.
type output struct {
	buffer  *bufio.Writer
	table   *tabwriter.Writer
	json    bool
	paint   bool
	err     error
	encoder *json.Encoder
}

// results opens standard output for results.
func results(cmd *cobra.Command) *output {
	w := cmd.OutOrStdout()
	o := &output{buffer: bufio.NewWriter(standardOutput{w}), json: structured(cmd, w), paint: terminal(w) && colours()}
	o.encoder = json.NewEncoder(o.buffer)
	o.encoder.SetEscapeHTML(false)
	o.table = tabwriter.NewWriter(o.buffer, 0, 8, 2, ' ', 0)
	return o
}

// colours says whether the user's terminal is to show them (no-color.org).
func colours() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

// value writes one result as a line of JSON.
func (o *output) value(v any) error {
	if o.err == nil {
		o.err = o.encoder.Encode(v)
	}
	return o.err
}

// row writes one result as a line of text, its cells in columns.
func (o *output) row(cells ...string) error {
	if o.err == nil {
		_, o.err = fmt.Fprintln(o.table, strings.Join(cells, "\t"))
	}
	return o.err
}

// line writes text as it is.
func (o *output) line(text string) error {
	if o.err == nil {
		_, o.err = fmt.Fprintln(o.buffer, text)
	}
	return o.err
}

// align writes the rows so far, in their columns.
func (o *output) align() error {
	if o.err == nil {
		o.err = o.table.Flush()
	}
	return o.err
}

// flush writes what is held back.
func (o *output) flush() error {
	_ = o.align()
	if o.err == nil {
		o.err = o.buffer.Flush()
	}
	return o.err
}

// standardOutput marks what fails there, so that a reader that went away is told
// from a connection to storage that broke.
type standardOutput struct{ io.Writer }

func (w standardOutput) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errReaderGone
	}
	return n, err
}

var errReaderGone = errors.New("what read standard output went away")

// end writes what is held back and returns what went wrong, the command's own
// error first.
func (o *output) end(err error) error {
	return errors.Join(err, o.flush())
}

// mark is a word that says how something is, in a colour where the terminal takes
// colours. All of them count as much in columns.
func (o *output) mark(word string) string {
	if !o.paint {
		return word
	}
	colour := "33" // yellow
	switch strings.TrimSpace(word) {
	case "ok", "done":
		colour = "32" // green
	case "failed":
		colour = "31" // red
	}
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// shown returns what others chose (a key, a file's name) as a terminal may show
// it: quoted where it holds what would move the cursor or be mistaken.
func shown(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(text)
	}
	return text
}

func shownSize(bytes int64) string { return humanize.IBytes(uint64(max(bytes, 0))) }

func shownTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// event is one line of standard error where that is no terminal.
type event struct {
	Event     string `json:"event"`
	Command   string `json:"command,omitempty"`
	Phase     string `json:"phase,omitempty"`
	Done      *int64 `json:"done,omitempty"`
	Total     *int64 `json:"total,omitempty"`
	Unit      string `json:"unit,omitempty"`
	Finished  *bool  `json:"finished,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Message   string `json:"message,omitempty"`
	ExitCode  int    `json:"exit_code,omitempty"`
	ElapsedMS int64  `json:"elapsed_ms,omitempty"`
}

func writeEvent(w io.Writer, e event) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(e) // nobody is left to be told
}

// reportFailure tells standard error why a command failed.
func reportFailure(cmd *cobra.Command, err error) {
	w := cmd.ErrOrStderr()
	if !structured(cmd, w) {
		if !said(err) {
			fmt.Fprintf(w, "%s: %s\n", cmd.CommandPath(), err)
		}
		return
	}
	var exit exitError
	e := event{Event: "error", Command: cmd.Name(), Message: err.Error(), ExitCode: ExitCode(err), Kind: "failed"}
	var wrong *misuse
	var by interrupted
	switch kind := core.KindOf(err); {
	case errors.As(err, &wrong):
		e.Kind = "usage"
	case errors.As(err, &by):
		e.Kind = "interrupted"
	case kind != 0:
		e.Kind = kind.Code()
	case errors.As(err, &exit) && exit.code == ExitChanges:
		e.Kind = "changes"
	}
	writeEvent(w, e)
}

// said tells whether an error has nothing to tell beyond what the results said.
func said(err error) bool {
	switch e := err.(type) { //nolint:errorlint // every branch is visited
	case exitError:
		return true
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !said(err) })
	}
	return false
}

// notice tells standard error something that is no result.
func (c *commands) notice(cmd *cobra.Command, format string, args ...any) {
	if c.quiet {
		return
	}
	w, message := cmd.ErrOrStderr(), fmt.Sprintf(format, args...)
	if structured(cmd, w) {
		writeEvent(w, event{Event: "notice", Command: cmd.Name(), Message: message})
		return
	}
	fmt.Fprintln(w, message)
}
