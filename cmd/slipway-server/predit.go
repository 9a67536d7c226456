package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func prEditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "edit NUMBER", Short: "change the title, description, target or state of a pull request", Args: cobra.ExactArgs(1)}
	flags := newPRFlags(cmd)
	title := cmd.Flags().String("title", "", "new title")
	description := cmd.Flags().StringP("description", "d", "", "new description in Markdown; - reads it from standard input")
	target := cmd.Flags().StringP("target", "t", "", "branch that is to get the changes instead")
	draft := cmd.Flags().Bool("draft", false, "make it a draft; --draft=false says that it is ready")
	state := cmd.Flags().String("state", "", "abandoned, or active again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := cmd.Flags().Changed
		body := map[string]any{}
		if given("title") {
			body["title"] = *title
		}
		if given("description") {
			text, err := prText(cmd, *description)
			if err != nil {
				return err
			}
			body["description"] = text
		}
		if given("target") {
			body["targetRefName"] = fullBranch(*target)
		}
		if given("draft") {
			body["isDraft"] = *draft
		}
		if given("state") {
			if !slices.Contains([]string{"abandoned", "active"}, *state) {
				return fmt.Errorf("state %q: write abandoned or active", *state)
			}
			body["status"] = *state
		}
		if len(body) == 0 {
			return errors.New("there is nothing to change: give --title, --description, --target, --draft or --state")
		}
		a, number, err := flags.pull(args[0])
		if err != nil {
			return err
		}
		var p api.GitPullRequest
		if err := a.call(cmd.Context(), http.MethodPatch, flags.pulls(cmd.Context())+"/"+number, body, &p); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pull request %s: %s\n", number, p.Title)
		return nil
	}
	return cmd
}

// prText is a text as it is given, or standard input for a hyphen.
func prText(cmd *cobra.Command, text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 64<<10))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return string(b), nil
}
