package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/images/builds"
)

// buildsCommand lists what jobs and people build.
func buildsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "builds [NUMBER]", GroupID: "project", Short: "list the builds of images, or show the steps of one", Args: cobra.MaximumNArgs(1),
		Example: "  slipway builds\n  slipway builds 12 --log\n  slipway builds 12 --cancel"}
	data, project := dataFlag(cmd), projectFlag(cmd)
	log := cmd.Flags().Bool("log", false, "print the log of the build")
	cancel := cmd.Flags().Bool("cancel", false, "cancel the build")
	run := cmd.Flags().String("run", "", "only those of this run, by its number")
	cmd.MarkFlagsMutuallyExclusive("log", "cancel", "run")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := "/" + url.PathEscape(*project) + api.ImageBuildsPath
		if len(args) == 0 {
			if *log || *cancel {
				return errors.New("name the build's number, as `slipway builds` lists it")
			}
			if *run != "" {
				path += "?run=" + url.QueryEscape(*run)
			}
			var list listOf[builds.Build]
			if err := a.call(cmd.Context(), http.MethodGet, path, nil, &list); err != nil {
				return err
			}
			return showBuilds(cmd.OutOrStdout(), list.Value)
		}
		if *run != "" {
			return errors.New("--run lists the builds of a run: leave out the number of a build")
		}
		path += "/" + url.PathEscape(args[0])
		var b builds.Build
		switch {
		case *log:
			text, err := a.raw(cmd.Context(), http.MethodGet, path+"/log", nil)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		case *cancel:
			if err := a.call(cmd.Context(), http.MethodPost, path+"/cancel", nil, &b); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "image build %d is asked to give up\n", b.ID)
			return err
		}
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &b); err != nil {
			return err
		}
		return showBuild(cmd.OutOrStdout(), b)
	})
	return cmd
}

// buildOrigin says who or what built.
func buildOrigin(b builds.Build) string {
	if b.By != nil && b.Run == 0 {
		return b.By.Name
	}
	return fmt.Sprintf("run %d", b.Run)
}

// buildTime is how long it took, or runs.
func buildTime(b builds.Build) string {
	if b.State == builds.Running {
		return fmt.Sprintf("%.1fs", time.Since(b.Started).Seconds())
	}
	return fmt.Sprintf("%.1fs", b.Summary.Seconds)
}

func showBuilds(out io.Writer, list []builds.Build) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nothing was built")
		return err
	}
	rows := [][]string{{"BUILD", "STATE", "BY", "STARTED", "TOOK", "CACHED", "IMAGE"}}
	for _, b := range list {
		rows = append(rows, []string{fmt.Sprint(b.ID), string(b.State), buildOrigin(b), b.Started.Local().Format(time.DateTime), buildTime(b),
			fmt.Sprintf("%d of %d", b.Cached, b.Total), strings.Join(b.Tags, ", ")})
	}
	return tableTo(out, rows)
}

func showBuild(out io.Writer, b builds.Build) error {
	fmt.Fprintf(out, "image build %d by %s: %s, %s\n", b.ID, buildOrigin(b), b.State, buildTime(b))
	for _, fact := range [][2]string{{"image", strings.Join(b.Tags, ", ")}, {"digest", string(b.Digest)}, {"stage", b.Target}, {"platforms", strings.Join(b.Platforms, ", ")},
		{"canceled by", b.CanceledBy}, {"error", b.Error}} {
		if fact[1] != "" {
			fmt.Fprintf(out, "%s: %s\n", fact[0], fact[1])
		}
	}
	rows := [][]string{{"STEP", "RESULT", "TOOK"}}
	for _, s := range b.Summary.Steps {
		took := fmt.Sprintf("%.1fs", s.Seconds)
		if s.Running || s.Cached {
			took = ""
		}
		rows = append(rows, []string{s.Title(), s.Outcome(), took})
	}
	return tableTo(out, rows)
}
