package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/registry"
)

const upstreamsPath = "/_apis/slipway/registry/upstreams"

func upstreamPath(name string) string { return upstreamsPath + "/" + url.PathEscape(name) }

func upstreamsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "upstreams", Short: "list, make, change or delete registries whose images are read through this one and kept", Args: cobra.NoArgs,
		Example: `  slipway registry upstreams set docker.io --username ada --password-file hub.token
  slipway registry upstreams set ghcr.io --repository 'acme/**' --project shop
  slipway registry upstreams show docker.io
  slipway registry upstreams purge docker.io`,
	}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var upstreams listOf[api.Upstream]
		if err := a.call(cmd.Context(), http.MethodGet, upstreamsPath, nil, &upstreams); err != nil {
			return err
		}
		if len(upstreams.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there is no upstream: make one with `slipway registry upstreams set docker.io`")
			return nil
		}
		rows := [][]string{{"NAME", "STATE", "KEPT", "HITS", "MISSES", "SAVED", "FETCHED", "LAST ERROR"}}
		for _, u := range upstreams.Value {
			state := "on"
			if u.Disabled {
				state = "off"
			}
			failure := ""
			if u.LastErrorTime != nil {
				failure = u.LastErrorTime.Local().Format(time.DateTime) + " " + u.LastError
			}
			rows = append(rows, []string{u.Name, state, bytesText(u.BytesKept), fmt.Sprint(u.Hits), fmt.Sprint(u.Misses), bytesText(u.BytesSaved), bytesText(u.BytesFetched), failure})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(upstreamsSetCommand(), upstreamsShowCommand(),
		upstreamsRemoval("purge NAME", "remove all copies of an upstream's images", "/copies", "the copies of %s are removed\n"),
		upstreamsRemoval("delete NAME", "delete an upstream with its copies", "", "upstream %s is deleted\n"))
	return cmd
}

// bytesText writes a size for people, in powers of 1024.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for ; value >= unit && i < 3; i++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %s", value, []string{"KiB", "MiB", "GiB", "TiB"}[i])
}

func upstreamsSetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME", Short: "make an upstream, or change what the flags name of one", Args: cobra.ExactArgs(1),
		Long: `NAME is the registry's host as image names write it: docker.io, ghcr.io, registry.example:5000.`}
	data, f := dataFlag(cmd), cmd.Flags()
	var s api.UpstreamSettings
	var passwordFile string
	var stale, keep int
	start := registry.NewUpstreamSettings()
	f.StringVar(&s.URL, "url", "", "the registry's address, when it is not https://NAME")
	f.StringVar(&s.Username, "username", "", "whom the registry knows; empty for nobody")
	f.StringVar(&passwordFile, "password-file", "", "file with that user's password or token; empty for none")
	f.StringArrayVar(&s.Repositories, "repository", nil, "pattern of repositories that may be read, as library/* or team/**; may be given again (default all)")
	f.StringArrayVar(&s.Projects, "project", nil, "project that may read; may be given again (default all, and everybody signed in)")
	f.IntVar(&stale, "stale-minutes", start.StaleMinutes, "how long a tag is believed before the registry is asked again")
	f.IntVar(&keep, "keep-days", start.KeepDays, "copies that were not pulled for so long are removed; 0 keeps them")
	f.BoolVar(&s.Disabled, "disabled", false, "do not read from it for now")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		var all listOf[api.Upstream]
		if err := a.call(cmd.Context(), http.MethodGet, upstreamsPath, nil, &all); err != nil {
			return err
		}
		var now api.UpstreamSettings
		for _, u := range all.Value {
			if strings.EqualFold(u.Name, args[0]) {
				now = u.UpstreamSettings
			}
		}
		for flag, change := range map[string]func(){
			"url": func() { now.URL = s.URL }, "username": func() { now.Username = s.Username }, "repository": func() { now.Repositories = s.Repositories },
			"project": func() { now.Projects = s.Projects }, "stale-minutes": func() { now.StaleMinutes = &stale },
			"keep-days": func() { now.KeepDays = &keep }, "disabled": func() { now.Disabled = s.Disabled },
		} {
			if f.Changed(flag) {
				change()
			}
		}
		if f.Changed("password-file") {
			var err error
			if now.Password, err = readPasswordFile(passwordFile); err != nil {
				return err
			}
		}
		var u api.Upstream
		if err := a.call(cmd.Context(), http.MethodPut, upstreamPath(args[0]), now, &u); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "upstream %s is set: its images are read as HOST/%s/…\n", u.Name, strings.ReplaceAll(u.Name, ":", "_"))
		return nil
	})
	return cmd
}

// readPasswordFile reads a password's file without the end of its line; no file is no password.
func readPasswordFile(path string) (*string, error) {
	text := ""
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		text = strings.TrimRight(string(b), "\r\n")
	}
	return &text, nil
}

func upstreamsShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Short: "list the repositories of an upstream of which there are copies", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		var list listOf[api.CachedRepository]
		if err := a.call(cmd.Context(), http.MethodGet, upstreamPath(args[0])+"/repositories", nil, &list); err != nil {
			return err
		}
		rows := [][]string{{"REPOSITORY", "TAGS", "MANIFESTS", "SIZE", "LAST PULLED"}}
		for _, r := range list.Value {
			last := ""
			if r.LastPulledOn != nil {
				last = r.LastPulledOn.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{r.Name, fmt.Sprint(r.Tags), fmt.Sprint(r.Manifests), bytesText(r.Bytes), last})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	return cmd
}

// upstreamsRemoval is a command that removes what is at the path below the upstream.
func upstreamsRemoval(use, short, path, done string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		if err := a.call(cmd.Context(), http.MethodDelete, upstreamPath(args[0])+path, nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), done, args[0])
		return nil
	})
	return cmd
}
