package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	refsPerPage = 50
	// countNow is how long the page of branches waits for the numbers of commits ahead and behind; the rest is brought by countLater.
	countNow   = 250 * time.Millisecond
	countLater = 20 * time.Second
)

type branchRow struct {
	Name, URL, CommitsURL string
	Target                slipway.CommitID
	Last                  commitRow
	Counted               bool
	Counts                repos.AheadBehind
	CompareURL            string
	PullURL               string // of the form for a pull request of this branch, empty where none can be
	Default               bool
	LockedBy              string // empty when it is not locked
	MayUnlock             bool
}

// refsView is what the pages of branches and of tags know.
type refsView struct {
	codeView
	Filter       string
	Newer, Older string // addresses of the pages before and after
	Choice       refChoice
}

type branchesView struct {
	refsView
	Rows          []branchRow
	LoadURL       string // of the rows with the numbers that are missing; empty when none is
	Deleted       []deletedRow
	MayAdminister bool
}

type deletedRow struct {
	repos.DeletedBranch
	CommitURL string
}

// page chooses the refs that one page shows: those whose name holds the filter.
func (p codePages) page(r *http.Request, c codeView, list []repos.Ref) (refsView, []repos.Ref, error) {
	view := refsView{codeView: c, Filter: strings.TrimSpace(r.FormValue("filter"))}
	list = slices.DeleteFunc(list, func(ref repos.Ref) bool {
		return !strings.Contains(strings.ToLower(ref.Name), strings.ToLower(view.Filter))
	})
	number, _ := strconv.Atoi(r.FormValue("page"))
	from := min(max(number, 0)*refsPerPage, len(list))
	to := min(from+refsPerPage, len(list))
	at := func(n int) string {
		q := url.Values{"page": {strconv.Itoa(n)}}
		if view.Filter != "" {
			q.Set("filter", view.Filter)
		}
		return r.URL.Path + "?" + q.Encode()
	}
	if from > 0 {
		view.Newer = at(number - 1)
	}
	if to < len(list) {
		view.Older = at(number + 1)
	}
	var err error
	view.Choice, err = p.choice(r.Context(), c.id)
	return view, list[from:to], err
}

// branches is the page of branches, the default one first, then those that changed last.
func (p codePages) branches(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "branches")
	if err != nil {
		return err
	}
	list, err := p.repos.Branches(r.Context(), c.id)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b repos.Ref) int {
		if (a.Name == c.Default) != (b.Name == c.Default) {
			if a.Name == c.Default {
				return -1
			}
			return 1
		}
		return b.Updated.Compare(a.Updated)
	})
	var base slipway.CommitID
	if len(list) > 0 && list[0].Name == c.Default {
		base = list[0].Commit
	}
	refs, shown, err := p.page(r, c, list)
	if err != nil {
		return err
	}
	view := branchesView{refsView: refs}
	later := r.FormValue("counts") == "later"
	within := countNow
	if later {
		within = countLater
	}
	if view.Rows, err = p.branchRows(r.Context(), c, shown, base, within); err != nil {
		return err
	}
	if !later && slices.ContainsFunc(view.Rows, func(row branchRow) bool { return row.CompareURL != "" && !row.Counted }) {
		q := r.URL.Query()
		q.Set("counts", "later")
		view.LoadURL = r.URL.Path + "?" + q.Encode()
	}
	if err := p.addDeleted(r.Context(), &view); err != nil {
		return err
	}
	view.MayAdminister = p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	locks, err := p.repos.BranchLocks(r.Context(), c.id)
	if err != nil {
		return err
	}
	for i := range view.Rows {
		if l, ok := locks["refs/heads/"+view.Rows[i].Name]; ok {
			view.Rows[i].LockedBy, view.Rows[i].MayUnlock = l.By.Name, view.MayAdminister || l.By.ID == v.Caller.ID
		}
	}
	if later && r.Header.Get("HX-Request") != "" {
		return p.Fragment(w, r, branchRowsPart(view))
	}
	return p.Render(w, r, v.Titled("Branches", "repos"), codeBranchesPage(view))
}

func (p codePages) addDeleted(ctx context.Context, view *branchesView) error {
	deleted, err := p.repos.DeletedBranches(ctx, view.id)
	if err != nil {
		return err
	}
	for _, d := range deleted[:min(len(deleted), refsPerPage)] {
		view.Deleted = append(view.Deleted, deletedRow{d, view.CommitURL(d.Commit)})
	}
	return nil
}

func (p codePages) branchRows(ctx context.Context, c codeView, list []repos.Ref, base slipway.CommitID, within time.Duration) ([]branchRow, error) {
	ids := make([]slipway.CommitID, len(list))
	for i, ref := range list {
		ids[i] = ref.Commit
	}
	commits, err := p.repos.CommitList(ctx, c.id, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]branchRow, len(list))
	for i, ref := range list {
		at := c
		at.Version = "GB" + ref.Name
		rows[i] = branchRow{Name: ref.Name, URL: at.At("", ""), CommitsURL: at.At("commits", ""), Target: ref.Commit, Last: c.row(commits[i]), Default: ref.Name == c.Default}
		if rows[i].Default || base.IsZero() {
			continue
		}
		rows[i].CompareURL = c.compareURL("GB"+c.Default, "GB"+ref.Name)
		if c.MayEdit {
			rows[i].PullURL = c.newPullURL(ref.Name)
		}
	}
	if !base.IsZero() {
		err = p.count(ctx, c, rows, base, within)
	}
	return rows, err
}

// count adds how far the branches are ahead of the default one and behind it, as far as the time suffices.
func (p codePages) count(ctx context.Context, c codeView, rows []branchRow, base slipway.CommitID, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(2)
	var once sync.Once
	var failed error
	for i := range rows {
		if rows[i].CompareURL == "" {
			continue
		}
		g.Go(func() error {
			n, err := p.repos.AheadBehind(limited, c.id, base, rows[i].Target)
			switch {
			case err == nil:
				rows[i].Counts, rows[i].Counted = n, true
			case limited.Err() == nil:
				once.Do(func() { failed = err })
			}
			return nil
		})
	}
	_ = g.Wait() // none of them fails the others
	return failed
}

// changeBranches makes, deletes, restores, locks or unlocks a branch, or chooses the default one.
func (p codePages) changeBranches(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "branches")
	if err != nil {
		return err
	}
	ctx, name, actor := r.Context(), strings.TrimSpace(r.FormValue("name")), v.Caller.Actor
	switch r.FormValue("do") {
	case "create":
		if c.Empty {
			return slipway.Conflict("there is no commit yet for a branch to begin at: push one first")
		}
		err = p.repos.CreateBranch(ctx, c.id, actor, name, c.Commit)
	case "delete":
		err = p.repos.DeleteRef(ctx, c.id, actor, "refs/heads/"+name, r.FormValue("at"))
	case "restore":
		err = p.repos.RestoreBranch(ctx, c.id, actor, name)
	case "lock", "unlock":
		administers := p.identity.Authorize(ctx, v.Caller, identity.Administer, v.Project.ID) == nil
		err = p.repos.LockBranch(ctx, actor, c.id, "refs/heads/"+name, r.FormValue("do") == "lock", administers)
	case "default":
		if err = p.identity.Authorize(ctx, v.Caller, identity.Administer, v.Project.ID); err == nil {
			err = p.repos.SetDefaultBranch(ctx, c.id, name)
		}
	default:
		err = slipway.Invalid("say what to do: create, delete, restore, lock, unlock or default")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.pageURL("branches"))
}

type gitTagRow struct {
	Name, URL, Object string
	Commit, CommitURL string
	Notes, Tagger     string
	When              time.Time
	ZipURL, TarURL    string
}

type tagsView struct {
	refsView
	Rows []gitTagRow
}

// tags is the page of tags, the latest first.
func (p codePages) tags(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "tags")
	if err != nil {
		return err
	}
	list, err := p.repos.Tags(r.Context(), c.id)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b repos.Ref) int { return b.Updated.Compare(a.Updated) })
	refs, shown, err := p.page(r, c, list)
	if err != nil {
		return err
	}
	view := tagsView{refsView: refs}
	var objects []string
	for _, ref := range shown {
		objects = append(objects, ref.Target)
	}
	notes, err := p.repos.TagObjects(r.Context(), c.id, objects)
	if err != nil {
		return err
	}
	for _, ref := range shown {
		view.Rows = append(view.Rows, c.tagRow(ref, notes[ref.Target]))
	}
	return p.Render(w, r, v.Titled("Tags", "repos"), codeTagsPage(view))
}

func (c codeView) tagRow(ref repos.Ref, notes repos.Tag) gitTagRow {
	row := gitTagRow{Name: ref.Name, Object: ref.Target, Notes: notes.Message, Tagger: notes.Tagger.Name, When: notes.Tagger.Time}
	if row.When.IsZero() {
		row.When = ref.Updated
	}
	if !ref.Commit.IsZero() {
		at := c
		at.Version, at.Path = "GT"+ref.Name, ""
		row.URL, row.Commit, row.CommitURL = at.At("", ""), ref.Commit.Short(), c.CommitURL(ref.Commit)
		row.ZipURL, row.TarURL = at.With("archive", "", "format", "zip"), at.With("archive", "", "format", "tar.gz")
	}
	return row
}

// changeTags makes or deletes a tag.
func (p codePages) changeTags(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "tags")
	if err != nil {
		return err
	}
	ctx, name := r.Context(), strings.TrimSpace(r.FormValue("name"))
	switch r.FormValue("do") {
	case "create":
		if c.Empty {
			return slipway.Conflict("there is no commit yet for a tag to name: push one first")
		}
		tagger, err := p.author(r, v)
		if err != nil {
			return err
		}
		notes := strings.ReplaceAll(r.FormValue("notes"), "\r\n", "\n")
		if _, err := p.repos.CreateTag(ctx, repos.TagRequest{Repository: c.id, Name: name, Object: string(c.Commit), Message: notes, Tagger: tagger, Actor: v.Caller.Actor}); err != nil {
			return err
		}
	case "delete":
		if err := p.repos.DeleteRef(ctx, c.id, v.Caller.Actor, "refs/tags/"+name, r.FormValue("at")); err != nil {
			return err
		}
	default:
		return slipway.Invalid("say what to do: create or delete")
	}
	return p.Redirect(w, r, c.pageURL("tags"))
}
