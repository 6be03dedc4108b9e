// Package databases has no code of its own. Its tests hold the library against
// real databases, SQLite, PostgreSQL and MariaDB, through database/sql, sqlx, GORM,
// ent, bun, pgx and code in sqlc's style, with files on a real S3 engine: what is
// created, read, replaced, cleared, deleted, rolled back and refused (matrix_test.go),
// what transactions do when things go wrong (transactions_test.go), and what is
// left when a process is killed at any moment (crash_test.go).
//
//	go test ./databases -run 'TestEveryORM/PostgreSQL/gorm'
package databases
