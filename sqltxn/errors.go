package sqltxn

import (
	"database/sql"
	"errors"
	"reflect"
	"strings"
)

// ErrUnknown says that the answer to a commit was lost: the rows may be there or
// not. All files stay, those that were stored and those that were to go.
var ErrUnknown = errors.New("nobody knows whether the transaction was committed")

// Retryable says whether the database refused a transaction that may succeed when
// it is tried again from its beginning: a serialization failure or a deadlock
// (SQLSTATE 40001, 40P01), MariaDB's and MySQL's 1213 and 1205, SQLite's busy and
// locked. It knows the errors of pgx, lib/pq, go-sql-driver/mysql, modernc.org/sqlite
// and mattn/go-sqlite3 without importing them.
func Retryable(err error) bool {
	if errors.Is(err, ErrUnknown) {
		return false
	}
	switch a := answerOf(err); {
	case a.state == "40001", a.state == "40P01", a.mysql == 1213, a.mysql == 1205:
		return true
	default:
		return a.sqlite&0xff == 5 || a.sqlite&0xff == 6
	}
}

// answer is what a database said.
type answer struct {
	state  string
	mysql  int
	sqlite int
}

func (a answer) isZero() bool { return a == answer{} }

// answerOf looks for a database's own error in the chain.
func answerOf(err error) (a answer) {
	walk(err, func(err error) bool {
		a = readAnswer(err)
		return !a.isZero()
	})
	return a
}

func walk(err error, found func(error) bool) bool {
	if err == nil {
		return false
	}
	if found(err) {
		return true
	}
	switch wrapped := err.(type) { //nolint:errorlint // this is the walk along the chain
	case interface{ Unwrap() error }:
		return walk(wrapped.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, e := range wrapped.Unwrap() {
			if walk(e, found) {
				return true
			}
		}
	}
	return false
}

func readAnswer(err error) answer {
	if state, ok := err.(interface{ SQLState() string }); ok {
		return answer{state: state.SQLState()}
	}
	v := reflect.Indirect(reflect.ValueOf(err))
	if v.Kind() != reflect.Struct {
		return answer{}
	}
	path := v.Type().PkgPath()
	switch {
	case strings.HasSuffix(path, "/mysql"):
		if n := v.FieldByName("Number"); n.IsValid() && n.CanUint() {
			return answer{mysql: int(n.Uint())}
		}
	case strings.Contains(path, "sqlite"):
		if code, ok := err.(interface{ Code() int }); ok {
			return answer{sqlite: code.Code()}
		}
		if n := v.FieldByName("Code"); n.IsValid() && n.CanInt() {
			return answer{sqlite: int(n.Int())}
		}
	}
	return answer{}
}

// Unanswered says whether the error of a commit leaves open what happened, for
// libraries that commit by themselves: see ErrUnknown.
func Unanswered(err error) bool { return unknown(err) }

// unknown says whether a commit's error leaves open what happened: no answer of
// the database, or one that the connection is going.
func unknown(err error) bool {
	if errors.Is(err, sql.ErrTxDone) || definite(err) {
		return false
	}
	a := answerOf(err)
	switch {
	case a.isZero():
		return true
	case a.state != "": // connection exceptions, shutdowns, statement completion unknown
		return strings.HasPrefix(a.state, "08") || strings.HasPrefix(a.state, "57P") || a.state == "40003"
	}
	return a.mysql == 1053
}

// definite says whether a library says by its error that nothing was committed.
func definite(err error) bool {
	return walk(err, func(err error) bool {
		// pgx.ErrTxClosed and pgx.ErrTxCommitRollback.
		text := err.Error()
		return text == "tx is closed" || text == "commit unexpectedly resulted in rollback"
	})
}
