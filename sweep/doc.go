// Package sweep finds the objects of a bucket that no row refers to, and the rows
// whose object is missing, beside live traffic. It removes the former where it is
// told to, after a time in quarantine.
//
//	report, err := sweep.Run(ctx, sweep.Config{
//		Bucket: store.Bucket("avatars"),
//		References: []sweep.Source{
//			sweep.SQL(db, sweep.SQLColumn{Column: "profiles.avatar", Dialect: sweep.Postgres}),
//		},
//		Action:       sweep.Purge, // the zero value is a dry run
//		CheckMissing: true,
//		Found:        sweep.JSONLines(os.Stdout),
//	})
//
// Storage is listed first; then the references are read, so that a row committed
// meanwhile is seen; then every candidate is looked at again, and asked for again
// in the database, right before anything happens to it. Objects younger than
// MinAge, which outlasts every token of the Store, are let alone. Whatever fails
// ends the run: an error is never read as "no row" or "no object".
//
// Config, Report and Finding say what goes in and comes out; Source where
// references come from; Restore takes objects out of quarantine.
package sweep
