package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/registry/retention"
)

func registrySettingsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "settings [REPOSITORY]", Short: "show or change how a repository is governed, or without one all of a project's", Args: cobra.MaximumNArgs(1),
		Example: `  slipway registry settings                                  # the project's
  slipway registry settings --quota 50GiB --immutable 'v[0-9]*'
  slipway registry settings shop/web --public
  slipway registry settings shop/web --retention policy.json  # - for standard input, "" for none of its own`}
	f := addRegistryFlags(cmd)
	flags := cmd.Flags()
	public := flags.Bool("public", false, "let anybody pull without signing in; --public=false ends that")
	quota := flags.String("quota", "", "bytes that it may take up, as 10GiB; 0 for any")
	tags := flags.Int64("tags", 0, "tags that it may have; 0 for any number")
	immutable := flags.StringSlice("immutable", nil, `patterns of tags that are never moved or deleted; "" for none`)
	file := flags.String("retention", "", `file with a retention policy as JSON; "" for none`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := readAccess(*f.data)
		if err != nil {
			return err
		}
		path := f.path("settings", "repository", strings.Join(args, ""))
		var s api.RegistrySettings
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &s); err != nil {
			return err
		}
		s.Public, s.Used = nil, nil
		changed := false
		set := func(name string, f func() error) {
			if err == nil && flags.Changed(name) {
				changed = true
				err = f()
			}
		}
		set("public", func() error { s.Public = public; return nil })
		set("quota", func() (err error) { s.Quota.Bytes, err = parseSize(*quota); return err })
		set("tags", func() error { s.Quota.Tags = *tags; return nil })
		set("immutable", func() error { s.Immutable = withoutEmpty(*immutable); return nil })
		set("retention", func() (err error) {
			if s.Retention = nil; *file != "" {
				s.Retention, err = readPolicy(cmd.InOrStdin(), *file)
			}
			return err
		})
		if err != nil {
			return err
		}
		method, body := http.MethodGet, any(nil)
		if changed {
			method, body = http.MethodPut, s
		}
		s = api.RegistrySettings{}
		if err := a.call(cmd.Context(), method, path, body, &s); err != nil {
			return err
		}
		return showSettings(cmd.OutOrStdout(), s)
	}
	return cmd
}

func parseSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("size %q: write bytes, or a number with KiB, MiB, GiB or TiB", text)
	}
	return int64(n), nil
}

func byteSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func withoutEmpty(list []string) []string {
	var kept []string
	for _, s := range list {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

const maxPolicyFile = 256 << 10

// readPolicy reads a retention policy; a field that it does not have is a mistake.
func readPolicy(in io.Reader, file string) (*retention.Policy, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, maxPolicyFile))
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	var p retention.Policy
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("the policy is not as expected: %w; docs/registry.md has an example", err)
	}
	return &p, p.Check()
}

func showSettings(out io.Writer, s api.RegistrySettings) error {
	limit := func(used, limit int64, write func(int64) string) string {
		if limit == 0 {
			return write(used) + ", no quota"
		}
		return write(used) + " of " + write(limit)
	}
	policy := "none: everything stays"
	if s.Public != nil {
		policy = "the project's"
	}
	if s.Retention != nil {
		b, err := json.MarshalIndent(s.Retention, "", "  ")
		if err != nil {
			return err
		}
		policy = string(b)
	}
	if s.Public != nil {
		fmt.Fprintf(out, "public:     %v\n", *s.Public)
	}
	fmt.Fprintf(out, "size:       %s\n", limit(s.Used.Bytes, s.Quota.Bytes, byteSize))
	fmt.Fprintf(out, "tags:       %s\n", limit(s.Used.Tags, s.Quota.Tags, func(n int64) string { return fmt.Sprint(n) }))
	fmt.Fprintf(out, "immutable:  %s\n", strings.Join(s.Immutable, ", "))
	fmt.Fprintf(out, "retention:  %s\n", policy)
	return nil
}
