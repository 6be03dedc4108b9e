package ledger

import (
	"database/sql"
	"embed"
	"fmt"
	"strings"
)

// Dialect is the kind of SQL a database speaks.
type Dialect uint8

// The dialects. There is no default.
const (
	// SQLite is version 3.24 or later.
	SQLite Dialect = iota + 1
	// PostgreSQL is version 9.5 or later.
	PostgreSQL
	// MariaDB is version 10.6 or later, and MySQL 8.0.1 or later.
	MariaDB
)

//go:embed migrations/*.sql
var migrations embed.FS

func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "sqlite"
	case PostgreSQL:
		return "postgresql"
	case MariaDB:
		return "mariadb"
	}
	return fmt.Sprintf("Dialect(%d)", uint8(d))
}

func (d Dialect) known() bool { return d >= SQLite && d <= MariaDB }

// Schema returns the statements that make the tables, for migration tools; ""
// for an unknown dialect. They change nothing about a table that exists.
func Schema(d Dialect) string {
	text, err := migrations.ReadFile("migrations/" + d.String() + ".sql")
	if err != nil {
		return ""
	}
	return string(text)
}

// bind numbers the parameters where the database wants them numbered.
func (d Dialect) bind(query string) string {
	if d != PostgreSQL {
		return query
	}
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			fmt.Fprintf(&b, "$%d", n)
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

const (
	columns = "id, place, bucket, object_key, upload, multipart, state, due, updated"
	insert  = "INSERT INTO filefield_ledger (" + columns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

// upsertWriting notes an object again: with its multipart id, or a claim after an
// earlier one. It must not bring back what a worker is removing, nor, where the database
// has it wait until nobody waits for it any more, what a row has had since.
func (d Dialect) upsertWriting() string {
	if d == MariaDB {
		// Assignments happen in order, so updated and state, which decide, go last.
		const decide = "(state = 'pending' OR (state = 'committed' AND updated <= VALUES(updated)))"
		return insert + " ON DUPLICATE KEY UPDATE" +
			" multipart = IF(" + decide + ", VALUES(multipart), multipart)," +
			" due = IF(" + decide + ", VALUES(due), due)," +
			" state = IF(" + decide + ", VALUES(state), state)," +
			" updated = IF(state = 'pending', VALUES(updated), updated)"
	}
	return d.bind(insert + ` ON CONFLICT (id) DO UPDATE SET multipart = excluded.multipart, state = excluded.state,
		due = excluded.due, updated = excluded.updated WHERE filefield_ledger.state = 'pending'
		OR (filefield_ledger.state = 'committed' AND filefield_ledger.updated <= excluded.updated)`)
}

func (d Dialect) upsertDeleting() string {
	if d == MariaDB {
		return insert + " ON DUPLICATE KEY UPDATE state = VALUES(state), due = VALUES(due), updated = VALUES(updated)"
	}
	return d.bind(insert + " ON CONFLICT (id) DO UPDATE SET state = excluded.state, due = excluded.due, updated = excluded.updated")
}

// holdDeleting adds a line that is not there, and not in a transaction that is under way
// either: PostgreSQL has to be asked so, where the others lock the place of one.
func (d Dialect) holdDeleting() string {
	if d != PostgreSQL {
		return ""
	}
	return d.bind(insert + " ON CONFLICT (id) DO NOTHING")
}

// byPlace names the index for MariaDB, which reads and locks all of a table that is small.
func (d Dialect) byPlace() string {
	if d == MariaDB {
		return "filefield_ledger FORCE INDEX (filefield_ledger_place)"
	}
	return "filefield_ledger"
}

// overwritten is updated in entries of uploads whose object a committed replacement is
// about to overwrite, as it does not happen otherwise.
const overwritten = "0"

// insertReplacement adds a line unless there is one, or the target is being removed.
func (d Dialect) insertReplacement() string {
	const into = "INTO filefield_replacements (id, bucket, object_key, target, upload, options, due) SELECT "
	alone := " WHERE NOT EXISTS (SELECT 1 FROM " + d.byPlace() + " WHERE place = ? AND state = 'deleting' AND updated <> " + overwritten + ")"
	if d == MariaDB {
		return "INSERT IGNORE " + into + "?, ?, ?, ?, ?, ?, ? FROM DUAL" + alone
	}
	return d.bind("INSERT " + into + "?, ?, ?, ?, ?, ?, CAST(? AS BIGINT)" + alone + " ON CONFLICT (id) DO NOTHING")
}

// skipLocked passes over entries that a transaction is about to settle.
func (d Dialect) skipLocked() string {
	if d == SQLite {
		return "" // it has one writer
	}
	return " FOR UPDATE SKIP LOCKED"
}

// taking is how entries are taken: without the locks on gaps that would have
// uploads wait in MariaDB.
func (d Dialect) taking() *sql.TxOptions {
	if d == SQLite {
		return nil
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}
