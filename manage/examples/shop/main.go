// Command shop is an app with management commands of its own, to which it adds
// those of the package manage: "shop files init".
package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/manage"
	"github.com/filefield/filefield/static"
	"github.com/filefield/filefield/sweep"
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
	photos := store.Field(core.FieldConfig{Name: "photo", Model: "product", Bucket: os.Getenv("SHOP_PHOTOS"), Accept: core.Images})
	files, err := assets(store)
	if err != nil {
		return nil, err
	}
	archive := core.ConfigFromEnv()
	archive.PrivateBuckets, archive.PublicBuckets = []string{os.Getenv("SHOP_ARCHIVE")}, nil
	old, err := core.Open(archive)
	if err != nil {
		return nil, err
	}
	return []manage.Storage{
		{
			Name: "shop", Store: store, Static: []*static.Files{files},
			Sweeps: []sweep.Config{{Bucket: photos.Bucket(), References: []sweep.Source{sweep.Keys("products", products)}}},
		},
		{Name: "archive", Store: old},
	}, nil
}

//go:embed assets
var embedded embed.FS

// assets are the shop's static files.
func assets(store *core.Store) (*static.Files, error) {
	root, err := fs.Sub(embedded, "assets")
	if err != nil {
		return nil, err
	}
	return static.New(store, static.Config{Sources: []fs.FS{root}, Bucket: os.Getenv("SHOP_ASSETS")})
}

// products yields the photos that the shop's rows refer to. A real shop gives
// sweep.SQL a column; this one's rows are words in the environment.
func products(context.Context) iter.Seq2[core.Key, error] {
	return func(yield func(core.Key, error) bool) {
		for _, row := range strings.Fields(os.Getenv("SHOP_ROWS")) {
			if !yield(core.ParseKey(row)) {
				return
			}
		}
	}
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
