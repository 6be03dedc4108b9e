// Command shop is an app with management commands of its own, to which it adds
// those of the package manage: "shop files init".
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/manage"
)

func main() {
	root := &cobra.Command{Use: "shop", Short: "a shop"}
	root.AddCommand(&cobra.Command{Use: "serve", Short: "sell things", Run: func(*cobra.Command, []string) {}})
	root.AddCommand(files())
	os.Exit(manage.Main(context.Background(), root))
}

// files are the commands for the shop's two storages.
func files() *cobra.Command {
	return manage.Command(manage.Config{Name: "files", Load: storages, Commands: []manage.Extra{{
		Command: &cobra.Command{Use: "price BUCKET", Short: "say what a bucket costs", Args: cobra.ExactArgs(1)},
		Run:     price,
	}}})
}

// storages opens the stores and declares what is in them.
func storages(context.Context, string) ([]manage.Storage, error) {
	store, err := core.Open(core.ConfigFromEnv())
	if err != nil {
		return nil, err
	}
	store.Field(core.FieldConfig{Name: "photo", Model: "product", Bucket: os.Getenv("SHOP_PHOTOS"), Accept: core.Images})

	archive := core.ConfigFromEnv()
	archive.PrivateBuckets, archive.PublicBuckets = []string{os.Getenv("SHOP_ARCHIVE")}, nil
	old, err := core.Open(archive)
	if err != nil {
		return nil, err
	}
	return []manage.Storage{{Name: "shop", Store: store}, {Name: "archive", Store: old}}, nil
}

// price is a command of the shop's own.
func price(cmd *cobra.Command, storage manage.Storage, args []string) error {
	var bytes int64
	for o, err := range storage.Store.Bucket(args[0]).Walk(cmd.Context(), "") {
		if err != nil {
			return err
		}
		bytes += o.Size
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes in storage %s\n", args[0], bytes, storage.Name)
	return err
}
