package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/pipelines"
)

// findRepository is a repository by its name in the project, or by PROJECT/NAME.
func findRepository(ctx context.Context, a access, project, name string) (r api.GitRepository, err error) {
	if other, rest, ok := strings.Cut(name, "/"); ok {
		project, name = other, rest
	}
	err = a.call(ctx, http.MethodGet, "/"+url.PathEscape(project)+"/_apis/git/repositories/"+url.PathEscape(name), nil, &r)
	return r, err
}

func reposForkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fork REPOSITORY", Short: "make a fork of a repository: a copy whose branches can be asked to be merged there", Args: cobra.ExactArgs(1),
		Example: "  slipway repos fork shop --from Shop --project Mine\n  slipway repos fork shop --name shop-experiments --branch main",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	from := cmd.Flags().String("from", "", "project of the repository (default: the same as --project, in which the fork is made)")
	name := cmd.Flags().String("name", "", "name of the fork (default: the repository's)")
	branch := cmd.Flags().String("branch", "", "copy this branch alone, without tags (default: all)")
	detach := cmd.Flags().Bool("no-wait", false, "do not wait for its end")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		parent, err := findRepository(cmd.Context(), a, cmp.Or(*from, *project), args[0])
		if err != nil {
			return err
		}
		path := "/" + url.PathEscape(*project) + "/_apis/git/repositories"
		if *branch != "" {
			path += "?sourceRef=" + url.QueryEscape(fullBranch(*branch))
		}
		body := map[string]any{"name": cmp.Or(*name, parent.Name), "parentRepository": map[string]string{"id": parent.ID}}
		var fork api.GitRepository
		if err := a.call(cmd.Context(), http.MethodPost, path, body, &fork); err != nil {
			return err
		}
		if *detach {
			fmt.Fprintf(cmd.OutOrStdout(), "%s is being copied\n", fork.Name)
			return nil
		}
		var syncs listOf[api.ForkSyncRequest]
		path = syncsPath(*project, fork.ID)
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &syncs); err != nil {
			return err
		}
		if err := followSync(cmd, a, path, syncs.Value[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "forked: git clone %s\n", fork.RemoteURL)
		return nil
	})
	return cmd
}

func syncsPath(project, repository string) string {
	return "/" + url.PathEscape(project) + "/_apis/git/repositories/" + url.PathEscape(repository) + "/forkSyncRequests"
}

// followSync shows what git says of a sync until it ends.
func followSync(cmd *cobra.Command, a access, path string, f api.ForkSyncRequest) error {
	shown := map[string]bool{}
	for {
		for _, line := range f.Progress {
			if !shown[line] {
				shown[line] = true
				fmt.Fprintln(cmd.ErrOrStderr(), line)
			}
		}
		switch f.Status {
		case "completed":
			return nil
		case "failed":
			return errors.New(f.DetailedStatus.ErrorMessage)
		case "abandoned":
			return errors.New("it was canceled")
		}
		if err := wait(cmd.Context(), 300*time.Millisecond); err != nil {
			return err
		}
		if err := a.call(cmd.Context(), http.MethodGet, path+"/"+strconv.FormatInt(f.ID, 10), nil, &f); err != nil {
			return err
		}
	}
}

func reposSyncCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sync FORK", Short: "fast-forward branches of a fork to those of what it was forked from", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	branches := cmd.Flags().StringSlice("branch", nil, "branch (default: all)")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		var body api.ForkSyncRequest
		for _, b := range *branches {
			body.SourceToTargetRefs = append(body.SourceToTargetRefs, api.SourceToTargetRef{SourceRef: fullBranch(b), TargetRef: fullBranch(b)})
		}
		path := syncsPath(*project, args[0])
		var f api.ForkSyncRequest
		if err := a.call(cmd.Context(), http.MethodPost, path, body, &f); err != nil {
			return err
		}
		if err := followSync(cmd, a, path, f); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is synced\n", args[0])
		return nil
	})
	return cmd
}

func reposForkBuildsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fork-builds", Short: "show or set what pipelines do with pull requests from forks", Args: cobra.NoArgs,
		Example: "  slipway repos fork-builds\n  slipway repos fork-builds --comment nonMembers\n  slipway repos fork-builds --pipeline 3 --build=false\n  slipway repos fork-builds --pipeline 3 --inherit",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	var want pipelines.ForkSettings
	pipeline := cmd.Flags().Int64("pipeline", 0, "number of a pipeline (default: all of the project that have no settings of their own)")
	cmd.Flags().BoolVar(&want.Build, "build", true, "build them at all")
	comment := cmd.Flags().String("comment", "", "those of all, nonMembers or never are built only when somebody who may push comments /azp run")
	cmd.Flags().BoolVar(&want.Secrets, "secrets", false, "give them secret variables, service connections and secure files, and let them deploy: their authors can read all of these")
	cmd.Flags().BoolVar(&want.FullToken, "full-token", false, "let their jobs' tokens change what those of other runs may")
	inherit := cmd.Flags().Bool("inherit", false, "give the pipeline the settings of its project again")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/forks"
		if *pipeline != 0 {
			path = fmt.Sprintf("/%s/_apis/slipway/pipelines/%d/forks", url.PathEscape(*project), *pipeline)
		}
		var s api.ForkSettings
		method, changed := http.MethodGet, cmd.Flags().Changed
		if *inherit {
			if *pipeline == 0 {
				return errors.New("name the pipeline that is to have the settings of its project: --pipeline")
			}
			method = http.MethodDelete
		}
		if err := a.call(cmd.Context(), method, path, nil, &s); err != nil {
			return err
		}
		if changed("build") || changed("comment") || changed("secrets") || changed("full-token") {
			for name, f := range map[string]func(){"build": func() { s.Build = want.Build }, "comment": func() { s.Comment = pipelines.ForkComment(*comment) },
				"secrets": func() { s.Secrets = want.Secrets }, "full-token": func() { s.FullToken = want.FullToken }} {
				if changed(name) {
					f()
				}
			}
			s.Inherited = false
			if err := a.call(cmd.Context(), http.MethodPut, path, s, &s); err != nil {
				return err
			}
		}
		of := "of the project"
		if *pipeline != 0 && !s.Inherited {
			of = "of the pipeline"
		}
		return tableTo(cmd.OutOrStdout(), [][]string{{"PULL REQUESTS FROM FORKS", "SETTING " + strings.ToUpper(of)}, {"are built", strconv.FormatBool(s.Build)},
			{"wait for /azp run", string(s.Comment)}, {"get secrets", strconv.FormatBool(s.Secrets)}, {"have full tokens", strconv.FormatBool(s.FullToken)}})
	})
	return cmd
}
