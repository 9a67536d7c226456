package web

import (
	"net/http"
	"net/url"
	"strconv"

	"slipway/internal/events"
)

const eventsOnPage = 100

type auditView struct {
	URL       string
	Everybody bool        // with what jobs and the server did
	Kind      events.Kind // that all have, "" for any
	Events    []events.Event
	Older     string // URL of older ones, if there are any
}

// with is the page's address with other choices.
func (a auditView) with(everybody bool, kind events.Kind, before int64) string {
	q := url.Values{}
	if everybody {
		q.Set("everybody", "1")
	}
	if kind != "" {
		q.Set("kind", string(kind))
	}
	if before > 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	if len(q) == 0 {
		return a.URL
	}
	return a.URL + "?" + q.Encode()
}

// audit shows what happened in the project, newest first.
func (s *Server) audit(w http.ResponseWriter, r *http.Request, v View) error {
	q := r.URL.Query()
	view := auditView{URL: v.URL("_settings", "audit"), Everybody: q.Get("everybody") != "", Kind: events.Kind(q.Get("kind"))}
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64)
	var err error
	view.Events, err = s.events.List(r.Context(), events.Filter{Project: v.Project.ID, Kind: view.Kind, People: !view.Everybody, Before: before, Limit: eventsOnPage + 1})
	if err != nil {
		return err
	}
	if len(view.Events) > eventsOnPage {
		view.Events = view.Events[:eventsOnPage]
		view.Older = view.with(view.Everybody, view.Kind, view.Events[eventsOnPage-1].ID)
	}
	return s.Render(w, r, v.Titled("Audit log", "settings"), auditPage(view))
}
