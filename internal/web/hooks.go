package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/hooks"
	"slipway/internal/identity"
)

type hooksPages struct {
	*Server
	hooks *hooks.Service
}

// AddHooks serves the pages of a project's service hooks, to its administrators: addresses of others may be secrets.
func (s *Server) AddHooks(h *hooks.Service) {
	p := hooksPages{s, h}
	s.Project("GET", "/_settings/hooks", identity.Administer, p.list)
	s.Project("POST", "/_settings/hooks", identity.Administer, p.create)
	s.Project("GET", "/_settings/hooks/{hook}", identity.Administer, p.show)
	s.Project("POST", "/_settings/hooks/{hook}", identity.Administer, p.change)
	s.Project("GET", "/_settings/hooks/{hook}/{delivery}", identity.Administer, p.delivery)
}

type hooksView struct {
	URL  string
	Rows []hookRow
}

type hookRow struct {
	hooks.Subscription
	Target string
	URL    string
}

func (p hooksPages) row(v View, n hooks.Subscription) (hookRow, error) {
	t, err := p.hooks.Target(n)
	return hookRow{n, t.URL, v.URL("_settings", "hooks", n.ID)}, err
}

func (p hooksPages) list(w http.ResponseWriter, r *http.Request, v View) error {
	found, err := p.hooks.Subscriptions(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	view := hooksView{URL: v.URL("_settings", "hooks")}
	for _, n := range found {
		row, err := p.row(v, n)
		if err != nil {
			return err
		}
		view.Rows = append(view.Rows, row)
	}
	return p.Render(w, r, v.Titled("Service hooks", "settings"), hooksPage(view))
}

func (p hooksPages) create(w http.ResponseWriter, r *http.Request, v View) error {
	n := hooks.Subscription{Project: v.Project.ID, Description: strings.TrimSpace(r.FormValue("description")), Kinds: strings.Fields(strings.ReplaceAll(r.FormValue("kinds"), ",", " ")),
		Filters: map[string]string{}, Format: hooks.Format(r.FormValue("format")), CreatedBy: v.Caller.Actor}
	for line := range strings.Lines(r.FormValue("filters")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		field, pattern, ok := strings.Cut(line, "=")
		if !ok {
			return slipway.Invalid("filter %q: write FIELD=PATTERN, one on a line", line)
		}
		n.Filters[strings.TrimSpace(field)] = strings.TrimSpace(pattern)
	}
	t := hooks.Target{URL: strings.TrimSpace(r.FormValue("url")), Secret: r.FormValue("secret"), Username: r.FormValue("user"), Password: r.FormValue("password")}
	made, err := p.hooks.Subscribe(r.Context(), n, t)
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "hooks", made.ID))
}

// found is the subscription of the path, if it is the project's.
func (p hooksPages) found(r *http.Request, v View) (hooks.Subscription, error) {
	n, err := p.hooks.Subscription(r.Context(), chi.URLParam(r, "hook"))
	if err == nil && n.Project != v.Project.ID {
		err = slipway.NotFound("the project has no service hook %q", n.ID)
	}
	return n, err
}

type hookView struct {
	hookRow
	Back       string
	Signed     bool
	Username   string
	Deliveries []hooks.Delivery
}

const shownDeliveries = 100

func (p hooksPages) show(w http.ResponseWriter, r *http.Request, v View) error {
	n, err := p.found(r, v)
	if err != nil {
		return err
	}
	view := hookView{Back: v.URL("_settings", "hooks")}
	if view.hookRow, err = p.row(v, n); err != nil {
		return err
	}
	t, err := p.hooks.Target(n)
	if err != nil {
		return err
	}
	view.Signed, view.Username = t.Secret != "", t.Username
	if view.Deliveries, err = p.hooks.Deliveries(r.Context(), n, "", shownDeliveries); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Service hook", "settings"), hookPage(view))
}

func (p hooksPages) change(w http.ResponseWriter, r *http.Request, v View) error {
	ctx := r.Context()
	n, err := p.found(r, v)
	if err != nil {
		return err
	}
	t, err := p.hooks.Target(n)
	if err != nil {
		return err
	}
	switch r.FormValue("do") {
	case "delete":
		if err := p.hooks.Unsubscribe(ctx, n); err != nil {
			return err
		}
		return p.Redirect(w, r, v.URL("_settings", "hooks"))
	case "enable":
		n.State = hooks.Enabled
		_, err = p.hooks.Update(ctx, n, t)
	case "disable":
		n.State = hooks.DisabledByUser
		_, err = p.hooks.Update(ctx, n, t)
	case "test":
		_, err = p.hooks.Test(ctx, n, v.Caller.Actor)
	case "redeliver":
		var d hooks.Delivery
		if d, err = p.deliveryOf(r, n, r.FormValue("delivery")); err == nil {
			_, err = p.hooks.Redeliver(ctx, n, d)
		}
	default:
		err = slipway.Invalid("the form asks for nothing that is known here")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "hooks", n.ID))
}

func (p hooksPages) deliveryOf(r *http.Request, n hooks.Subscription, text string) (hooks.Delivery, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return hooks.Delivery{}, slipway.Invalid("%q is no delivery's number", text)
	}
	return p.hooks.Delivery(r.Context(), n, id)
}

type deliveryView struct {
	hooks.Delivery
	Back, URL string
}

func (p hooksPages) delivery(w http.ResponseWriter, r *http.Request, v View) error {
	n, err := p.found(r, v)
	if err != nil {
		return err
	}
	d, err := p.deliveryOf(r, n, chi.URLParam(r, "delivery"))
	if err != nil {
		return err
	}
	url := v.URL("_settings", "hooks", n.ID)
	return p.Render(w, r, v.Titled("Delivery "+strconv.FormatInt(d.ID, 10), "settings"), deliveryPage(deliveryView{d, url, url}))
}
