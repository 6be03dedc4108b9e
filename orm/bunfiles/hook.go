package bunfiles

import (
	"context"
	"reflect"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/modelfiles"
	"github.com/filefield/filefield/sqltxn"
)

// Hook is a query hook that looks at updates and deletions of models with files,
// inside Run: what a row had before and does not have after goes at the commit.
// The rows are those whose primary keys the statement's model holds, one or a
// slice. Soft deletion keeps files. Where an update gives a row a file that does not
// exist any more (see sqltxn.Replace), the transaction fails with ErrTxnDone.
type Hook struct {
	// Failed hears of what could not be looked at: an object may become nobody's,
	// for the sweep. Default: nobody.
	Failed func(ctx context.Context, err error)
}

type stashKey struct{}

// BeforeQuery reads and locks the rows as they are: bun.QueryHook.
func (h Hook) BeforeQuery(ctx context.Context, event *bun.QueryEvent) context.Context {
	rows := concerned(ctx, event)
	if rows == nil {
		return ctx
	}
	lock := event.DB.Dialect().Name() != dialect.SQLite
	if err := read(ctx, runningIn(ctx).tx, rows, lock); err != nil {
		h.failed(ctx, err)
		return ctx
	}
	if event.Stash == nil {
		event.Stash = map[any]any{}
	}
	event.Stash[stashKey{}] = rows
	return ctx
}

// AfterQuery has the files go that the rows do not have any more: bun.QueryHook.
func (h Hook) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	running := runningIn(ctx)
	if running == nil || event.Err != nil {
		return
	}
	before, ok := event.Stash[stashKey{}].(*found)
	if !ok {
		h.failed(ctx, running.follow(ctx, event.Query))
		return
	}
	after := before.again()
	if err := read(ctx, running.tx, after, false); err != nil {
		h.failed(ctx, err)
		return
	}
	err := sqltxn.Replace(running.deleting(ctx), before.rows.Interface(), after.rows.Interface())
	if core.KindOf(err) == core.ErrPrecondition { // the row would point at nothing
		core.TxnFrom(ctx).SetRollbackOnly()
	}
	h.failed(ctx, err)
}

func (h Hook) failed(ctx context.Context, err error) {
	if err != nil && h.Failed != nil {
		h.Failed(ctx, err)
	}
}

// found are rows of a table by their primary keys.
type found struct {
	table *schema.Table
	keys  []reflect.Value // models that hold them
	rows  reflect.Value   // *[]Model, as read
}

func (f *found) again() *found {
	return &found{table: f.table, keys: f.keys, rows: reflect.New(reflect.SliceOf(f.table.Type))}
}

// concerned returns the rows that a query is about to change, or nil where there
// is nothing to look at.
func concerned(ctx context.Context, event *bun.QueryEvent) *found {
	if runningIn(ctx) == nil {
		return nil
	}
	query, ok := event.IQuery.(interface{ GetModel() bun.Model })
	if !ok {
		return nil
	}
	switch event.IQuery.(type) {
	case *bun.UpdateQuery, *bun.DeleteQuery:
	default:
		return nil
	}
	model, ok := query.GetModel().(bun.TableModel)
	if !ok || len(model.Table().PKs) == 0 || !hasFiles(model.Table()) {
		return nil
	}
	f := &found{table: model.Table()}
	f = f.again()
	f.collect(reflect.ValueOf(model.Value()))
	if len(f.keys) == 0 {
		return nil
	}
	return f
}

func hasFiles(t *schema.Table) bool {
	for _, field := range t.Fields {
		if modelfiles.Is(field.StructField.Type) {
			return true
		}
	}
	return false
}

// collect takes the models that have a primary key.
func (f *found) collect(v reflect.Value) {
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			f.collect(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() != f.table.Type {
			return
		}
		for _, pk := range f.table.PKs {
			if pk.HasZeroValue(v) {
				return
			}
		}
		f.keys = append(f.keys, v)
	}
}

// read reads the rows' keys and files, those that still exist.
func read(ctx context.Context, tx bun.Tx, f *found, lock bool) error { //nolint:revive // before and after
	query := tx.NewSelect().Model(f.rows.Interface()).WhereAllWithDeleted()
	if f.table.SoftDeleteField == nil {
		query = tx.NewSelect().Model(f.rows.Interface())
	}
	query = query.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, key := range f.keys {
			q = q.WhereGroup(" OR ", func(q *bun.SelectQuery) *bun.SelectQuery {
				for _, pk := range f.table.PKs {
					q = q.Where("?TableAlias.? = ?", pk.SQLName, pk.Value(key).Interface())
				}
				return q
			})
		}
		return q
	})
	if lock {
		query = query.For("UPDATE")
	}
	return query.Scan(ctx)
}
