package gormfiles

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/internal/modelfiles"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sqltxn"
)

const defaultMaxRows = 1000

// Config is what New takes. Its zero value is useful.
type Config struct {
	// Ledger notes in GORM's transactions what is to become of their files. Its
	// tables must be in the same database. A statement without a transaction
	// (gorm.Config.SkipDefaultTransaction) is refused with ErrConfig where it would
	// give a row a file that the ledger has as pending.
	Ledger *ledger.Ledger
	// MaxRows is the most rows whose files one update or deletion is looked at
	// for. Default 1000.
	MaxRows int
	// TidyFailed hears of files that could not be removed after the database had
	// decided. Default: nobody.
	TidyFailed func(ctx context.Context, err error)
}

type plugin struct{ config Config }

// New returns the plugin, for gorm.DB.Use. It wraps the connection pool, so that
// it sees commits: use it after other plugins that replace that.
func New(config Config) gorm.Plugin {
	if config.MaxRows == 0 {
		config.MaxRows = defaultMaxRows
	}
	return &plugin{config}
}

const pluginName = "filefield"

// Name is the plugin's name in GORM.
func (p *plugin) Name() string { return pluginName }

// Initialize registers the plugin's callbacks.
func (p *plugin) Initialize(db *gorm.DB) error {
	wrapped := &pool{ConnPool: db.ConnPool, plugin: p}
	db.ConnPool = wrapped
	db.Statement.ConnPool = wrapped
	c := db.Callback()
	return errors.Join(
		c.Create().After("gorm:save_before_associations").Before("gorm:create").Register("filefield:before_create", p.beforeCreate),
		c.Create().After("gorm:create").Before("gorm:save_after_associations").Register("filefield:after_create", p.afterCreate),
		c.Update().After("gorm:save_before_associations").Before("gorm:update").Register("filefield:before_update", p.beforeUpdate),
		c.Update().After("gorm:update").Before("gorm:save_after_associations").Register("filefield:after_update", p.afterUpdate),
		c.Delete().After("gorm:delete_before_associations").Before("gorm:delete").Register("filefield:before_delete", p.beforeDelete),
		c.Delete().After("gorm:delete").Before("gorm:after_delete").Register("filefield:after_delete", p.afterDelete),
	)
}

// Transaction is sqltxn.Run over GORM: files saved and deleted under the context
// work gets belong to the transaction. Inside another Transaction of the same
// database it is a savepoint. Without a Ledger in options it has the plugin's.
func Transaction(ctx context.Context, db *gorm.DB, options sqltxn.Options, work func(ctx context.Context, tx *gorm.DB) error) error {
	if p, ok := db.Plugins[pluginName].(*plugin); ok && options.Ledger == nil {
		options.Ledger = p.config.Ledger
	}
	owner, err := db.DB()
	if err != nil {
		return err
	}
	conn := sqltxn.Conn[*gorm.DB]{
		Owner: owner,
		Begin: func(ctx context.Context) (*gorm.DB, error) {
			tx := db.WithContext(ctx).Begin(txOptions(options)...)
			return tx, tx.Error
		},
		Commit:   func(_ context.Context, tx *gorm.DB) error { return tx.Commit().Error },
		Rollback: func(_ context.Context, tx *gorm.DB) error { return tx.Rollback().Error },
		Exec: func(ctx context.Context, tx *gorm.DB, query string, args ...any) (int64, error) {
			result, err := tx.Statement.ConnPool.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return result.RowsAffected()
		},
	}
	return sqltxn.Over(ctx, conn, options, func(ctx context.Context, tx *gorm.DB) error {
		held := heldBy(tx.Statement.ConnPool)
		if held == nil { // the plugin is not in use
			return work(ctx, tx.WithContext(ctx))
		}
		level := held.enter(ctx)
		err := work(level.ctx, tx.WithContext(level.ctx))
		return errors.Join(err, held.leave(level, err == nil))
	})
}

func txOptions(options sqltxn.Options) []*sql.TxOptions {
	if options.Tx == nil {
		return nil
	}
	return []*sql.TxOptions{options.Tx}
}

// fileFields returns the schema's fields that hold files.
func fileFields(s *schema.Schema) (names []string) {
	if s == nil {
		return nil
	}
	for _, f := range s.Fields {
		if f.DBName != "" && modelfiles.Is(f.FieldType) {
			names = append(names, f.DBName)
		}
	}
	return names
}

// concerns says whether a statement is one to look at.
func concerns(db *gorm.DB) bool {
	return db.Error == nil && !db.DryRun && len(fileFields(db.Statement.Schema)) > 0
}

// before is what a statement's rows had, kept until it has run.
type before struct {
	files []modelfiles.File
	rows  reflect.Value
}

const (
	beforeKey = "filefield:before"
	newKey    = "filefield:new"
)

// filesIn returns the files of the file fields in the statement's rows.
func filesIn(stmt *gorm.Statement, rows reflect.Value) []modelfiles.File {
	var found []modelfiles.File
	each(rows, func(row reflect.Value) {
		if row.Kind() == reflect.Map { // Create takes these, too
			for value := row.MapRange(); value.Next(); {
				found = append(found, modelfiles.In(value.Value())...)
			}
			return
		}
		for _, f := range stmt.Schema.Fields {
			if f.DBName != "" && modelfiles.Is(f.FieldType) {
				found = append(found, modelfiles.In(f.ReflectValueOf(stmt.Context, row))...)
			}
		}
	})
	return found
}

func each(rows reflect.Value, do func(row reflect.Value)) {
	rows = reflect.Indirect(rows)
	switch rows.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range rows.Len() {
			each(rows.Index(i), do)
		}
	case reflect.Struct, reflect.Map:
		do(rows)
	}
}

// beforeCreate finds what the rows have now that an upsert is about to overwrite,
// by the primary keys its models hold: Save of a list is one, and so is that of
// associations. It locks nothing, since MariaDB locks gaps where there is no row,
// and two upserts would wait for each other.
func (p *plugin) beforeCreate(db *gorm.DB) {
	if !concerns(db) {
		return
	}
	stmt := db.Statement
	files := filesIn(stmt, stmt.ReflectValue)
	if _, upsert := stmt.Clauses["ON CONFLICT"]; upsert {
		if keys := keysIn(stmt, stmt.ReflectValue); keys != nil {
			p.stash(db, p.query(db).Unscoped().Clauses(clause.Where{Exprs: keys}))
		}
	}
	old, _ := instance[before](db, beforeKey)
	p.mind(db, files, old.files)
}

// keysIn returns the condition that finds the rows by the primary keys they hold.
func keysIn(stmt *gorm.Statement, rows reflect.Value) []clause.Expression {
	if kind := reflect.Indirect(rows).Kind(); kind == reflect.Map || len(stmt.Schema.PrimaryFields) == 0 {
		return nil
	}
	_, keys := schema.GetIdentityFieldValuesMap(stmt.Context, rows, stmt.Schema.PrimaryFields)
	column, values := schema.ToQueryValues(stmt.Table, stmt.Schema.PrimaryFieldDBNames, keys)
	if len(values) == 0 {
		return nil
	}
	return []clause.Expression{clause.IN{Column: column, Values: values}}
}

// mind has the new files go if the statement, or its transaction, fails, and
// refuses a row that would point at nothing.
func (p *plugin) mind(db *gorm.DB, all, old []modelfiles.File) {
	files := modelfiles.Without(all, old)
	if err := modelfiles.MustExist(db.Statement.Context, files); err != nil {
		_ = db.AddError(err)
	}
	mustFollow(db, len(all)+len(old))
	held := p.held(db)
	if held.alone && p.config.Ledger != nil && pending(db.Statement.Context, all) {
		_ = db.AddError(&core.Error{
			Kind: core.ErrConfig, Op: "change rows with files", Err: errors.New("the ledger cannot follow a statement without a transaction"),
			Advice: "use gorm.DB.Transaction or gormfiles.Transaction where SkipDefaultTransaction is set",
		})
	}
	for _, f := range files { // those of a file transaction are that one's
		if f.Object.Loose() {
			held.discardOnRollback(f)
		}
	}
	db.InstanceSet(newKey, files)
}

// pending says whether the file transaction of ctx has one of the files noted as pending.
func pending(ctx context.Context, files []modelfiles.File) bool {
	return slices.ContainsFunc(core.TxnFrom(ctx).Stored(), func(w core.Written) bool {
		return slices.ContainsFunc(files, func(f modelfiles.File) bool { return f.Object.Bucket == w.Bucket && f.Object.Key == w.RowKey() })
	})
}

// mustFollow refuses a statement about files in a transaction that the plugin did
// not see begin, as those on a connection of gorm.DB.Connection: it will not see the
// commit either, and files would go before it.
func mustFollow(db *gorm.DB, files int) {
	if _, tx := db.Statement.ConnPool.(gorm.TxCommitter); !tx || files == 0 || heldBy(db.Statement.ConnPool) != nil {
		return
	}
	_ = db.AddError(&core.Error{
		Kind: core.ErrConfig, Op: "change rows with files", Err: errors.New("this transaction was not begun on the connection pool that the plugin wraps"),
		Advice: "use gorm.DB.Transaction or gormfiles.Transaction instead of gorm.DB.Connection, and gormfiles.New after plugins that replace the pool",
	})
}

func (p *plugin) afterCreate(db *gorm.DB) {
	files, ok := instance[[]modelfiles.File](db, newKey)
	if !ok {
		return
	}
	if db.Error != nil {
		p.after(db, nil, nil)
		return
	}
	if _, upsert := db.Statement.Clauses["ON CONFLICT"]; upsert && db.RowsAffected == 0 {
		files = nil // DO NOTHING: no row has them
	}
	p.afterChange(db, files)
}

// afterChange compares what rows have now with what they had.
func (p *plugin) afterChange(db *gorm.DB, fresh []modelfiles.File) {
	old, ok := instance[before](db, beforeKey)
	if !ok {
		p.after(db, fresh, nil)
		return
	}
	now, n, err := p.now(db, old.rows)
	gone := modelfiles.Without(old.files, now)
	if err != nil {
		_ = db.AddError(err)
	}
	if n < old.rows.Len() {
		gone = nil // a row has another key now, and its files
	}
	p.after(db, append(now, fresh...), gone)
}

// after decides what becomes of the files of a statement that has run.
func (p *plugin) after(db *gorm.DB, kept, gone []modelfiles.File) {
	held := p.held(db)
	if db.Error != nil {
		held.fail(db.Statement.Context, db, p)
		return
	}
	held.keep(db.Statement.Context, kept)
	for _, f := range gone {
		_ = db.AddError(held.delete(f))
	}
	if held.alone {
		_ = db.AddError(held.finish(db.Statement.Context, nil))
	}
}

func instance[T any](db *gorm.DB, key string) (T, bool) {
	v, _ := db.InstanceGet(key)
	t, ok := v.(T)
	return t, ok
}

// beforeUpdate finds what the rows have now. To know the rows it works out the
// statement's assignments, which GORM then takes over.
func (p *plugin) beforeUpdate(db *gorm.DB) {
	if !concerns(db) || db.Statement.SQL.Len() > 0 {
		return
	}
	stmt := db.Statement
	if _, ok := stmt.Clauses["SET"]; !ok {
		set := callbacks.ConvertToAssignments(stmt)
		if len(set) == 0 || db.Error != nil {
			return
		}
		stmt.AddClause(set)
	}
	set, ok := stmt.Clauses["SET"].Expression.(clause.Set)
	if !ok || !assigns(set, fileFields(stmt.Schema)) {
		return
	}
	var fresh []modelfiles.File
	for _, a := range set {
		fresh = append(fresh, modelfiles.Of(a.Value)...)
	}
	p.remember(db, where(stmt))
	old, _ := instance[before](db, beforeKey)
	p.mind(db, fresh, old.files)
}

func assigns(set clause.Set, columns []string) bool {
	for _, a := range set {
		for _, name := range columns {
			if a.Column.Name == name {
				return true
			}
		}
	}
	return false
}

func where(stmt *gorm.Statement) []clause.Expression {
	if w, ok := stmt.Clauses["WHERE"].Expression.(clause.Where); ok {
		return w.Exprs
	}
	return nil
}

// remember reads the files of the rows that a statement is about to change, and
// locks the rows where the database can: of two who replace one file, the second
// has to see the first one's.
func (p *plugin) remember(db *gorm.DB, conditions []clause.Expression) {
	if len(conditions) == 0 && !db.AllowGlobalUpdate {
		return // GORM refuses the statement
	}
	query := p.query(db)
	if len(conditions) > 0 {
		query = query.Clauses(clause.Where{Exprs: conditions})
	}
	if db.Name() != "sqlite" {
		query = query.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate})
	}
	if db.Statement.Unscoped {
		query = query.Unscoped()
	}
	p.stash(db, query)
}

// stash keeps the files of the rows that a query finds.
func (p *plugin) stash(db, query *gorm.DB) {
	rows := reflect.New(reflect.SliceOf(db.Statement.Schema.ModelType))
	if err := query.Limit(p.config.MaxRows + 1).Find(rows.Interface()).Error; err != nil {
		_ = db.AddError(err)
		return
	}
	if n := rows.Elem().Len(); n == 0 || n > p.config.MaxRows {
		return
	}
	db.InstanceSet(beforeKey, before{files: filesIn(db.Statement, rows), rows: rows.Elem()})
}

// query is one of the statement's table and transaction, for keys and files.
func (p *plugin) query(db *gorm.DB) *gorm.DB {
	s := db.Statement.Schema
	columns := append(append([]string{}, s.PrimaryFieldDBNames...), fileFields(s)...)
	return db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).
		Model(reflect.New(s.ModelType).Interface()).Table(db.Statement.Table).Select(columns)
}

func (p *plugin) afterUpdate(db *gorm.DB) {
	defer delete(db.Statement.Clauses, "SET")
	fresh, ok := instance[[]modelfiles.File](db, newKey)
	if !ok {
		return
	}
	if db.Error != nil {
		p.after(db, nil, nil)
		return
	}
	if _, found := instance[before](db, beforeKey); !found && db.RowsAffected == 0 {
		fresh = nil // there is no such row, and nobody has the files
	}
	p.afterChange(db, fresh)
}

// now reads the files that rows have after the statement, and says how many of
// the rows there are.
func (p *plugin) now(db *gorm.DB, rows reflect.Value) ([]modelfiles.File, int, error) {
	keys := keysIn(db.Statement, rows)
	if keys == nil {
		return nil, 0, errors.New("filefield: the model has no primary key")
	}
	found := reflect.New(reflect.SliceOf(db.Statement.Schema.ModelType))
	err := p.query(db).Unscoped().Clauses(clause.Where{Exprs: keys}).Find(found.Interface()).Error
	return filesIn(db.Statement, found), found.Elem().Len(), err
}

func (p *plugin) beforeDelete(db *gorm.DB) {
	stmt := db.Statement
	if !concerns(db) || stmt.SQL.Len() > 0 {
		return
	}
	if len(stmt.Schema.DeleteClauses) > 0 && !stmt.Unscoped {
		return // the row stays, and so does its file
	}
	conditions := slices.Concat(where(stmt), keysIn(stmt, stmt.ReflectValue))
	if stmt.ReflectValue.CanAddr() && stmt.Dest != stmt.Model && stmt.Model != nil {
		conditions = append(conditions, keysIn(stmt, reflect.ValueOf(stmt.Model))...)
	}
	p.remember(db, conditions)
	if old, ok := instance[before](db, beforeKey); ok {
		mustFollow(db, len(old.files))
	}
}

func (p *plugin) afterDelete(db *gorm.DB) {
	old, ok := instance[before](db, beforeKey)
	if !ok || db.Error != nil || db.RowsAffected == 0 {
		return
	}
	gone := old.files
	if int64(old.rows.Len()) != db.RowsAffected { // DELETE … LIMIT leaves some
		still, _, err := p.now(db, old.rows)
		if err != nil {
			_ = db.AddError(err)
			return
		}
		gone = modelfiles.Without(gone, still)
	}
	p.after(db, nil, gone)
}
