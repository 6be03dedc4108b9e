package manage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/static"
	"github.com/filefield/filefield/sweep"
)

// Config says what the commands work on. Storages or Load is required.
type Config struct {
	// Name is the command's name in an app's own tree. Default "filefield".
	Name string
	// Version is what --version prints. Empty: there is no such flag.
	Version string
	// Storages are the app's stores. The first is what object commands use where
	// --storage names no other.
	Storages []Storage
	// Load returns the storages, in place of Storages, where they depend on flags:
	// it is called once, when the flags are parsed and a command first needs them,
	// with what --storage says, or "". All that is wrong should be in its one error,
	// of kind core.ErrConfig.
	Load func(ctx context.Context, storage string) ([]Storage, error)
	// Database, if set, lets sweep read references from a database that the
	// environment names: it opens one by its URL. The errors it returns must not
	// hold the URL, which may have a password.
	Database DatabaseOpener
	// Commands are more commands, of the app's own.
	Commands []Extra
}

// Storage is one of the app's stores, and what only the app knows about it. Only
// Store is required.
type Storage struct {
	// Name is what --storage calls it. Default "default".
	Name string
	// Store is the open store, with all its buckets and fields declared.
	Store *core.Store
	// Notices are told to the user once, on standard error: what the configuration
	// says without effect.
	Notices []string
	// Sweeps say what sweep may sweep, a bucket each, and where its references come
	// from. What its flags say goes before their Action, limits and prefix.
	Sweeps []sweep.Config
	// Static are the sets of static files that collectstatic publishes.
	Static []*static.Files
}

// Extra is a command of the app's own among these.
type Extra struct {
	// Command has its name, help, arguments and flags. Required.
	Command *cobra.Command
	// Run, if set, is the command's work, with the storage that --storage names. It
	// takes the place of the Command's own RunE.
	Run func(cmd *cobra.Command, storage Storage, args []string) error
}

const defaultStorage = "default"

// Command returns the commands as one, to be added to an app's own or to be given
// to Main. It uses no network and reads no configuration; faults of the Config
// are reported by every command.
func Command(config Config) *cobra.Command {
	if config.Name == "" {
		config.Name = "filefield"
	}
	c := &commands{config: config}
	root := &cobra.Command{
		Use:     config.Name,
		Version: config.Version,
		Short:   "look after the buckets and files of this app",
		Long: "Look after the buckets and files of this app: create and check buckets, list,\n" +
			"store, fetch and remove objects, sweep orphans, publish static files.",
		Args: cobra.ArbitraryArgs, // told apart below, with an exit code of its own
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		SilenceUsage: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(cmd, "%w", err)
	})
	flags := root.PersistentFlags()
	flags.StringVar(&c.storage, "storage", "", "work on the storage of this `NAME`")
	flags.BoolVar(&c.json, "json", false, "JSON on standard output; the default where that is no terminal (--json=false: text)")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "no progress and no notices")
	root.AddCommand(
		c.initCommand(), c.checkCommand(), c.doctorCommand(), c.policyCommand(),
		c.lsCommand(), c.statCommand(), c.putCommand(), c.getCommand(), c.rmCommand(), c.urlCommand(),
		c.sweepCommand(), c.collectstaticCommand(),
	)
	for _, extra := range config.Commands {
		root.AddCommand(c.extraCommand(extra))
	}
	if err := root.RegisterFlagCompletionFunc("storage", c.completeStorages); err != nil {
		c.fault = err // the flag is there: this cannot be
	}
	return root
}

// commands is what all of them share: the configuration and the global flags.
type commands struct {
	config      Config
	storage     string
	json, quiet bool
	fault       error
	answers     *bufio.Reader // to what confirm asks

	load, told sync.Once

	storages []Storage
	failed   error
}

// all returns every storage, loading them the first time.
func (c *commands) all(ctx context.Context) ([]Storage, error) {
	c.load.Do(func() {
		c.storages, c.failed = c.config.Storages, c.fault
		if c.config.Load != nil && c.failed == nil {
			c.storages, c.failed = c.config.Load(ctx, c.storage)
		}
		if c.failed == nil {
			c.storages, c.failed = complete(c.storages)
		}
	})
	return c.storages, c.failed
}

// complete fills in names and finds what is missing or there twice.
func complete(storages []Storage) ([]Storage, error) {
	if len(storages) == 0 {
		return nil, configError(errors.New("there is no storage: give Config.Storages or Load one"))
	}
	out := make([]Storage, len(storages))
	seen := map[string]bool{}
	var faults []error
	for i, s := range storages {
		if s.Name == "" {
			s.Name = defaultStorage
		}
		if seen[s.Name] {
			faults = append(faults, fmt.Errorf("two storages are named %q", s.Name))
		}
		if s.Store == nil {
			faults = append(faults, fmt.Errorf("storage %q has no Store", s.Name))
		}
		seen[s.Name] = true
		out[i] = s
	}
	if len(faults) > 0 {
		return nil, configError(errors.Join(faults...))
	}
	return out, nil
}

// selected returns the storages that --storage names: all where it is not given.
func (c *commands) selected(cmd *cobra.Command) ([]Storage, error) {
	all, err := c.named(cmd.Context())
	c.told.Do(func() {
		for _, s := range all {
			for _, notice := range s.Notices {
				c.notice(cmd, "%s: %s", s.Name, notice)
			}
		}
	})
	return all, err
}

// named is selected without the notices, as completion needs it.
func (c *commands) named(ctx context.Context) ([]Storage, error) {
	all, err := c.all(ctx)
	if err != nil || c.storage == "" {
		return all, err
	}
	names := make([]string, 0, len(all))
	for _, s := range all {
		if s.Name == c.storage {
			return []Storage{s}, nil
		}
		names = append(names, s.Name)
	}
	return nil, configError(fmt.Errorf("there is no storage %q: it is one of %s", c.storage, strings.Join(names, ", ")))
}

// one returns the storage that --storage names: the first where it is not given.
func (c *commands) one(cmd *cobra.Command) (Storage, error) {
	some, err := c.selected(cmd)
	if err != nil {
		return Storage{}, err
	}
	return some[0], nil
}

// extraCommand makes an app's command one of these.
func (c *commands) extraCommand(extra Extra) *cobra.Command {
	if extra.Run == nil {
		return extra.Command
	}
	cmd := *extra.Command // the app's own stays as it is
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		storage, err := c.one(cmd)
		if err != nil {
			return err
		}
		return extra.Run(cmd, storage, args)
	}
	return &cmd
}
