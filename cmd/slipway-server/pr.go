package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func prCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pr", GroupID: "project", Short: "open, list, show, edit, check out, vote on, comment on and complete pull requests",
		Example: "  slipway pr create --title 'Sell hats' --reviewer ben\n  slipway pr list --mine\n  slipway pr vote 12 approve\n  slipway pr complete 12 --squash --delete-source",
	}
	cmd.AddCommand(prCreateCommand(), prListCommand(), prShowCommand(), prEditCommand(), prCheckoutCommand(), prVoteCommand(), prCommentCommand(), prCompleteCommand(), prPickCommand("revert"),
		prPickCommand("cherry-pick"))
	return cmd
}

// prFlags are those of all commands about pull requests.
type prFlags struct{ data, project, repo, dir *string }

func newPRFlags(cmd *cobra.Command) prFlags {
	return prFlags{dataFlag(cmd), projectFlag(cmd), cmd.Flags().StringP("repo", "r", "", "repository (default: the one of the remote origin here, or else of the project's name)"),
		cmd.Flags().StringP("dir", "C", ".", "folder of the clone")}
}

// pulls is the path of the repository's pull requests.
func (f prFlags) pulls(ctx context.Context) string { return f.repository(ctx) + "/pullrequests" }

func (f prFlags) repository(ctx context.Context) string {
	repo := cmp.Or(*f.repo, f.originRepository(ctx), *f.project)
	return "/" + url.PathEscape(*f.project) + "/_apis/git/repositories/" + url.PathEscape(repo)
}

// git is a git command in the clone.
func (f prFlags) git(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "git", append([]string{"-C", *f.dir}, args...)...)
}

// originRepository is the repository of the remote origin of the folder, when it is one of the project.
func (f prFlags) originRepository(ctx context.Context) string {
	out, err := f.git(ctx, "remote", "get-url", "origin").Output()
	if err != nil {
		return ""
	}
	u, err := url.Parse(strings.TrimSpace(string(out)))
	if err != nil {
		return ""
	}
	before, repo, ok := strings.Cut(strings.TrimSuffix(u.Path, "/"), "/_git/")
	if !ok || !strings.EqualFold(strings.Trim(before, "/"), *f.project) {
		return ""
	}
	return repo
}

// prNumber reads `12` or `!12`.
func prNumber(text string) (string, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "!"), 10, 64)
	if err != nil || n <= 0 {
		return "", fmt.Errorf("pull request %q: write its number, as `slipway pr list` shows it", text)
	}
	return strconv.FormatInt(n, 10), nil
}

// pull is the access to the server, and the number of the pull request that an argument names.
func (f prFlags) pull(argument string) (a access, number string, err error) {
	if a, err = readAccess(*f.data); err != nil {
		return a, "", err
	}
	number, err = prNumber(argument)
	return a, number, err
}

func prCreateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "create", Short: "open a pull request from the branch that is checked out", Args: cobra.NoArgs}
	flags := newPRFlags(cmd)
	source := cmd.Flags().StringP("source", "s", "", "branch with the changes (default: the one that is checked out)")
	fork := cmd.Flags().String("source-repository", "", "fork that has the branch with the changes, as PROJECT/NAME; --repo is the one that gets them")
	target := cmd.Flags().StringP("target", "t", "", "branch that is to get them (default: the repository's)")
	title := cmd.Flags().String("title", "", "title (default: the only commit's subject, or the branch's name)")
	description := cmd.Flags().StringP("description", "d", "", "description in Markdown; - reads it from standard input")
	draft := cmd.Flags().Bool("draft", false, "it cannot be completed yet")
	reviewers := cmd.Flags().StringSlice("reviewer", nil, "id of a user who is asked to review")
	labels := cmd.Flags().StringSlice("label", nil, "label")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a, err := readAccess(*flags.data)
		if err != nil {
			return err
		}
		branch := *source
		if branch == "" {
			out, err := flags.git(cmd.Context(), "symbolic-ref", "--short", "HEAD").Output()
			if err != nil {
				return errors.New("no branch is checked out here: name one with --source")
			}
			branch = strings.TrimSpace(string(out))
		}
		text, err := prText(cmd, *description)
		if err != nil {
			return err
		}
		body := map[string]any{"sourceRefName": fullBranch(branch), "description": text, "isDraft": *draft}
		if *target != "" {
			body["targetRefName"] = fullBranch(*target)
		}
		if *fork != "" {
			source, err := findRepository(cmd.Context(), a, *flags.project, *fork)
			if err != nil {
				return err
			}
			body["forkSource"] = map[string]any{"name": fullBranch(branch), "repository": map[string]string{"id": source.ID}}
		}
		if *title != "" {
			body["title"] = *title
		}
		body["reviewers"], body["labels"] = named("id", *reviewers), named("name", *labels)
		var p api.GitPullRequest
		if err := a.call(cmd.Context(), http.MethodPost, flags.pulls(cmd.Context()), body, &p); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pull request %d: %s\n%s\n", p.PullRequestID, p.Title, p.Links.Web.Href)
		return nil
	}
	return cmd
}

func fullBranch(name string) string { return "refs/heads/" + strings.TrimPrefix(name, "refs/heads/") }

// named is a list of objects with one field.
func named(field string, values []string) []map[string]string {
	list := []map[string]string{}
	for _, v := range values {
		list = append(list, map[string]string{field: v})
	}
	return list
}

func prListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "list pull requests", Args: cobra.NoArgs}
	flags := newPRFlags(cmd)
	status := cmd.Flags().String("status", "active", "active, completed, abandoned or all")
	mine := cmd.Flags().Bool("mine", false, "those that you opened")
	review := cmd.Flags().Bool("review", false, "those that you review")
	target := cmd.Flags().StringP("target", "t", "", "into this branch")
	label := cmd.Flags().String("label", "", "with this label")
	text := cmd.Flags().String("text", "", "with this in the title")
	limit := cmd.Flags().Int("limit", 50, "at most so many")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a, err := readAccess(*flags.data)
		if err != nil {
			return err
		}
		q := url.Values{"$top": {strconv.Itoa(*limit)}}
		set := func(name, value string) {
			if value != "" {
				q.Set("searchCriteria."+name, value)
			}
		}
		set("status", *status)
		set("label", *label)
		set("title", *text)
		if *target != "" {
			set("targetRefName", fullBranch(*target))
		}
		if *mine || *review {
			me, err := whoAmI(cmd.Context(), a)
			if err != nil {
				return err
			}
			if *mine {
				set("creatorId", me)
			}
			if *review {
				set("reviewerId", me)
			}
		}
		var found listOf[api.GitPullRequest]
		if err := a.call(cmd.Context(), http.MethodGet, flags.pulls(cmd.Context())+"?"+q.Encode(), nil, &found); err != nil {
			return err
		}
		if len(found.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "there is no such pull request")
			return nil
		}
		rows := [][]string{{"NUMBER", "TITLE", "FROM", "INTO", "BY", "STATE"}}
		for _, p := range found.Value {
			rows = append(rows, []string{fmt.Sprint(p.PullRequestID), p.Title, strings.TrimPrefix(p.SourceRefName, "refs/heads/"), strings.TrimPrefix(p.TargetRefName, "refs/heads/"),
				p.CreatedBy.DisplayName, prState(p)})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	}
	return cmd
}

func prState(p api.GitPullRequest) string {
	switch {
	case p.Status != "active":
		return p.Status
	case p.IsDraft:
		return "draft"
	case p.MergeStatus == "conflicts":
		return "conflicts"
	}
	return p.Status
}

// whoAmI is the id of the token's user.
func whoAmI(ctx context.Context, a access) (string, error) {
	var me struct {
		AuthenticatedUser struct {
			ID string `json:"id"`
		} `json:"authenticatedUser"`
	}
	err := a.call(ctx, http.MethodGet, "/_apis/connectionData", nil, &me)
	return me.AuthenticatedUser.ID, err
}

func prShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show NUMBER", Short: "show a pull request with its reviewers and open threads", Args: cobra.ExactArgs(1)}
	flags := newPRFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, number, err := flags.pull(args[0])
		if err != nil {
			return err
		}
		path := flags.pulls(cmd.Context()) + "/" + number
		var p api.GitPullRequest
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &p); err != nil {
			return err
		}
		var threads listOf[api.GitThread]
		if err := a.call(cmd.Context(), http.MethodGet, path+"/threads", nil, &threads); err != nil {
			return err
		}
		showPR(cmd.OutOrStdout(), p, threads.Value)
		return nil
	}
	return cmd
}

func showPR(out io.Writer, p api.GitPullRequest, threads []api.GitThread) {
	fmt.Fprintf(out, "pull request %d, %s: %s\n%s into %s, by %s\n%s\n", p.PullRequestID, prState(p), p.Title, strings.TrimPrefix(p.SourceRefName, "refs/heads/"),
		strings.TrimPrefix(p.TargetRefName, "refs/heads/"), p.CreatedBy.DisplayName, p.Links.Web.Href)
	if p.Status == "active" && p.MergeStatus != "succeeded" {
		fmt.Fprintf(out, "it does not merge: %s\n", cmp.Or(p.MergeFailureMessage, p.MergeStatus))
	}
	for _, l := range p.Labels {
		fmt.Fprintf(out, "label %s\n", l.Name)
	}
	if p.Description != "" {
		fmt.Fprintf(out, "\n%s\n\n", strings.TrimSpace(p.Description))
	}
	for _, r := range p.Reviewers {
		fmt.Fprintf(out, "%s: %s\n", r.DisplayName, voteWords[r.Vote])
	}
	for _, t := range threads {
		if t.Status != "active" && t.Status != "pending" || t.IsDeleted {
			continue
		}
		where := ""
		if c := t.ThreadContext; c != nil {
			where = " " + strings.TrimPrefix(c.FilePath, "/")
			if at := cmp.Or(c.RightFileStart, c.LeftFileStart); at != nil {
				where += fmt.Sprintf(":%d", at.Line)
			}
		}
		fmt.Fprintf(out, "\nthread %d%s\n", t.ID, where)
		for _, c := range t.Comments {
			if !c.IsDeleted {
				fmt.Fprintf(out, "  %s: %s\n", c.Author.DisplayName, strings.ReplaceAll(c.Content, "\n", "\n  "))
			}
		}
	}
}

// voteWords are the votes in people's words.
var voteWords = map[int]string{10: "approved", 5: "approved with suggestions", 0: "no vote", -5: "waits for the author", -10: "rejected"}
