// Command filefield looks after the buckets and files of an app that is
// configured by the environment: the management commands of the package manage,
// as a program. docs/commands.md describes them.
//
//	export MINIO_ENDPOINT=… MINIO_ACCESS_KEY=… MINIO_SECRET_KEY=… MINIO_PUBLIC_BUCKETS=media
//	filefield init
//	filefield put logo.png media/
//
// It knows the buckets of the configuration alone. An app that declares more in
// its code embeds the package manage in its own binary.
package main

import (
	"context"
	"os"

	"github.com/filefield/filefield/manage"
)

func main() {
	p := &program{}
	root := manage.Command(manage.Config{Load: p.load, Database: openDatabase, Version: version()})
	p.flags(root)
	os.Exit(manage.Main(context.Background(), root))
}
