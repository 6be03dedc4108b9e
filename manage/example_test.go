package manage_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/manage"
)

func openStore() *core.Store {
	return core.MustOpen(core.Config{
		Endpoint: "127.0.0.1:9000", AccessKey: "app", SecretKey: "secret",
		PublicBuckets: []string{"media"}, PrivateBuckets: []string{"documents"},
		SigningKeys: []core.Secret{"an example of a signing key"},
	})
}

// An app adds the commands to its own.
func ExampleCommand() {
	root := &cobra.Command{Use: "shop"}
	root.AddCommand(manage.Command(manage.Config{
		Name:     "files",
		Storages: []manage.Storage{{Store: openStore()}},
	}))

	root.SetArgs([]string{"files", "ls", "--json=false"}) // as the command line would
	root.SetOut(os.Stdout)
	manage.Main(context.Background(), root) // os.Exit(…)
	// Output:
	// documents  private
	// media      public
}

// A command of the app's own gets the storage that --storage names.
func ExampleExtra() {
	commands := manage.Command(manage.Config{
		Storages: []manage.Storage{{Name: "main", Store: openStore()}, {Name: "archive", Store: openStore()}},
		Commands: []manage.Extra{{
			Command: &cobra.Command{Use: "where", Short: "say where files are"},
			Run: func(cmd *cobra.Command, storage manage.Storage, _ []string) error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), storage.Name, "is at", storage.Store.Endpoint())
				return err
			},
		}},
	})
	commands.SetArgs([]string{"where", "--storage", "archive"})
	commands.SetOut(os.Stdout)
	manage.Main(context.Background(), commands)
	// Output: archive is at 127.0.0.1:9000
}

func ExampleExitCode() {
	fmt.Println(manage.ExitCode(nil), manage.ExitCode(&core.Error{Kind: core.ErrNotFound}), manage.ExitCode(errors.New("no")))
	// Output: 0 4 1
}
