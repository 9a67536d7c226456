package repos

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway"
)

// maxSuggestions bounds the suggestions that one commit applies.
const maxSuggestions = 100

// CommentPart is a piece of a comment: Markdown, or what its writer suggests to put in place of the thread's lines.
type CommentPart struct {
	Text       string
	Suggestion bool
}

// CommentParts takes a comment apart at its blocks ```suggestion.
func CommentParts(text string) []CommentPart {
	var parts []CommentPart
	var lines []string
	end := func(suggestion bool) {
		text := strings.Join(lines, "\n")
		if suggestion || strings.TrimSpace(text) != "" {
			parts = append(parts, CommentPart{text, suggestion})
		}
		lines = nil
	}
	fence := "" // of the block that is open
	suggestion := false
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		trimmed := strings.TrimSpace(line)
		ticks := trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3 && strings.TrimSpace(trimmed[len(ticks):]) == "suggestion":
			end(false)
			fence, suggestion = ticks, true
		case fence == "" && len(ticks) >= 3: // another block, in which nothing is looked for
			fence = ticks
			lines = append(lines, line)
		case fence != "" && len(ticks) >= len(fence) && ticks == trimmed && suggestion:
			end(true)
			fence, suggestion = "", false
		case fence != "" && len(ticks) >= len(fence) && ticks == trimmed:
			fence = ""
			lines = append(lines, line)
		default:
			lines = append(lines, line)
		}
	}
	end(suggestion) // of a block that nobody closed, as Markdown has it
	return parts
}

// SuggestionRef names a suggestion: the Index-th, from 0, of a comment.
type SuggestionRef struct {
	Thread         int64
	Comment, Index int
}

// ApplyRequest asks for suggestions to become a commit on the source branch.
type ApplyRequest struct {
	PullRequest slipway.PullRequestID
	Suggestions []SuggestionRef
	Message     string    // one about suggestions when empty
	Author      Signature // who applies them
	Actor       slipway.Actor
}

// edit is a suggestion at its lines.
type edit struct {
	first, last int
	lines       []string
}

// ApplySuggestions makes one commit of suggestions on the source branch, in which those who made them are co-authors, and resolves their threads. Lines
// that changed since, and suggestions that touch the same lines, are Conflicts.
func (s *Service) ApplySuggestions(ctx context.Context, req ApplyRequest) (slipway.CommitID, error) {
	p, err := s.PullRequest(ctx, req.PullRequest)
	if err != nil {
		return "", err
	}
	if p.Status != PullRequestActive {
		return "", slipway.Conflict("pull request %d is %s: nothing is applied to it any more", p.ID, p.Status)
	}
	if err := s.mayPush(ctx, p, req.Actor); err != nil {
		return "", err
	}
	if n := len(req.Suggestions); n == 0 || n > maxSuggestions {
		return "", slipway.Invalid("choose 1 to %d suggestions", maxSuggestions)
	}
	threads, err := s.Threads(ctx, p.ID)
	if err != nil {
		return "", err
	}
	edits := map[string][]edit{}
	var authors []slipway.Actor
	for _, ref := range req.Suggestions {
		path, e, author, err := findSuggestion(threads, ref)
		if err != nil {
			return "", err
		}
		edits[path] = append(edits[path], e)
		if author.ID != req.Actor.ID && !slices.Contains(authors, author) {
			authors = append(authors, author)
		}
	}
	changes, err := s.edited(ctx, p, edits)
	if err != nil {
		return "", err
	}
	commit, err := s.CommitFiles(ctx, CommitRequest{Repository: p.source(), Branch: p.SourceBranch(), Expect: p.SourceCommit, Changes: changes,
		Message: s.suggestionMessage(ctx, req, authors), Author: req.Author, Actor: req.Actor})
	if err != nil {
		return "", err
	}
	lasting := context.WithoutCancel(ctx) // the commit is there
	for _, ref := range req.Suggestions {
		if err := s.SetThreadStatus(lasting, req.Actor, p.ID, ref.Thread, ThreadFixed); err != nil {
			return commit, err
		}
	}
	return commit, s.follow(lasting, p.ID, req.Actor)
}

// findSuggestion finds what a suggestion changes, and who made it.
func findSuggestion(threads []Thread, ref SuggestionRef) (path string, e edit, author slipway.Actor, err error) {
	i := slices.IndexFunc(threads, func(t Thread) bool { return t.ID == ref.Thread })
	if i < 0 {
		return "", e, author, slipway.NotFound("the pull request has no thread %d", ref.Thread)
	}
	t := threads[i]
	switch {
	case t.Place.Line == 0 || t.Place.Side != Right:
		return "", e, author, slipway.Invalid("thread %d is not about lines of the source: its suggestions cannot be applied", t.ID)
	case t.Outdated:
		return "", e, author, slipway.Conflict("the lines of %s that thread %d is about have changed since: make the change by hand", t.Place.Path, t.ID)
	}
	c := slices.IndexFunc(t.Comments, func(c Comment) bool { return c.Number == ref.Comment && !c.Deleted })
	if c < 0 {
		return "", e, author, slipway.NotFound("thread %d has no comment %d", t.ID, ref.Comment)
	}
	var found []CommentPart
	for _, part := range CommentParts(t.Comments[c].Text) {
		if part.Suggestion {
			found = append(found, part)
		}
	}
	if ref.Index < 0 || ref.Index >= len(found) {
		return "", e, author, slipway.NotFound("comment %d of thread %d has no such suggestion", ref.Comment, t.ID)
	}
	e = edit{first: t.Now.Line, last: t.Now.Last()}
	if text := found[ref.Index].Text; text != "" {
		e.lines = strings.Split(text, "\n")
	}
	return t.Now.Path, e, t.Comments[c].Author, nil
}

// edited makes the files' new contents.
func (s *Service) edited(ctx context.Context, p PullRequest, edits map[string][]edit) ([]Change, error) {
	var changes []Change
	for path, list := range edits {
		f, err := s.File(ctx, p.Repository, p.SourceCommit, path, maxChangeBytes)
		if err != nil {
			return nil, err
		}
		if f.TooLarge || f.Binary || f.Symlink {
			return nil, slipway.Unsupported("%s is not a text file of at most %d bytes: make the change with git", path, maxChangeBytes)
		}
		slices.SortFunc(list, func(a, b edit) int { return cmp.Compare(b.first, a.first) }) // from below, so that numbers stay
		for i := 1; i < len(list); i++ {
			if list[i].last >= list[i-1].first {
				return nil, slipway.Conflict("two suggestions change line %d of %s: apply one of them", list[i-1].first, path)
			}
		}
		changes = append(changes, Change{Path: path, Content: applyEdits(string(f.Content), list), Executable: f.Executable})
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes, nil
}

// applyEdits replaces lines, those further below first. Line ends are those of the line that is replaced.
func applyEdits(content string, edits []edit) []byte {
	lines := slices.Collect(strings.Lines(content))
	for _, e := range edits {
		if e.first > len(lines) { // the empty line after the last line feed
			for _, line := range e.lines {
				lines = append(lines, line+"\n")
			}
			continue
		}
		last := lines[min(e.last, len(lines))-1]
		ending := last[len(strings.TrimRight(last, "\r\n")):] // empty for a last line without a line feed
		var anew []string
		for i, line := range e.lines {
			if i < len(e.lines)-1 && ending == "" {
				anew = append(anew, line+"\n")
				continue
			}
			anew = append(anew, line+ending)
		}
		lines = slices.Replace(lines, e.first-1, min(e.last, len(lines)), anew...)
	}
	return []byte(strings.Join(lines, ""))
}

// suggestionMessage names those who made the suggestions as git's and others' tools understand it.
func (s *Service) suggestionMessage(ctx context.Context, req ApplyRequest, authors []slipway.Actor) string {
	message := strings.TrimSpace(req.Message)
	if message == "" {
		message = "Apply a suggestion from review"
		if n := len(req.Suggestions); n > 1 {
			message = fmt.Sprintf("Apply %d suggestions from review", n)
		}
	}
	var trailers []string
	for _, a := range authors {
		name, email := a.Name, ""
		if s.People != nil {
			if u, err := s.People.User(ctx, slipway.UserID(a.ID)); err == nil { // else they are gone, and their name is enough
				name, email = u.GitName(), u.Email
			}
		}
		trailers = append(trailers, fmt.Sprintf("Co-authored-by: %s <%s>", strings.NewReplacer("<", "", ">", "").Replace(name), email))
	}
	if len(trailers) > 0 {
		message += "\n\n" + strings.Join(trailers, "\n")
	}
	return message
}
