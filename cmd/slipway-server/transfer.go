package main

import (
	"errors"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"slipway/internal/registry/transfer"
)

// transferFlags are those that import and export have in common.
type transferFlags struct {
	data        *string
	options     transfer.Options
	noReferrers bool
}

func (t *transferFlags) add(cmd *cobra.Command) {
	t.data = dataFlag(cmd)
	cmd.Flags().StringArrayVar(&t.options.Platforms, "platform", nil, "platform to carry, as linux/amd64; may be given again (default all)")
	cmd.Flags().BoolVar(&t.noReferrers, "no-referrers", false, "leave out signatures, SBOMs and what else is about an image")
}

// loudFrom is the size in bytes from which on a content gets a line of its own while images are carried.
const loudFrom = 1 << 20

// ready completes the options and says where the registry is.
func (t *transferFlags) ready(progress io.Writer) (transfer.Registry, transfer.Options, error) {
	a, err := readAccess(*t.data)
	if err != nil {
		return transfer.Registry{}, t.options, err
	}
	t.options.Referrers = !t.noReferrers
	t.options.Progress = func(name string, d ocispec.Descriptor) {
		if d.Size >= loudFrom {
			fmt.Fprintf(progress, "  %s: %s, %s\n", name, d.Digest.Encoded()[:12], bytesText(d.Size))
		}
	}
	return transfer.Registry{URL: a.URL, Username: "slipway", Password: a.Token}, t.options, nil
}

// carried says what was done for an image.
func carried(out io.Writer) func(transfer.Result) {
	return func(r transfer.Result) {
		text := fmt.Sprintf("%s copied in %s", bytesText(r.Bytes), counted(r.Copied, "content"))
		if r.Copied == 0 {
			text = "was there already"
		}
		if r.Referrers > 0 {
			text += fmt.Sprintf(", with %d about it", r.Referrers)
		}
		fmt.Fprintf(out, "%s  %s  %s\n", r.Name, r.Digest, text)
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func imageImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import [SOURCE…]", Short: "bring images into the registry: from archives, OCI layouts or other registries",
		Long: `A SOURCE is an archive that "docker save" wrote, an OCI layout in a folder or tar file (compressed by gzip or not), or the
name of an image in another registry. An image is called as in its source, without the registry's host, unless --to says
otherwise. What is there already is not sent again, so an import that was interrupted can be given again.

With --mirror an administrator of the installation brings in what builds and pods ask for by its own name, such as gcr.io/distroless/static
or golang:1.26, so that they find it here without a network.`,
		Example: `  slipway registry import web.tar --to shop/web:12
  slipway registry import ghcr.io/acme/tool:3 --to shop/tool:3 --platform linux/amd64
  slipway registry import images/ --to shop/
  slipway registry import --mirror bases.tar
  slipway registry import --list images.txt`,
	}
	var flags transferFlags
	flags.add(cmd)
	f := cmd.Flags()
	var to, list, username, passwordFile string
	var mirror bool
	f.StringVar(&to, "to", "", "name in the registry, as shop/web:12, or what comes before the images' own names, as shop/")
	f.BoolVar(&mirror, "mirror", false, "put each image where builds, nodes and jobs of this installation find it by the name that it has elsewhere, below library/")
	f.StringVar(&list, "list", "", "file with a SOURCE and, if wanted, a name on each line; # begins a remark")
	f.StringVar(&username, "username", "", "whom the other registry knows (default what docker login left)")
	f.StringVar(&passwordFile, "password-file", "", "file with that user's password or token")
	cmd.MarkFlagsMutuallyExclusive("to", "mirror")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := readPasswordFile(passwordFile)
		if err != nil {
			return err
		}
		var imports []transfer.Import
		for _, source := range args {
			imports = append(imports, transfer.Import{Source: source, Name: to})
		}
		if list != "" {
			more, err := transfer.ReadList(list)
			if err != nil {
				return err
			}
			imports = append(imports, more...)
		}
		if len(imports) == 0 {
			return errors.New("name a SOURCE, or a file of them with --list")
		}
		registry, options, err := flags.ready(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		for _, i := range imports {
			i.Username, i.Password, i.Mirror = username, *password, mirror && i.Name == ""
			if err := i.Run(cmd.Context(), registry, options, carried(cmd.OutOrStdout())); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func imageExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export NAME… FILE", Short: "write images of the registry into an OCI layout archive, for a site without network", Args: cobra.MinimumNArgs(2),
		Example: `  slipway registry export shop/web:12 shop/api:7 release.tar
  slipway registry export docker.io/library/golang:1.26 --platform linux/amd64 golang.tar`,
	}
	var flags transferFlags
	flags.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		registry, options, err := flags.ready(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		names, file := args[:len(args)-1], args[len(args)-1]
		return transfer.Export(cmd.Context(), registry, names, file, options, carried(cmd.OutOrStdout()))
	}
	return cmd
}
