package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/repos"
)

// draftNote is a comment of the reader's that waits to be submitted.
type draftNote struct {
	ID     int64
	Where  string // empty for an answer and for the whole
	When   time.Time
	Parts  []commentPart
	Action string
}

// place names a line without the lines that follow it.
type linePlace struct {
	Path string
	Side repos.Side
	Line int
}

// addLineNotes puts threads and drafts under their lines, and the form under the line that the address names.
func (view *pullView) addLineNotes(notes map[linePlace]lineNotes, asked *askView) {
	sides := view.Files.Span.From.Number == 0 // else both texts are the source's
	for i := range view.Files.Files {
		f := &view.Files.Files[i]
		was := f.Path
		if f.Was != "" {
			was = f.Was
		}
		f.Notes.add(notes[linePlace{f.Path, repos.Right, 0}])
		f.AskURL = view.askURL(repos.Place{Path: f.Path, Side: repos.Right}, view.Files.Span.To.SourceCommit)
		if f.Object == "" {
			f.AskURL = view.askURL(repos.Place{Path: was, Side: repos.Left}, view.Files.Span.To.BaseCommit)
			f.Notes.add(notes[linePlace{was, repos.Left, 0}])
		}
		if asked != nil && asked.Line == "0" && (asked.Path == f.Path || asked.Path == was) {
			f.Notes.Ask = asked
		}
		shown := map[linePlace]bool{{f.Path, repos.Right, 0}: true, {was, repos.Left, 0}: true}
		f.cells(func(side repos.Side, c *changeCell) {
			place, commit := repos.Place{Path: f.Path, Side: repos.Right, Line: c.Number}, view.Files.Span.To.SourceCommit
			if side == repos.Left {
				place, commit = repos.Place{Path: was, Side: repos.Left, Line: c.Number}, view.Files.Span.To.BaseCommit
				if !sides {
					place.Side, commit = repos.Right, view.Files.Span.From.SourceCommit
				}
			}
			if side == repos.Right || sides {
				at := linePlace{place.Path, place.Side, place.Line}
				shown[at] = true
				c.Notes.add(notes[at])
			}
			if view.MayVote {
				c.AskURL = view.askURL(place, commit)
			}
			if asked != nil && asked.Path == place.Path && asked.Side == string(place.Side) && asked.Commit == string(commit) && asked.last() == place.Line {
				c.Notes.Ask = asked
			}
		})
		f.addHidden(notes, shown, was, sides)
	}
}

// addHidden puts what belongs to lines that are not shown above those that are.
func (f *changedFile) addHidden(notes map[linePlace]lineNotes, shown map[linePlace]bool, was string, sides bool) {
	var hidden []linePlace
	for at := range notes {
		if !shown[at] && (at.Path == f.Path && at.Side == repos.Right || sides && at.Path == was && at.Side == repos.Left) {
			hidden = append(hidden, at)
		}
	}
	slices.SortFunc(hidden, func(a, b linePlace) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Side, b.Side)) })
	for _, at := range hidden {
		f.Notes.add(notes[at])
	}
}

// notes gathers what belongs below lines, by the last of its lines.
func (p codePages) notes(r *http.Request, view *pullView) (map[linePlace]lineNotes, error) {
	threads, err := p.threadsIn(r.Context(), view, view.Files.Span)
	if err != nil {
		return nil, err
	}
	var drafts []repos.DraftComment
	if view.SignedIn() {
		if drafts, err = p.repos.Drafts(r.Context(), view.Caller.Actor, view.PullRequest, view.Files.Span); err != nil {
			return nil, err
		}
	}
	view.Files.Pending = len(drafts)
	drafts = p.addAnswers(view, threads, drafts)
	notes := map[linePlace]lineNotes{}
	for _, t := range threads {
		if t.Outdated || t.now.Path == "" {
			continue
		}
		at := linePlace{t.now.Path, t.now.Side, t.now.Last()}
		n := notes[at]
		n.Threads = append(n.Threads, t)
		notes[at] = n
	}
	for _, d := range drafts {
		if d.Outdated || d.Now.Path == "" {
			continue
		}
		at := linePlace{d.Now.Path, d.Now.Side, d.Now.Last()}
		n := notes[at]
		n.Drafts = append(n.Drafts, p.draftNote(view, d))
		notes[at] = n
	}
	return notes, nil
}

// addAnswers puts the reader's answers that wait below the threads that they are for, and returns the other drafts.
func (p codePages) addAnswers(view *pullView, threads []threadView, drafts []repos.DraftComment) []repos.DraftComment {
	var others []repos.DraftComment
	for _, d := range drafts {
		i := slices.IndexFunc(threads, func(t threadView) bool { return t.ID == d.Thread })
		if i < 0 {
			others = append(others, d)
			continue
		}
		threads[i].Pending = append(threads[i].Pending, p.draftNote(view, d))
	}
	return others
}

func (p codePages) draftNote(view *pullView, d repos.DraftComment) draftNote {
	return draftNote{ID: d.ID, Where: placeWords(d.Now), When: d.Created, Parts: p.commentParts(view.View, d.Text, nil, nil), Action: view.pullURL(view.ID)}
}

// placeWords is a place as people write it.
func placeWords(at repos.Place) string {
	switch {
	case at.Line == 0:
		return at.Path
	case at.End > at.Line:
		return fmt.Sprintf("%s:%d-%d", at.Path, at.Line, at.End)
	}
	return fmt.Sprintf("%s:%d", at.Path, at.Line)
}

// askURL is the page with the form for a comment on a place.
func (v *pullView) askURL(at repos.Place, commit slipway.CommitID) string {
	if !v.MayVote {
		return ""
	}
	return v.Files.With("path", at.Path, "side", string(at.Side), "line", strconv.Itoa(at.Line), "commit", string(commit)) + "#comment"
}

// asked is the form for a comment that the address asks for; nil for none.
func (p codePages) asked(r *http.Request, view *pullView) *askView {
	line, err := strconv.Atoi(r.FormValue("line"))
	if !view.MayVote || err != nil || r.FormValue("path") == "" {
		return nil
	}
	end, _ := strconv.Atoi(r.FormValue("end"))
	ask := view.newAsk("comment")
	ask.Path, ask.Side, ask.Line, ask.Commit = r.FormValue("path"), r.FormValue("side"), strconv.Itoa(line), r.FormValue("commit")
	if end > line {
		ask.End = strconv.Itoa(end)
	}
	if ask.Commit == "" {
		ask.Commit = string(view.Files.Span.To.SourceCommit)
		if ask.Side == string(repos.Left) {
			ask.Commit = string(view.Files.Span.To.BaseCommit)
		}
	}
	ask.Where = placeWords(repos.Place{Path: ask.Path, Line: line, End: end})
	if ask.Side == string(repos.Right) && line > 0 {
		ask.Suggest = p.lines(r, view, ask.Path, slipway.CommitID(ask.Commit), line, max(line, end))
	}
	return &ask
}

// lines are some lines of a file, for a suggestion to begin with.
func (p codePages) lines(r *http.Request, view *pullView, path string, commit slipway.CommitID, first, last int) *string {
	f, err := p.repos.File(r.Context(), view.id, commit, path, maxShown)
	if err != nil || f.Binary || f.TooLarge {
		return nil // the form says what is wrong when it is sent
	}
	all := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(f.Content), "\r\n", "\n"), "\n"), "\n")
	if first > len(all) {
		return nil
	}
	text := strings.Join(all[first-1:min(last, len(all))], "\n")
	return &text
}

// newAsk is a form that begins a thread.
func (v *pullView) newAsk(id string) askView {
	return askView{ID: id, Action: v.pullURL(v.ID), Attach: v.attachURL(), May: v.SignedIn()}
}

// attachURL is where pictures of comments are sent to.
func (v *pullView) attachURL() string {
	return v.URL("_apis", "git", "repositories", v.id, "pullRequests", v.ID, "attachments")
}

// askView is the form that begins a thread.
type askView struct {
	ID, Action, Path, Side, Line, End, Commit string
	Where                                     string // the lines as people write them
	Attach                                    string // address of attachments
	Suggest                                   *string
	May                                       bool // the comment can wait until the review is submitted
}

// last is the last line that a form is about.
func (a askView) last() int {
	line, _ := strconv.Atoi(a.Line)
	end, _ := strconv.Atoi(a.End)
	return max(line, end)
}

// commentPart is a piece of a comment: text, or a suggestion for the thread's lines.
type commentPart struct {
	Text      templ.Component // nil for a suggestion
	Was, Is   []string        // the lines that a suggestion takes away and brings
	Reference string          // of a suggestion that can be applied: thread.comment.index; empty where it cannot
}

// commentParts renders a comment. was are the lines that suggestions replace; ref names the comment whose suggestions can be applied.
func (p codePages) commentParts(v View, text string, was []string, ref *repos.SuggestionRef) []commentPart {
	var parts []commentPart
	index := 0
	for _, part := range repos.CommentParts(text) {
		if !part.Suggestion {
			parts = append(parts, commentPart{Text: p.markdown.render(linkedMentions(v, part.Text))})
			continue
		}
		one := commentPart{Was: was}
		if part.Text != "" {
			one.Is = strings.Split(part.Text, "\n")
		}
		if ref != nil {
			one.Reference = fmt.Sprintf("%d.%d.%d", ref.Thread, ref.Comment, index)
		}
		index++
		parts = append(parts, one)
	}
	return parts
}

// parseSuggestion reads a reference of commentParts.
func parseSuggestion(text string) (ref repos.SuggestionRef, err error) {
	if n, err := fmt.Sscanf(text, "%d.%d.%d", &ref.Thread, &ref.Comment, &ref.Index); err != nil || n != 3 {
		return ref, slipway.Invalid("%q names no suggestion", text)
	}
	return ref, nil
}
