package manage

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/filefield/filefield/core"
)

// linkResult is a URL in JSON.
type linkResult struct {
	Bucket  string     `json:"bucket"`
	Key     string     `json:"key"`
	URL     string     `json:"url"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (c *commands) urlCommand() *cobra.Command {
	var options core.URLOptions
	var download, exists bool
	cmd := &cobra.Command{
		Use:   "url BUCKET/KEY",
		Short: "print where a browser gets an object",
		Long: "Print where a browser gets an object: a plain URL in a public bucket, one that is\n" +
			"signed for some time otherwise. Whoever has a signed URL has the object, so no\n" +
			"other command prints one. Storage is not asked, but for --check.\n\n" +
			"The URL is printed bare, unless --json is given.",
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: c.completeAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.objectPlace(cmd, args[0])
			if err != nil {
				return err
			}
			if exists {
				if _, err := p.in.Stat(cmd.Context(), p.object); err != nil {
					return err
				}
			}
			options.Window = core.NoWindow // the expiry is what was asked for
			if download || options.Name != "" {
				options.Disposition = core.Attachment
			}
			return c.link(cmd, p, options)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&options.Expiry, "expiry", 0, "how long a signed URL works, 1s to 168h (default: the configuration's)")
	flags.BoolVar(&download, "download", false, "have browsers save the file, not show it")
	flags.StringVar(&options.Name, "name", "", "the file `NAME` to save it under; implies --download")
	flags.StringVar(&options.VersionID, "object-version", "", "the `ID` of a version of the object")
	flags.BoolVar(&options.Internal, "internal", false, "for other servers: at the endpoint this program uses, not the external one")
	flags.BoolVar(&exists, "check", false, "fail where the object does not exist")
	return cmd
}

func (c *commands) link(cmd *cobra.Command, p place, options core.URLOptions) error {
	link, err := p.in.URL(cmd.Context(), p.object, options)
	if err != nil {
		return err
	}
	out := results(cmd)
	if !c.json { // bare in a pipe too: URL=$(filefield url …)
		_ = out.line(link)
		return out.end(nil)
	}
	r := linkResult{Bucket: p.bucket, Key: p.key, URL: link}
	if expires, ok := expiryOf(link); ok {
		r.Expires = &expires
	}
	_ = out.value(r)
	return out.end(nil)
}

// expiryOf reads from a signed URL when it ends (AWS Signature Version 4, in the
// query).
func expiryOf(link string) (time.Time, bool) {
	u, err := url.Parse(link)
	if err != nil {
		return time.Time{}, false
	}
	query := u.Query()
	signed, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	lives, bad := time.ParseDuration(query.Get("X-Amz-Expires") + "s")
	return signed.Add(lives), err == nil && bad == nil
}
