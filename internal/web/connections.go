package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (p pipelinesPages) addConnectionPages() {
	p.Project("GET", "/_settings/connections", identity.Read, p.connections)
	p.Project("POST", "/_settings/connections", identity.Administer, p.changeConnection)
}

type connectionsView struct {
	Connections []pipelines.Connection
	Types       []pipelines.ConnectionType
	URL         string
	MayChange   bool
}

// connectionView is one connection, or the form of a new one, whose ID is "".
type connectionView struct {
	pipelines.Connection
	Kind      pipelines.ConnectionType
	Scheme    pipelines.ConnectionScheme
	Pipelines []pipelines.Definition
	Uses      []pipelines.ConnectionUse
	View      View
	URL       string
	MayChange bool
}

func (p pipelinesPages) connections(w http.ResponseWriter, r *http.Request, v View) error {
	at := v.URL("_settings", "connections")
	may := p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	if id, kind := r.FormValue("id"), r.FormValue("new"); id != "" || kind != "" && may {
		return p.connection(w, r, v, connectionView{View: v, URL: at, MayChange: may})
	}
	list, err := p.pipelines.Connections(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Service connections", "settings"), connectionsPage(connectionsView{list, pipelines.ConnectionTypes(), at, may}))
}

// connection shows one, or the form of a new one.
func (p pipelinesPages) connection(w http.ResponseWriter, r *http.Request, v View, view connectionView) (err error) {
	title := "New service connection"
	if id := r.FormValue("id"); id != "" {
		if view.Connection, err = p.pipelines.Connection(r.Context(), v.Project.ID, id); err != nil {
			return err
		}
		title = view.Name
		if view.Uses, err = p.pipelines.ConnectionUses(r.Context(), &view.Connection, 50); err != nil {
			return err
		}
	} else {
		view.Type = strings.ToLower(r.FormValue("new"))
	}
	if scheme := r.FormValue("scheme"); scheme != "" {
		view.Connection.Scheme = scheme
	}
	view.Kind = pipelines.ConnectionType{Name: view.Type, Title: view.Type, Schemes: []pipelines.ConnectionScheme{{Name: view.Connection.Scheme, Parameters: slices.Sorted(maps.Keys(view.Parameters))}}, Data: slices.Sorted(maps.Keys(view.Data))}
	for _, t := range pipelines.ConnectionTypes() {
		if t.Name == view.Type {
			view.Kind = t
		}
	}
	view.Scheme = view.Kind.Schemes[0]
	for _, s := range view.Kind.Schemes {
		if strings.EqualFold(s.Name, view.Connection.Scheme) {
			view.Scheme = s
		}
	}
	if view.Connection.URL == "" {
		view.Connection.URL = view.Kind.URL
	}
	if view.Pipelines, err = p.pipelines.Definitions(r.Context(), v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(title, "settings"), connectionPage(view))
}

// schemeURL is the same form with another way to authorize.
func (v connectionView) schemeURL(scheme string) string {
	q := url.Values{"scheme": {scheme}}
	if v.ID != "" {
		q.Set("id", v.ID)
	} else {
		q.Set("new", v.Type)
	}
	return v.URL + "?" + q.Encode()
}

// shownValue is what may be shown of a parameter or datum by its name in any case.
func shownValue(parts map[string]string, name string) string {
	for key, value := range parts {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// isLong says which parameters have several lines.
func isLong(name string) bool {
	return slices.Contains([]string{"kubeconfig", "serviceaccountcertificate", "privatekey"}, strings.ToLower(name))
}

// changeConnection makes, changes or deletes a connection.
func (p pipelinesPages) changeConnection(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<20)
	if err := r.ParseForm(); err != nil {
		return slipway.Invalid("the form did not arrive whole").Because(err)
	}
	at := v.URL("_settings", "connections")
	if id := r.FormValue("delete"); id != "" {
		if err := p.pipelines.DeleteConnection(r.Context(), v.Project.ID, id, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, at)
	}
	c := pipelines.Connection{ID: r.FormValue("id"), Project: v.Project.ID, Name: r.FormValue("name"), Description: r.FormValue("description"), Type: r.FormValue("type"),
		URL: r.FormValue("url"), Scheme: r.FormValue("scheme"), Parameters: map[string]string{}, Data: map[string]string{}, AllPipelines: r.FormValue("all") != ""}
	for key, values := range r.PostForm {
		if name, ok := strings.CutPrefix(key, "p."); ok {
			c.Parameters[name] = strings.TrimSpace(values[0])
		} else if name, ok := strings.CutPrefix(key, "d."); ok {
			c.Data[name] = strings.ReplaceAll(values[0], "\r\n", "\n")
		}
	}
	for _, text := range r.PostForm["pipeline"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("pipeline %q is no number", text)
		}
		c.Pipelines = append(c.Pipelines, slipway.PipelineID(id))
	}
	var err error
	if c.ID == "" {
		c, err = p.pipelines.CreateConnection(r.Context(), c, v.Caller.Actor)
	} else {
		c, err = p.pipelines.UpdateConnection(r.Context(), c, v.Caller.Actor)
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, at+"?id="+url.QueryEscape(c.ID))
}
