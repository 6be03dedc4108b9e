package sweepsql_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"log"
	"os"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/sweep"
)

// A program that runs every night: what lost its row is put into quarantine, and
// deleted a week later if it still has none.
func Example() {
	files := core.MustOpen(core.ConfigFromEnv())
	avatars := files.Field(core.FieldConfig{Name: "avatar", Bucket: "avatars", UploadTo: core.Strftime("avatars/%Y/%m/", nil)})
	db, err := sql.Open("sqlite", "app.sqlite")
	if err != nil {
		log.Fatal(err)
	}
	report, err := sweep.Run(context.Background(), sweep.Config{
		Bucket:       avatars.Bucket(),
		References:   []sweep.Source{sweep.SQL(db, sweep.SQLColumn{Column: "profiles.avatar", Dialect: sweep.SQLite})},
		Action:       sweep.Purge,
		CheckMissing: true,
		Found:        sweep.JSONLines(os.Stdout),
	})
	if err != nil {
		log.Print(err) // the report says so too, and what had been done
	}
	_ = json.NewEncoder(os.Stderr).Encode(report)
}
