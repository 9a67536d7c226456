package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func repositoryPath(project, repository, part string) string {
	return "/" + url.PathEscape(project) + "/_apis/slipway/repositories/" + url.PathEscape(repository) + "/" + part
}

func reposLimitsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "limits [REPOSITORY]", Short: "show or set what a push may bring, to a repository or to all of the project", Args: cobra.MaximumNArgs(1),
		Example: "  slipway repos limits --file 52428800\n  slipway repos limits shop --refs 2000 --file 0    # 0 takes the project's"}
	data, project := dataFlag(cmd), projectFlag(cmd)
	var wanted api.RepositoryLimits
	flags := map[string]*int64{"pack": &wanted.Pack, "file": &wanted.File, "path-length": &wanted.PathLength, "path-depth": &wanted.PathDepth, "refs": &wanted.Refs}
	labels := [][2]string{{"pack", "bytes of one push"}, {"file", "bytes of one file"}, {"path-length", "bytes of one path"}, {"path-depth", "names in one path"}, {"refs", "branches and tags"}}
	for _, l := range labels {
		cmd.Flags().Int64Var(flags[l[0]], l[0], 0, l[1]+"; 0 is no limit")
	}
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/repositorylimits"
		if len(args) > 0 {
			path = repositoryPath(*project, args[0], "limits")
		}
		chosen := wanted
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &wanted); err != nil {
			return err
		}
		own := map[string]*int64{"pack": &chosen.Pack, "file": &chosen.File, "path-length": &chosen.PathLength, "path-depth": &chosen.PathDepth, "refs": &chosen.Refs}
		change := false
		for name, into := range flags {
			if cmd.Flags().Changed(name) {
				change, *into = true, *own[name]
			}
		}
		if change {
			wanted.Effective = nil
			if err := a.call(cmd.Context(), http.MethodPut, path, wanted, &wanted); err != nil {
				return err
			}
		}
		text := func(n int64) string {
			if n == 0 {
				return "none"
			}
			return fmt.Sprint(n)
		}
		e := wanted.Effective
		held := map[string]int64{"pack": e.Pack, "file": e.File, "path-length": e.PathLength, "path-depth": e.PathDepth, "refs": e.Refs}
		rows := [][]string{{"LIMIT", "SET HERE", "HOLDS", ""}}
		for _, l := range labels {
			rows = append(rows, []string{l[0], text(*flags[l[0]]), text(held[l[0]]), l[1]})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	return cmd
}

func reposUpkeepCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "upkeep REPOSITORY", Short: "pack a repository anew in the background, or show how it is", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	show := cmd.Flags().Bool("show", false, "only show")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		method := http.MethodPost
		if *show {
			method = http.MethodGet
		}
		var u api.Upkeep
		if err := a.call(cmd.Context(), method, repositoryPath(*project, args[0], "upkeep"), nil, &u); err != nil {
			return err
		}
		state := "nothing to do"
		switch {
		case u.Running:
			state = "under way"
		case u.Due != nil:
			state = "waits"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %.1f MiB, %d packs, %d loose objects; upkeep: %s\n", args[0], float64(u.Size)/(1<<20), u.Packs, u.Loose, state)
		if u.Problem != "" {
			return errors.New(u.Problem)
		}
		return nil
	})
	return cmd
}

func reposChangeCommand(use, about string, args int) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: about, Args: cobra.ExactArgs(args)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	format := "sha1"
	if cmd.Name() == "create" {
		cmd.Flags().StringVar(&format, "object-format", format, "the hash that names its objects: sha1 or sha256; it never changes")
	}
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		base := "/" + url.PathEscape(*project) + "/_apis/git/"
		path := base + "repositories/" + url.PathEscape(args[0])
		var err error
		switch cmd.Name() {
		case "create":
			err = a.call(cmd.Context(), http.MethodPost, base+"repositories", map[string]any{"name": args[0], "objectFormat": format}, nil)
		case "rename":
			err = a.call(cmd.Context(), http.MethodPatch, path, map[string]any{"name": args[1]}, nil)
		case "disable", "enable":
			err = a.call(cmd.Context(), http.MethodPatch, path, map[string]any{"isDisabled": cmd.Name() == "disable"}, nil)
		case "delete":
			err = a.call(cmd.Context(), http.MethodDelete, path, nil, nil)
		case "restore":
			var deleted listOf[api.DeletedRepository]
			if err = a.call(cmd.Context(), http.MethodGet, base+"recycleBin/repositories", nil, &deleted); err != nil {
				return err
			}
			err = fmt.Errorf("the project has no deleted repository %q", args[0])
			for _, d := range deleted.Value { // the one that was deleted last comes first
				if d.Name == args[0] || d.ID == args[0] {
					err = a.call(cmd.Context(), http.MethodPatch, base+"recycleBin/repositories/"+url.PathEscape(d.ID), map[string]any{"deleted": false}, nil)
					break
				}
			}
		}
		if err == nil {
			done := map[string]string{"create": "created", "rename": "renamed", "disable": "disabled", "enable": "enabled", "delete": "deleted; slipway repos restore takes it back for 30 days", "restore": "restored"}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", args[0], done[cmd.Name()])
		}
		return err
	})
	return cmd
}
