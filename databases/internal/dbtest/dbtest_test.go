package dbtest_test

import (
	"testing"

	"github.com/filefield/filefield/databases/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second would find the first one's table
				d := dbtest.Open(t, kind)
				if _, err := d.SQL.ExecContext(t.Context(), "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))"); err != nil {
					t.Fatal(err)
				}
				if _, err := d.SQL.ExecContext(t.Context(), kind.Placeholders("INSERT INTO t (id, v) VALUES (?, ?)"), 1, "über"); err != nil {
					t.Fatal(err)
				}
				var v string
				if err := d.SQL.QueryRowContext(t.Context(), "SELECT v FROM t").Scan(&v); err != nil || v != "über" {
					t.Errorf("read %q, %v", v, err)
				}
			}
		})
	}
}
