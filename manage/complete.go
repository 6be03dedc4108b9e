package manage

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// completeWithin bounds what a person who pressed the Tab key waits for.
	completeWithin = 2 * time.Second
	// completions is how many keys are offered.
	completions = 200
)

// completeStorages offers the names of the storages.
func (c *commands) completeStorages(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := c.all(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(all))
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeAddress offers the declared buckets, and below one what it holds.
func (c *commands) completeAddress(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	silent := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	storages, err := c.named(cmd.Context())
	if err != nil {
		return nil, silent
	}
	storage := storages[0]
	bucket, key, inside := strings.Cut(typed, "/")
	if !inside {
		var names []string
		for _, b := range storage.Store.Buckets() {
			if strings.HasPrefix(b.Name(), bucket) {
				names = append(names, b.Name()+"/")
			}
		}
		return names, silent
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	folder := key[:strings.LastIndexByte(key, '/')+1]
	var names []string
	for entry, err := range storage.Store.Bucket(bucket).List(ctx, folder) {
		if err != nil || len(names) == completions {
			break
		}
		name := folder + entry.Name
		if !strings.HasPrefix(name, key) || shown(entry.Name) != entry.Name {
			continue
		}
		if entry.Dir {
			name += "/"
		}
		names = append(names, bucket+"/"+name)
	}
	if len(names) == 1 && !strings.HasSuffix(names[0], "/") {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return names, silent
}

// completePut offers files first, then addresses too.
func (c *commands) completePut(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, directive := c.completeAddress(cmd, args, typed)
	return names, directive &^ cobra.ShellCompDirectiveNoFileComp
}

// completeGet offers addresses first, then files.
func (c *commands) completeGet(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return c.completeAddress(cmd, args, typed)
	}
	return nil, cobra.ShellCompDirectiveDefault
}
