// Package dbtest gives tests real databases.
//
//	func TestMain(m *testing.M) { dbtest.Main(m) }
//
//	func TestRows(t *testing.T) {
//		for _, kind := range dbtest.Kinds() {
//			t.Run(string(kind), func(t *testing.T) {
//				t.Parallel()
//				db := dbtest.Open(t, kind) // a database of its own
//				_, err := db.SQL.ExecContext(t.Context(), "CREATE TABLE …")
//			})
//		}
//	}
//
// PostgreSQL and MariaDB are started at the first use, one server of each per
// test binary, from Debian's packages postgresql and mariadb-server. They listen
// on sockets in a temporary folder, give durability up for speed, and end with
// the test binary, however that ends. SQLite is a file per test.
package dbtest
