// Package manage is the management commands: buckets brought into being and
// checked, objects listed, stored, fetched and removed, orphans swept, static
// files published. An app embeds them in its own binary, where they see the
// buckets and fields it declares; the program cmd/filefield is the same commands
// for an app that is configured by the environment or a file.
//
//	func main() {
//		commands := manage.Command(manage.Config{
//			Name:     "files",
//			Storages: []manage.Storage{{Store: store}}, // the app's own
//		})
//		root := &cobra.Command{Use: "shop"} // the app's commands
//		root.AddCommand(commands)           // shop files init
//		os.Exit(manage.Main(context.Background(), root))
//	}
//
// An app without commands of its own gives Main what Command returns.
//
// Results go to standard output: text for a terminal, JSON otherwise, one value a
// line. Progress, notices and errors go to standard error: bars and text on a
// terminal, JSON lines otherwise. ExitCode says what a failure is in numbers;
// docs/commands.md has them all.
package manage
