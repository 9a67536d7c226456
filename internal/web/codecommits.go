package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/repos"
)

// historyRow is a commit of a history.
type historyRow struct {
	commitRow
	Was     string // the file's name before this commit, which renamed it
	FileURL string // of the file as it was then; empty where no file is followed
}

type commitsView struct {
	codeView
	Choice       refChoice
	Rows         []historyRow
	Author, Text string
	Since, Until string // days, as 2026-01-31
	TimedOut     bool
	Newer, Older string // addresses, empty when there are none
}

const commitsPerPage = 50

// commits is the history of a version, or of a file or folder in it.
func (p codePages) commits(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "commits")
	if err != nil {
		return err
	}
	if c.Empty {
		return p.Render(w, r, v.Titled(c.Repo, "repos"), codeEmptyPage(c))
	}
	view := commitsView{codeView: c, Author: strings.TrimSpace(r.FormValue("author")), Text: strings.TrimSpace(r.FormValue("text")),
		Since: r.FormValue("since"), Until: r.FormValue("until")}
	if view.Choice, err = p.choice(r.Context(), c.id); err != nil {
		return err
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	page = max(page, 0)
	request := repos.HistoryRequest{Repository: c.id, Commit: c.Commit, Path: c.Path, Author: view.Author, Text: view.Text,
		Skip: page * commitsPerPage, Limit: commitsPerPage}
	if request.Since, err = day(view.Since); err != nil {
		return err
	}
	if request.Until, err = day(view.Until); err != nil {
		return err
	}
	if !request.Until.IsZero() {
		request.Until = request.Until.AddDate(0, 0, 1) // the day itself counts
	}
	if c.Path != "" {
		_, _, err := p.repos.Tree(r.Context(), c.id, c.Commit, c.Path)
		request.Follow = slipway.CodeOf(err) == slipway.CodeInvalid // a file
	}
	found, err := p.repos.History(r.Context(), request)
	if err != nil {
		return err
	}
	view.fill(found, page, r.URL)
	return p.Render(w, r, v.Titled("Commits", "repos"), codeCommitsPage(view))
}

func (v *commitsView) fill(found repos.HistoryPage, page int, here *url.URL) {
	for _, e := range found.Entries {
		row := historyRow{commitRow: v.row(e.Commit), Was: e.Was}
		if e.Path != "" {
			at := v.codeView
			at.Version = "GC" + string(e.ID)
			row.FileURL = at.At("", e.Path)
		}
		v.Rows = append(v.Rows, row)
	}
	v.TimedOut = found.TimedOut
	at := func(page int) string {
		q := here.Query()
		q.Set("page", strconv.Itoa(page))
		return here.Path + "?" + q.Encode()
	}
	if page > 0 {
		v.Newer = at(page - 1)
	}
	if found.More {
		v.Older = at(page + 1)
	}
}

// day reads a date as browsers send it; an empty one is zero.
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, slipway.Invalid("%q is no day: write it as 2026-01-31", text)
	}
	return t, nil
}
