// Package ledger keeps a table in the app's own database of the objects that are
// being written and removed, so that rows and objects agree again after any
// crash: create, replace and delete, whatever the moment.
//
//	book, err := ledger.New(ledger.Config{DB: db, Dialect: ledger.PostgreSQL})
//	err = book.Migrate(ctx) // or run ledger.Schema(ledger.PostgreSQL) yourself
//	go book.Work(ctx, store)  // finishes what a crash left; any number may run
//
//	// Uploads note what they write; the row and the note are committed together.
//	http.ListenAndServe(addr, book.Middleware(nethttp.Middleware(mux)))
//
//	err = sqltxn.Run(ctx, db, sqltxn.Options{Ledger: book}, func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "UPDATE profiles SET avatar = $1 WHERE id = $2", p.Avatar, p.ID)
//		return err
//	})
//
// An entry is pending from before the first byte is sent until the database
// transaction that has the row turns it to committed. What the transaction
// replaces or deletes gets an entry in the same transaction, deleting, which goes
// when the object is gone, and what takes the place of another object (Upload.Replace) a
// line that goes when it is there. The worker removes what stayed pending for longer than
// Config.Grace, and what stayed deleting, and finishes replacements. Safe for concurrent
// use.
//
// It also decides which of several requests has a direct upload, in a table of its
// own: put Middleware around the endpoint that begins them and around the routes that
// take their tokens.
//
// Every file stored under the ledger has to be committed through it: what is
// still pending after the grace period is removed. A transaction that comes too
// late for its files fails, and its rows with it.
package ledger
