package gormfiles

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"gorm.io/gorm"
)

// pool is the connection pool GORM had, with transactions that know of files.
type pool struct {
	gorm.ConnPool
	plugin *plugin
}

// BeginTx begins a transaction: gorm.ConnPoolBeginner.
func (p *pool) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	var inner gorm.ConnPool
	var err error
	switch beginner := p.ConnPool.(type) {
	case gorm.TxBeginner:
		inner, err = beginner.BeginTx(ctx, options)
	case gorm.ConnPoolBeginner:
		inner, err = beginner.BeginTx(ctx, options)
	default:
		return nil, gorm.ErrInvalidTransaction
	}
	if err != nil {
		return nil, err
	}
	tx, ok := inner.(gorm.Tx)
	if !ok {
		return inner, nil // a pool whose transactions GORM itself could not prepare statements in
	}
	return &txPool{Tx: tx, held: newHeld(ctx, p.plugin)}, nil
}

// GetDBConn returns the pool of database/sql: gorm.GetDBConnector.
func (p *pool) GetDBConn() (*sql.DB, error) {
	switch inner := p.ConnPool.(type) {
	case *sql.DB:
		return inner, nil
	case gorm.GetDBConnector:
		return inner.GetDBConn()
	}
	return nil, gorm.ErrInvalidDB
}

// Ping lets gorm.Open's successors ping.
func (p *pool) Ping() error {
	db, err := p.GetDBConn()
	if err != nil {
		return err
	}
	return db.Ping() //nolint:noctx // GORM's interface has no context
}

// txPool is a transaction with the files that hang on it.
type txPool struct {
	gorm.Tx
	held *held
}

// Commit commits the database, then the files.
func (t *txPool) Commit() error {
	return t.held.finish(t.held.ctx, t)
}

// Rollback rolls the database back, then the files.
func (t *txPool) Rollback() error {
	return errors.Join(t.Tx.Rollback(), t.held.rollback())
}

// ExecContext runs a statement, and follows savepoints: they reach a driver as
// statements like any other.
func (t *txPool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	keyword, name := savepoint(query)
	if keyword == "" {
		return t.Tx.ExecContext(ctx, query, args...)
	}
	inner := gorm.ConnPool(t.Tx)
	if prepared, ok := inner.(*gorm.PreparedStmtTX); ok {
		inner = prepared.Tx // savepoints cannot be prepared everywhere
	}
	result, err := inner.ExecContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	switch keyword {
	case "SAVEPOINT":
		t.held.mark(name)
	case "ROLLBACK":
		err = t.held.rollbackTo(name)
	}
	t.held.plugin.report(ctx, err)
	return result, nil
}

// savepoint recognises SAVEPOINT name and ROLLBACK TO [SAVEPOINT] name.
func savepoint(query string) (keyword, name string) {
	if len(query) > 200 {
		return "", ""
	}
	words := strings.Fields(query)
	switch {
	case len(words) == 2 && strings.EqualFold(words[0], "SAVEPOINT"):
		return "SAVEPOINT", words[1]
	case len(words) >= 3 && strings.EqualFold(words[0], "ROLLBACK") && strings.EqualFold(words[1], "TO"):
		return "ROLLBACK", words[len(words)-1]
	}
	return "", ""
}

// GetDBConn returns the pool of database/sql: gorm.GetDBConnector.
func (t *txPool) GetDBConn() (*sql.DB, error) {
	return (&gorm.DB{Config: &gorm.Config{ConnPool: t.Tx}}).DB()
}

// heldBy returns the files that hang on a statement's transaction, or nil.
func heldBy(p gorm.ConnPool) *held {
	switch p := p.(type) {
	case *txPool:
		return p.held
	case *gorm.PreparedStmtTX:
		return heldBy(p.Tx)
	}
	return nil
}
