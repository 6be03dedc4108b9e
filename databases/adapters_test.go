package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jmoiron/sqlx"
	"github.com/libtnb/sqlite"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/databases/ent"
	entprofile "github.com/filefield/filefield/databases/ent/profile"
	"github.com/filefield/filefield/databases/internal/dbtest"
	"github.com/filefield/filefield/databases/media"
	"github.com/filefield/filefield/databases/sqlcstyle"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/orm/bunfiles"
	"github.com/filefield/filefield/orm/entfiles"
	"github.com/filefield/filefield/orm/gormfiles"
	"github.com/filefield/filefield/orm/pgxfiles"
	"github.com/filefield/filefield/sqltxn"
)

// profile is a row: one struct for all but ent and sqlc, which generate theirs.
type profile struct {
	bun.BaseModel `bun:"table:profiles,alias:p" db:"-" gorm:"-"`

	ID     int64                        `bun:"id,pk,autoincrement" db:"id"     gorm:"primaryKey"`
	Name   string                       `bun:"name,notnull,unique" db:"name"   gorm:"size:100;not null;uniqueIndex"`
	Avatar fieldtype.File[media.Avatar] `bun:"avatar,type:text"    db:"avatar"`
	Extra  fieldtype.Files[media.Extra] `bun:"extra,type:text"     db:"extra"`
}

// TableName is for GORM.
func (profile) TableName() string { return "profiles" }

// rows is what the suite does with a table, in a transaction. The files that an
// update or a deletion leaves behind go when it commits.
type rows interface {
	create(ctx context.Context, p *profile) error
	get(ctx context.Context, id int64) (profile, error)
	update(ctx context.Context, p *profile) error
	delete(ctx context.Context, id int64) error
	list(ctx context.Context) ([]profile, error)
}

// run runs work in a transaction of rows and files.
type run func(ctx context.Context, options sqltxn.Options, work func(ctx context.Context, rows rows) error) error

// adapter is a way to use a database. open makes the table in its own way.
type adapter struct {
	name  string
	kinds []dbtest.Kind
	open  func(t testing.TB, d *dbtest.Database) run
}

func adapters() []adapter {
	all := dbtest.Kinds()
	return []adapter{
		{"database-sql", all, openSQL},
		{"sqlx", all, openSQLX},
		{"gorm", all, openGORM},
		{"ent", all, openEnt},
		{"bun", all, openBun},
		{"pgx", []dbtest.Kind{dbtest.PostgreSQL}, openPGX},
		{"sqlc", []dbtest.Kind{dbtest.PostgreSQL}, openSQLC},
	}
}

// database/sql

type sqlRows struct {
	tx   *sql.Tx
	kind dbtest.Kind
}

func openSQL(t testing.TB, d *dbtest.Database) run {
	mustExec(t, d.SQL, ddl(d.Kind))
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		return sqltxn.Run(ctx, d.SQL, options, func(ctx context.Context, tx *sql.Tx) error { return work(ctx, sqlRows{tx, d.Kind}) })
	}
}

// forUpdate locks the row until the transaction ends.
func forUpdate(kind dbtest.Kind) string {
	if kind == dbtest.SQLite {
		return "" // the transaction has the whole file
	}
	return " FOR UPDATE"
}

func (r sqlRows) create(ctx context.Context, p *profile) error {
	query := "INSERT INTO profiles (name, avatar, extra) VALUES (?, ?, ?) RETURNING id"
	return r.tx.QueryRowContext(ctx, r.kind.Placeholders(query), p.Name, p.Avatar, p.Extra).Scan(&p.ID)
}

func (r sqlRows) read(ctx context.Context, id int64, lock string) (p profile, err error) {
	query := "SELECT id, name, avatar, extra FROM profiles WHERE id = ?" + lock
	err = r.tx.QueryRowContext(ctx, r.kind.Placeholders(query), id).Scan(&p.ID, &p.Name, &p.Avatar, &p.Extra)
	return p, err
}

func (r sqlRows) get(ctx context.Context, id int64) (profile, error) { return r.read(ctx, id, "") }

func (r sqlRows) update(ctx context.Context, p *profile) error {
	before, err := r.read(ctx, p.ID, forUpdate(r.kind))
	if err != nil {
		return err
	}
	query := "UPDATE profiles SET name = ?, avatar = ?, extra = ? WHERE id = ?"
	if _, err := r.tx.ExecContext(ctx, r.kind.Placeholders(query), p.Name, p.Avatar, p.Extra, p.ID); err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, p)
}

func (r sqlRows) delete(ctx context.Context, id int64) error {
	before, err := r.read(ctx, id, forUpdate(r.kind))
	if err != nil {
		return err
	}
	if _, err := r.tx.ExecContext(ctx, r.kind.Placeholders("DELETE FROM profiles WHERE id = ?"), id); err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, nil)
}

func (r sqlRows) list(ctx context.Context) (list []profile, err error) {
	found, err := r.tx.QueryContext(ctx, "SELECT id, name, avatar, extra FROM profiles ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var p profile
		if err := found.Scan(&p.ID, &p.Name, &p.Avatar, &p.Extra); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, found.Err()
}

// sqlx

type sqlxRows struct {
	tx   *sqlx.Tx
	kind dbtest.Kind
}

func openSQLX(t testing.TB, d *dbtest.Database) run {
	mustExec(t, d.SQL, ddl(d.Kind))
	driver := map[dbtest.Kind]string{dbtest.SQLite: "sqlite3", dbtest.PostgreSQL: "pgx", dbtest.MariaDB: "mysql"}[d.Kind]
	db := sqlx.NewDb(d.SQL, driver)
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		// sqlx's transaction is database/sql's with more methods.
		return sqltxn.Run(ctx, db.DB, options, func(ctx context.Context, tx *sql.Tx) error {
			return work(ctx, sqlxRows{&sqlx.Tx{Tx: tx, Mapper: db.Mapper}, d.Kind})
		})
	}
}

func (r sqlxRows) bind(query string) string { return r.kind.Placeholders(query) }

func (r sqlxRows) create(ctx context.Context, p *profile) error {
	return r.tx.GetContext(ctx, &p.ID, r.bind("INSERT INTO profiles (name, avatar, extra) VALUES (?, ?, ?) RETURNING id"), p.Name, p.Avatar, p.Extra)
}

func (r sqlxRows) get(ctx context.Context, id int64) (p profile, err error) {
	err = r.tx.GetContext(ctx, &p, r.bind("SELECT * FROM profiles WHERE id = ?"), id)
	return p, err
}

func (r sqlxRows) update(ctx context.Context, p *profile) error {
	var before profile
	if err := r.tx.GetContext(ctx, &before, r.bind("SELECT * FROM profiles WHERE id = ?"+forUpdate(r.kind)), p.ID); err != nil {
		return err
	}
	query, args, err := sqlx.Named("UPDATE profiles SET name = :name, avatar = :avatar, extra = :extra WHERE id = :id", p)
	if err != nil {
		return err
	}
	if _, err := r.tx.ExecContext(ctx, r.bind(query), args...); err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, p)
}

func (r sqlxRows) delete(ctx context.Context, id int64) error {
	var before profile
	if err := r.tx.GetContext(ctx, &before, r.bind("SELECT * FROM profiles WHERE id = ?"+forUpdate(r.kind)), id); err != nil {
		return err
	}
	if _, err := r.tx.ExecContext(ctx, r.bind("DELETE FROM profiles WHERE id = ?"), id); err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, nil)
}

func (r sqlxRows) list(ctx context.Context) (list []profile, err error) {
	err = r.tx.SelectContext(ctx, &list, "SELECT * FROM profiles ORDER BY id")
	return list, err
}

// GORM

type gormRows struct{ tx *gorm.DB }

// gormDB opens GORM with the plugin.
func gormDB(t testing.TB, d *dbtest.Database, config gormfiles.Config) *gorm.DB {
	t.Helper()
	dialector := map[dbtest.Kind]func() gorm.Dialector{
		dbtest.SQLite:     func() gorm.Dialector { return &sqlite.Dialector{Conn: d.SQL} },
		dbtest.PostgreSQL: func() gorm.Dialector { return postgres.New(postgres.Config{Conn: d.SQL}) },
		dbtest.MariaDB:    func() gorm.Dialector { return mysql.New(mysql.Config{Conn: d.SQL}) },
	}[d.Kind]()
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Use(gormfiles.New(config)); err != nil {
		t.Fatal(err)
	}
	return db
}

func openGORM(t testing.TB, d *dbtest.Database) run {
	db := gormDB(t, d, gormfiles.Config{})
	if err := db.AutoMigrate(&profile{}); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		return gormfiles.Transaction(ctx, db, options, func(ctx context.Context, tx *gorm.DB) error { return work(ctx, gormRows{tx}) })
	}
}

func (r gormRows) create(ctx context.Context, p *profile) error {
	return r.tx.WithContext(ctx).Create(p).Error
}

func (r gormRows) get(ctx context.Context, id int64) (p profile, err error) {
	return p, r.tx.WithContext(ctx).First(&p, id).Error
}

func (r gormRows) update(ctx context.Context, p *profile) error {
	return r.tx.WithContext(ctx).Save(p).Error
}

func (r gormRows) delete(ctx context.Context, id int64) error {
	return r.tx.WithContext(ctx).Delete(&profile{}, id).Error
}

func (r gormRows) list(ctx context.Context) (list []profile, err error) {
	return list, r.tx.WithContext(ctx).Order(clause.OrderByColumn{Column: clause.Column{Name: "id"}}).Find(&list).Error
}

// ent

type entRows struct{ client *ent.Client }

func entDialect(kind dbtest.Kind) string {
	return map[dbtest.Kind]string{dbtest.SQLite: dialect.SQLite, dbtest.PostgreSQL: dialect.Postgres, dbtest.MariaDB: dialect.MySQL}[kind]
}

// entClient returns a client with the hook.
func entClient(driver dialect.Driver) *ent.Client {
	client := ent.NewClient(ent.Driver(driver))
	client.Profile.Use(entfiles.Hook(func(ctx context.Context, m *ent.ProfileMutation, ids []int64) (any, error) {
		query := m.Client().Profile.Query().Where(entprofile.IDIn(ids...))
		if driver.Dialect() != dialect.SQLite {
			query = query.ForUpdate()
		}
		return query.All(ctx)
	}))
	return client
}

func openEnt(t testing.TB, d *dbtest.Database) run {
	name := entDialect(d.Kind)
	if err := ent.NewClient(ent.Driver(entsql.OpenDB(name, d.SQL))).Schema.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		return entfiles.Run(ctx, d.SQL, name, options, func(ctx context.Context, driver dialect.Driver) error {
			return work(ctx, entRows{entClient(driver)})
		})
	}
}

func (r entRows) create(ctx context.Context, p *profile) error {
	create := r.client.Profile.Create().SetName(p.Name).SetExtra(media.ExtraFiles{Files: p.Extra})
	if !p.Avatar.IsZero() {
		create.SetAvatar(media.AvatarFile{File: p.Avatar})
	}
	row, err := create.Save(ctx)
	if err != nil {
		return err
	}
	p.ID = row.ID
	return nil
}

func fromEnt(row *ent.Profile) profile {
	return profile{ID: row.ID, Name: row.Name, Avatar: row.Avatar.File, Extra: row.Extra.Files}
}

func (r entRows) get(ctx context.Context, id int64) (profile, error) {
	row, err := r.client.Profile.Get(ctx, id)
	if err != nil {
		return profile{}, err
	}
	return fromEnt(row), nil
}

func (r entRows) update(ctx context.Context, p *profile) error {
	update := r.client.Profile.UpdateOneID(p.ID).SetName(p.Name).SetExtra(media.ExtraFiles{Files: p.Extra})
	if p.Avatar.IsZero() {
		update.ClearAvatar()
	} else {
		update.SetAvatar(media.AvatarFile{File: p.Avatar})
	}
	return update.Exec(ctx)
}

func (r entRows) delete(ctx context.Context, id int64) error {
	return r.client.Profile.DeleteOneID(id).Exec(ctx)
}

func (r entRows) list(ctx context.Context) (list []profile, err error) {
	found, err := r.client.Profile.Query().Order(entprofile.ByID()).All(ctx)
	for _, row := range found {
		list = append(list, fromEnt(row))
	}
	return list, err
}

// bun

type bunRows struct{ tx bun.Tx }

func openBun(t testing.TB, d *dbtest.Database) run {
	dialects := map[dbtest.Kind]schema.Dialect{dbtest.SQLite: sqlitedialect.New(), dbtest.PostgreSQL: pgdialect.New(), dbtest.MariaDB: mysqldialect.New()}
	db := bun.NewDB(d.SQL, dialects[d.Kind])
	db = db.WithQueryHook(bunfiles.Hook{Failed: func(_ context.Context, err error) {
		if !errors.Is(err, core.ErrPrecondition) { // testStale wants that
			t.Errorf("bun's hook: %v", err)
		}
	}})
	if _, err := db.NewCreateTable().Model((*profile)(nil)).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		return bunfiles.Run(ctx, db, options, func(ctx context.Context, tx bun.Tx) error { return work(ctx, bunRows{tx}) })
	}
}

func (r bunRows) create(ctx context.Context, p *profile) error {
	_, err := r.tx.NewInsert().Model(p).Exec(ctx)
	return err
}

func (r bunRows) get(ctx context.Context, id int64) (p profile, err error) {
	return p, r.tx.NewSelect().Model(&p).Where("id = ?", id).Scan(ctx)
}

func (r bunRows) update(ctx context.Context, p *profile) error {
	_, err := r.tx.NewUpdate().Model(p).WherePK().Exec(ctx)
	return err
}

func (r bunRows) delete(ctx context.Context, id int64) error {
	_, err := r.tx.NewDelete().Model(&profile{ID: id}).WherePK().Exec(ctx)
	return err
}

func (r bunRows) list(ctx context.Context) (list []profile, err error) {
	return list, r.tx.NewSelect().Model(&list).Order("id").Scan(ctx)
}

// pgx

type pgxRows struct{ tx pgx.Tx }

func pgxPool(t testing.TB, d *dbtest.Database) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func openPGX(t testing.TB, d *dbtest.Database) run {
	mustExec(t, d.SQL, ddl(d.Kind))
	pool := pgxPool(t, d)
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		return pgxfiles.Run(ctx, pool, options, func(ctx context.Context, tx pgx.Tx) error { return work(ctx, pgxRows{tx}) })
	}
}

func (r pgxRows) create(ctx context.Context, p *profile) error {
	return r.tx.QueryRow(ctx, "INSERT INTO profiles (name, avatar, extra) VALUES ($1, $2, $3) RETURNING id", p.Name, p.Avatar, p.Extra).Scan(&p.ID)
}

func (r pgxRows) read(ctx context.Context, id int64, lock string) (p profile, err error) {
	err = r.tx.QueryRow(ctx, "SELECT id, name, avatar, extra FROM profiles WHERE id = $1"+lock, id).Scan(&p.ID, &p.Name, &p.Avatar, &p.Extra)
	return p, err
}

func (r pgxRows) get(ctx context.Context, id int64) (profile, error) { return r.read(ctx, id, "") }

func (r pgxRows) update(ctx context.Context, p *profile) error {
	before, err := r.read(ctx, p.ID, " FOR UPDATE")
	if err != nil {
		return err
	}
	if _, err := r.tx.Exec(ctx, "UPDATE profiles SET name = $1, avatar = $2, extra = $3 WHERE id = $4", p.Name, p.Avatar, p.Extra, p.ID); err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, p)
}

func (r pgxRows) delete(ctx context.Context, id int64) error {
	var before profile
	err := r.tx.QueryRow(ctx, "DELETE FROM profiles WHERE id = $1 RETURNING avatar, extra", id).Scan(&before.Avatar, &before.Extra)
	if err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, nil)
}

func (r pgxRows) list(ctx context.Context) ([]profile, error) {
	found, err := r.tx.Query(ctx, "SELECT id, name, avatar, extra FROM profiles ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (p profile, err error) {
		return p, row.Scan(&p.ID, &p.Name, &p.Avatar, &p.Extra)
	})
}

// sqlc

type sqlcRows struct{ q *sqlcstyle.Queries }

func openSQLC(t testing.TB, d *dbtest.Database) run {
	mustExec(t, d.SQL, ddl(d.Kind))
	pool := pgxPool(t, d)
	return func(ctx context.Context, options sqltxn.Options, work func(context.Context, rows) error) error {
		return pgxfiles.Run(ctx, pool, options, func(ctx context.Context, tx pgx.Tx) error { return work(ctx, sqlcRows{sqlcstyle.New(tx)}) })
	}
}

func (r sqlcRows) create(ctx context.Context, p *profile) error {
	row, err := r.q.CreateProfile(ctx, sqlcstyle.CreateProfileParams{
		Name: p.Name, Avatar: media.AvatarFile{File: p.Avatar}, Extra: media.ExtraFiles{Files: p.Extra},
	})
	p.ID = row.ID
	return err
}

func fromSQLC(row sqlcstyle.Profile) profile {
	return profile{ID: row.ID, Name: row.Name, Avatar: row.Avatar.File, Extra: row.Extra.Files}
}

func (r sqlcRows) get(ctx context.Context, id int64) (profile, error) {
	row, err := r.q.GetProfile(ctx, id)
	return fromSQLC(row), err
}

func (r sqlcRows) update(ctx context.Context, p *profile) error {
	before, err := r.q.GetProfileForUpdate(ctx, p.ID)
	if err != nil {
		return err
	}
	err = r.q.UpdateProfile(ctx, sqlcstyle.UpdateProfileParams{
		ID: p.ID, Name: p.Name, Avatar: media.AvatarFile{File: p.Avatar}, Extra: media.ExtraFiles{Files: p.Extra},
	})
	if err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, p)
}

func (r sqlcRows) delete(ctx context.Context, id int64) error {
	before, err := r.q.DeleteProfile(ctx, id)
	if err != nil {
		return err
	}
	return sqltxn.Replace(ctx, before, nil)
}

func (r sqlcRows) list(ctx context.Context) (list []profile, err error) {
	found, err := r.q.ListProfiles(ctx)
	for _, row := range found {
		list = append(list, fromSQLC(row))
	}
	return list, err
}
