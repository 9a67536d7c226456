package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func prCheckoutCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "checkout NUMBER", Short: "fetch the source branch of a pull request and check it out here", Args: cobra.ExactArgs(1)}
	flags := newPRFlags(cmd)
	remote := cmd.Flags().String("remote", "origin", "the remote that is this server")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, number, err := flags.pull(args[0])
		if err != nil {
			return err
		}
		var p api.GitPullRequest
		if err := a.call(cmd.Context(), http.MethodGet, flags.pulls(cmd.Context())+"/"+number, nil, &p); err != nil {
			return err
		}
		branch := strings.TrimPrefix(p.SourceRefName, "refs/heads/")
		git := func(args ...string) error {
			c := flags.git(cmd.Context(), args...)
			c.Stdout, c.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return c.Run()
		}
		if p.Status == "active" {
			if err := git("fetch", *remote, "+refs/heads/"+branch+":refs/remotes/"+*remote+"/"+branch); err != nil {
				return fmt.Errorf("fetch branch %s from %s: %w", branch, *remote, err)
			}
			return git("switch", branch)
		}
		if err := git("fetch", *remote, "refs/pull/"+number+"/head"); err != nil { // whose branch may be gone
			return fmt.Errorf("fetch pull request %s from %s: %w", number, *remote, err)
		}
		return git("switch", "--detach", "FETCH_HEAD")
	}
	return cmd
}

func prVoteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vote NUMBER approve|suggestions|wait|reject|reset", Short: "vote on a pull request", Args: cobra.ExactArgs(2)}
	flags := newPRFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		vote, ok := map[string]int{"approve": 10, "suggestions": 5, "reset": 0, "wait": -5, "reject": -10}[args[1]]
		if !ok {
			return fmt.Errorf("vote %q: write approve, suggestions, wait, reject or reset", args[1])
		}
		a, number, err := flags.pull(args[0])
		if err != nil {
			return err
		}
		me, err := whoAmI(cmd.Context(), a)
		if err != nil {
			return err
		}
		path := flags.pulls(cmd.Context()) + "/" + number + "/reviewers/" + url.PathEscape(me)
		if err := a.call(cmd.Context(), http.MethodPut, path, map[string]int{"vote": vote}, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pull request %s: %s\n", number, voteWords[vote])
		return nil
	}
	return cmd
}

func prCommentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "comment NUMBER TEXT", Short: "comment on a pull request, a line of it, or in a thread; - reads the text from standard input", Args: cobra.ExactArgs(2)}
	flags := newPRFlags(cmd)
	thread := cmd.Flags().Int64("thread", 0, "answer in this thread")
	resolve := cmd.Flags().Bool("resolve", false, "with --thread: resolve it")
	at := cmd.Flags().String("at", "", "begin a thread at FILE, FILE:LINE or FILE:FIRST-LAST of the source")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, number, err := flags.pull(args[0])
		if err != nil {
			return err
		}
		text, err := prText(cmd, args[1])
		if err != nil {
			return err
		}
		path := flags.pulls(cmd.Context()) + "/" + number + "/threads"
		if *thread != 0 {
			return prAnswer(cmd, a, path+"/"+strconv.FormatInt(*thread, 10), text, *resolve)
		}
		body := map[string]any{"comments": []map[string]string{{"content": text}}}
		if *at != "" {
			where, err := prPlace(*at)
			if err != nil {
				return err
			}
			body["threadContext"] = where
		}
		var made api.GitThread
		if err := a.call(cmd.Context(), http.MethodPost, path, body, &made); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "thread %d\n", made.ID)
		return nil
	}
	return cmd
}

func prAnswer(cmd *cobra.Command, a access, thread, text string, resolve bool) error {
	if err := a.call(cmd.Context(), http.MethodPost, thread+"/comments", map[string]string{"content": text}, nil); err != nil {
		return err
	}
	if !resolve {
		return nil
	}
	return a.call(cmd.Context(), http.MethodPatch, thread, map[string]string{"status": "fixed"}, nil)
}

// prPlace reads FILE, FILE:LINE or FILE:FIRST-LAST.
func prPlace(text string) (api.GitThreadContext, error) {
	path, lines := text, ""
	if i := strings.LastIndexByte(text, ':'); i > 0 {
		path, lines = text[:i], text[i+1:]
	}
	where := api.GitThreadContext{FilePath: "/" + strings.TrimPrefix(path, "/")}
	if lines == "" {
		return where, nil
	}
	from, to, ranged := strings.Cut(lines, "-")
	first, err := strconv.Atoi(from)
	last := first
	if err == nil && ranged {
		last, err = strconv.Atoi(to)
	}
	if err != nil || first < 1 || last < first {
		return where, fmt.Errorf("place %q: write FILE:LINE or FILE:FIRST-LAST", text)
	}
	where.RightFileStart, where.RightFileEnd = &api.GitFilePosition{Line: first, Offset: 1}, &api.GitFilePosition{Line: last, Offset: 1}
	return where, nil
}

func prCompleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "complete NUMBER", Short: "bring a pull request to its target, now or when its policies hold", Args: cobra.ExactArgs(1)}
	flags := newPRFlags(cmd)
	squash := cmd.Flags().Bool("squash", false, "as one commit; the same as --strategy squash")
	strategy := cmd.Flags().String("strategy", "", "noFastForward, squash, rebase or rebaseMerge (default noFastForward)")
	message := cmd.Flags().StringP("message", "m", "", "message of the merge or squash commit")
	remove := cmd.Flags().Bool("delete-source", false, "delete the source branch")
	auto := cmd.Flags().Bool("auto", false, "when its policies hold")
	bypass := cmd.Flags().String("bypass", "", "bypass policies for this reason, if you have the right to")
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
		options := api.GitCompletionOptions{MergeStrategy: *strategy, MergeCommitMessage: *message, DeleteSourceBranch: *remove, BypassPolicy: *bypass != "", BypassReason: *bypass}
		if *squash {
			options.MergeStrategy = "squash"
		}
		body := map[string]any{"completionOptions": options, "status": "completed", "lastMergeSourceCommit": p.LastMergeSourceCommit}
		if *auto {
			me, err := whoAmI(cmd.Context(), a)
			if err != nil {
				return err
			}
			body = map[string]any{"completionOptions": options, "autoCompleteSetBy": map[string]string{"id": me}}
		}
		if err := a.call(cmd.Context(), http.MethodPatch, path, body, &p); err != nil {
			return err
		}
		if p.Status != "completed" {
			fmt.Fprintf(cmd.OutOrStdout(), "pull request %s is completed when its policies hold\n", number)
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pull request %s: completed by commit %s\n", number, p.LastMergeCommit.CommitID)
		return nil
	}
	return cmd
}

func prPickCommand(verb string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NUMBER", Short: "bring what a pull request did to another branch, by a pull request", Args: cobra.ExactArgs(1)}
	resource := "cherryPicks"
	if verb == "revert" {
		cmd.Short, resource = "take back what a completed pull request did, by a pull request", "reverts"
	}
	flags := newPRFlags(cmd)
	onto := cmd.Flags().String("onto", "", "branch (default: the pull request's target)")
	branch := cmd.Flags().String("branch", "", "branch that is made for it (default "+verb+"-NUMBER)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, number, err := flags.pull(args[0])
		if err != nil {
			return err
		}
		var p, made api.GitPullRequest
		if err := a.call(cmd.Context(), http.MethodGet, flags.pulls(cmd.Context())+"/"+number, nil, &p); err != nil {
			return err
		}
		ask := api.GitPickParameters{GeneratedRefName: fullBranch(cmp.Or(*branch, verb+"-"+number)), OntoRefName: fullBranch(cmp.Or(*onto, p.TargetRefName)),
			Source: api.GitPickSource{PullRequestID: p.PullRequestID}}
		var pick api.GitPick
		if err := a.call(cmd.Context(), http.MethodPost, flags.repository(cmd.Context())+"/"+resource, ask, &pick); err != nil {
			return err
		}
		if pick.Status != "completed" {
			return errors.New(pick.DetailedStatus.FailureMessage)
		}
		title := p.Title
		if verb == "revert" {
			title = fmt.Sprintf("Revert %q", p.Title)
		}
		body := map[string]any{"sourceRefName": ask.GeneratedRefName, "targetRefName": ask.OntoRefName, "title": title, "description": fmt.Sprintf("%s of !%s.", verb, number)}
		if err := a.call(cmd.Context(), http.MethodPost, flags.pulls(cmd.Context()), body, &made); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "pull request %d: %s\n%s\n", made.PullRequestID, made.Title, made.Links.Web.Href)
		return nil
	}
	return cmd
}
