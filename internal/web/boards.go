package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/lineage"
)

type boardsPages struct {
	*Server
	boards   *boards.Service
	lineage  *lineage.Service
	things   Things
	markdown markdown
}

// AddBoards serves the board, the backlog's list and the work items' pages.
func (s *Server) AddBoards(b *boards.Service, l *lineage.Service, t Things) {
	p := boardsPages{s, b, l, t, newMarkdown()}
	s.Project("GET", "/_boards", identity.Read, p.board)
	s.Project("GET", "/_boards/live", identity.Read, p.live)
	s.Project("POST", "/_boards/move", identity.Contribute, p.move)
	s.Project("GET", "/_workitems", identity.Read, p.list)
	s.Project("GET", "/_workitems/new", identity.Contribute, p.newItem)
	s.Project("POST", "/_workitems/new", identity.Contribute, p.create)
	s.Project("GET", "/_workitems/edit/{item}", identity.Read, p.item)
	s.Project("POST", "/_workitems/edit/{item}", identity.Contribute, p.update)
	s.Project("POST", "/_workitems/edit/{item}/comments", identity.Contribute, p.comment)
	s.Project("POST", "/_workitems/edit/{item}/links", identity.Contribute, p.link)
	s.Project("POST", "/_workitems/edit/{item}/unlink", identity.Contribute, p.unlink)
}

type boardView struct {
	Level    boards.Level
	Levels   []boardLevel
	Columns  []boardColumn
	Move     string // where moves are posted
	Live     string
	New      string
	List     string
	MayWrite bool
}

type boardLevel struct {
	Name, URL string
	Current   bool
}

type boardColumn struct {
	State boards.State
	Total int
	Cards []boardCard
}

type boardCard struct {
	ID       slipway.WorkItemID
	Revision int64
	Type     boards.Type
	Title    string
	URL      string
	Assigned string
	Priority int
	Tags     []string
	Above    slipway.WorkItemID // the card above it, 0 for none
	States   []boards.State     // it may be moved to
}

func (p boardsPages) mayWrite(ctx context.Context, v View) bool {
	return p.identity.Authorize(ctx, v.Caller, identity.Contribute, v.Project.ID) == nil
}

// members are the names of those whom items can be assigned to.
func (p boardsPages) members(ctx context.Context, v View) ([]identity.Member, map[slipway.UserID]string, error) {
	list, err := p.identity.Members(ctx, v.Project.ID)
	names := map[slipway.UserID]string{}
	for _, m := range list {
		names[m.ID] = m.DisplayName
	}
	return list, names, err
}

func level(r *http.Request) boards.Level {
	if l := r.FormValue("level"); l != "" {
		return boards.Level(l)
	}
	return boards.Stories
}

func (p boardsPages) boardURL(v View, l boards.Level) string {
	return v.URL("_boards") + "?level=" + string(l)
}

func (p boardsPages) boardView(ctx context.Context, v View, l boards.Level) (boardView, error) {
	columns, err := p.boards.Board(ctx, v.Project.ID, l)
	if err != nil {
		return boardView{}, err
	}
	_, names, err := p.members(ctx, v)
	if err != nil {
		return boardView{}, err
	}
	view := boardView{Level: l, Move: v.URL("_boards", "move") + "?level=" + string(l), Live: v.URL("_boards", "live") + "?level=" + string(l),
		New: v.URL("_workitems", "new"), List: v.URL("_workitems"), MayWrite: p.mayWrite(ctx, v)}
	for _, one := range boards.Levels() {
		view.Levels = append(view.Levels, boardLevel{Name: strings.ToUpper(string(one[:1])) + string(one[1:]), URL: p.boardURL(v, one), Current: one == l})
	}
	for _, c := range columns {
		column := boardColumn{State: c.State, Total: c.Total}
		above := slipway.WorkItemID(0)
		for _, i := range c.Items {
			column.Cards = append(column.Cards, boardCard{ID: i.ID, Revision: i.Revision, Type: i.Type, Title: i.Title, URL: v.URL("_workitems", "edit", i.ID),
				Assigned: names[i.Assigned], Priority: i.Priority, Tags: i.Tags, Above: above, States: i.Type.States()})
			above = i.ID
		}
		view.Columns = append(view.Columns, column)
	}
	return view, nil
}

func (p boardsPages) board(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.boardView(r.Context(), v, level(r))
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Board", "boards"), boardPage(view))
}

// ofBoards matches the events of a project's work items.
func ofBoards(v View) func(events.Event) bool {
	return func(e events.Event) bool {
		return e.Project == v.Project.ID && strings.HasPrefix(string(e.Kind), "boards.")
	}
}

func (p boardsPages) live(w http.ResponseWriter, r *http.Request, v View) error {
	l := level(r)
	return p.Live(w, r, ofBoards(v), func() (templ.Component, error) {
		view, err := p.boardView(r.Context(), v, l)
		return boardColumns(view), err
	})
}

// number reads a form's field as a number, 0 when it is empty.
func number(r *http.Request, field string) (int64, error) {
	value := strings.TrimSpace(r.FormValue(field))
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0, slipway.Invalid("%s must be a number", field)
	}
	return n, nil
}

// ofProjectItem returns an item of the view's project: one of another is not there.
func (p boardsPages) ofProjectItem(ctx context.Context, v View, id int64) (boards.Item, error) {
	i, err := p.boards.Get(ctx, slipway.WorkItemID(id))
	if err == nil && i.Project != v.Project.ID {
		err = slipway.NotFound("there is no work item %d in this project", id)
	}
	return i, err
}

// move takes drags as well as the forms of the cards.
func (p boardsPages) move(w http.ResponseWriter, r *http.Request, v View) error {
	id, err := number(r, "item")
	if err != nil {
		return err
	}
	before, err := number(r, "before")
	if err != nil {
		return err
	}
	revision, err := number(r, "revision")
	if err != nil {
		return err
	}
	i, err := p.ofProjectItem(r.Context(), v, id)
	if err != nil {
		return err
	}
	state, err := i.Type.ParseState(r.FormValue("list"))
	if err != nil {
		return err
	}
	if _, err := p.boards.Move(r.Context(), v.Caller.Actor, i.ID, state, slipway.WorkItemID(before), revision); err != nil {
		return err
	}
	return p.Redirect(w, r, p.boardURL(v, boards.LevelOf(i.Type)))
}

func (p boardsPages) pathItem(r *http.Request, v View) (boards.Item, error) {
	id, err := strconv.ParseInt(chi.URLParam(r, "item"), 10, 64)
	if err != nil {
		return boards.Item{}, slipway.NotFound("there is no work item %.40s", chi.URLParam(r, "item"))
	}
	return p.ofProjectItem(r.Context(), v, id)
}

func itemTitle(i boards.Item) string { return fmt.Sprintf("%s %d", i.Type, i.ID) }
