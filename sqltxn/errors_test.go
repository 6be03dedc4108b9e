package sqltxn_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/sqltxn"
)

// refused is an error of PostgreSQL's drivers.
type refused string

func (r refused) Error() string    { return "ERROR: " + string(r) }
func (r refused) SQLState() string { return string(r) }

func TestWhichErrorsAreWorthAnotherTry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"none":                              {nil, false},
		"serialization failure":             {refused("40001"), true},
		"a deadlock, wrapped and joined":    {fmt.Errorf("update: %w", errors.Join(io.EOF, refused("40P01"))), true},
		"a constraint":                      {refused("23505"), false},
		"an outcome that nobody knows":      {errors.Join(sqltxn.ErrUnknown, refused("40001")), false},
		"an error that is not the database": {io.EOF, false},
	} {
		if got := sqltxn.Retryable(c.err); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestWhichErrorsOfACommitLeaveItsOutcomeOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"a broken connection":             {io.ErrUnexpectedEOF, true},
		"a context that ended meanwhile":  {context.DeadlineExceeded, true},
		"a shutdown":                      {refused("57P01"), true},
		"a connection exception":          {fmt.Errorf("commit: %w", refused("08006")), true},
		"statement completion unknown":    {refused("40003"), true},
		"a deferred constraint":           {refused("23503"), false},
		"a serialization failure":         {refused("40001"), false},
		"a transaction that ended before": {sql.ErrTxDone, false},
		"pgx's own rollback":              {errors.New("commit unexpectedly resulted in rollback"), false},
	} {
		if got := sqltxn.Unanswered(c.err); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestASavepointOutsideATransactionIsAMistake(t *testing.T) {
	t.Parallel()
	err := sqltxn.Savepoint(t.Context(), func(context.Context) error { t.Error("the work runs"); return nil })
	if !errors.Is(err, core.ErrConfig) {
		t.Errorf("the error is %v, want ErrConfig", err)
	}
}
