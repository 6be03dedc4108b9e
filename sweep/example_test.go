package sweep_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/sweep"
)

// References of any database come as lines of another program's output.
func ExampleLines() {
	source := sweep.Lines("profiles", strings.NewReader("avatars/a.png\n"+`{"v":1,"key":"avatars/b.png"}`+"\nEND\n"), "END")
	for key, err := range source.Keys(context.Background()) {
		fmt.Println(key, err)
	}
	// Output:
	// avatars/a.png <nil>
	// avatars/b.png <nil>
}

// Findings are lines of JSON.
func ExampleJSONLines() {
	write := sweep.JSONLines(os.Stdout)
	_ = write(sweep.Finding{Kind: sweep.Orphan, Outcome: sweep.Isolated, Key: "avatars/a.png", Size: 4096})
	_ = write(sweep.Finding{Kind: sweep.Missing, Outcome: sweep.Reported, Key: "avatars/b.png", Source: "profiles.avatar"})
	// Output:
	// {"kind":"orphan","outcome":"isolated","key":"avatars/a.png","size":4096}
	// {"kind":"missing","outcome":"reported","key":"avatars/b.png","source":"profiles.avatar"}
}

// What has no row goes into quarantine, and a week later it is deleted if it still
// has none. What went there by mistake comes back.
func Example() {
	ctx := context.Background()
	store := core.MustOpen(core.ConfigFromEnv())
	avatars := store.Field(core.FieldConfig{Name: "avatar", Bucket: "avatars", UploadTo: core.Strftime("avatars/%Y/%m/", nil)})
	var db *sql.DB // the app's

	report, err := sweep.Run(ctx, sweep.Config{
		Bucket:       avatars.Bucket(),
		References:   []sweep.Source{sweep.SQL(db, sweep.SQLColumn{Column: "profiles.avatar", Dialect: sweep.Postgres})},
		Action:       sweep.Purge,
		CheckMissing: true,
		Found:        sweep.JSONLines(os.Stdout),
	})
	if err != nil {
		fmt.Println("stopped:", err)
	}
	fmt.Println(report.Isolated, "isolated,", report.Deleted, "deleted,", report.Missing, "missing")

	_, _ = sweep.Restore(ctx, sweep.RestoreConfig{Bucket: avatars.Bucket(), Prefix: "avatars/2026/11/"})
}
