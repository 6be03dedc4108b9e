package gormfiles

import (
	"context"
	"database/sql"
	"errors"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/filefield/filefield/internal/modelfiles"
	"github.com/filefield/filefield/ledger"
	"github.com/filefield/filefield/sqltxn"
)

const defaultMaxRows = 1000

// Config is what New takes. Its zero value is useful.
type Config struct {
	// Ledger notes in GORM's transactions what is to become of their files. Its
	// table must be in the same database.
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

// Name is the plugin's name in GORM.
func (p *plugin) Name() string { return "filefield" }

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
// database it is a savepoint.
func Transaction(ctx context.Context, db *gorm.DB, options sqltxn.Options, work func(ctx context.Context, tx *gorm.DB) error) error {
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
	case reflect.Struct:
		do(rows)
	}
}

func (p *plugin) beforeCreate(db *gorm.DB) {
	if concerns(db) {
		p.mind(db, filesIn(db.Statement, db.Statement.ReflectValue))
	}
}

// mind has the new files go if the statement, or its transaction, fails.
func (p *plugin) mind(db *gorm.DB, files []modelfiles.File) {
	held := p.held(db)
	for _, f := range files { // those of a file transaction are that one's
		if f.Object.Loose() {
			held.discardOnRollback(f)
		}
	}
	db.InstanceSet(newKey, files)
}

func (p *plugin) afterCreate(db *gorm.DB) {
	files, ok := instance[[]modelfiles.File](db, newKey)
	if !ok {
		return
	}
	p.after(db, files, nil)
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
	p.mind(db, modelfiles.Without(fresh, old.files))
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
	old, ok := instance[before](db, beforeKey)
	if !ok || db.Error != nil || db.RowsAffected == 0 {
		p.after(db, fresh, nil)
		return
	}
	now, err := p.now(db, old.rows)
	if err != nil {
		_ = db.AddError(err)
	}
	p.after(db, now, modelfiles.Without(old.files, now))
}

// now reads the files that rows have after the statement.
func (p *plugin) now(db *gorm.DB, rows reflect.Value) ([]modelfiles.File, error) {
	s := db.Statement.Schema
	_, keys := schema.GetIdentityFieldValuesMap(db.Statement.Context, rows, s.PrimaryFields)
	column, values := schema.ToQueryValues(db.Statement.Table, s.PrimaryFieldDBNames, keys)
	if len(values) == 0 {
		return nil, errors.New("filefield: the model has no primary key")
	}
	found := reflect.New(reflect.SliceOf(s.ModelType))
	err := p.query(db).Unscoped().Clauses(clause.Where{Exprs: []clause.Expression{clause.IN{Column: column, Values: values}}}).Find(found.Interface()).Error
	return filesIn(db.Statement, found), err
}

func (p *plugin) beforeDelete(db *gorm.DB) {
	stmt := db.Statement
	if !concerns(db) || stmt.SQL.Len() > 0 {
		return
	}
	if len(stmt.Schema.DeleteClauses) > 0 && !stmt.Unscoped {
		return // the row stays, and so does its file
	}
	conditions := where(stmt)
	add := func(v reflect.Value) {
		_, keys := schema.GetIdentityFieldValuesMap(stmt.Context, v, stmt.Schema.PrimaryFields)
		column, values := schema.ToQueryValues(stmt.Table, stmt.Schema.PrimaryFieldDBNames, keys)
		if len(values) > 0 {
			conditions = append(conditions, clause.IN{Column: column, Values: values})
		}
	}
	add(stmt.ReflectValue)
	if stmt.ReflectValue.CanAddr() && stmt.Dest != stmt.Model && stmt.Model != nil {
		add(reflect.ValueOf(stmt.Model))
	}
	p.remember(db, conditions)
}

func (p *plugin) afterDelete(db *gorm.DB) {
	old, ok := instance[before](db, beforeKey)
	if !ok || db.Error != nil || db.RowsAffected == 0 {
		return
	}
	p.after(db, nil, old.files)
}
