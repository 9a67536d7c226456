package api

import (
	"net/http"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

func (g gitRoutes) addMirrors() {
	g.project("POST", "/slipway/imports", identity.Administer, g.importRepository)
	const all = "/slipway/repositories/{repo}/mirrors"
	g.project("GET", all, identity.Read, g.listMirrors)
	g.project("POST", all, identity.Administer, g.createMirror)
	g.project("GET", all+"/{mirror}", identity.Read, g.getMirror)
	g.project("PUT", all+"/{mirror}", identity.Administer, g.updateMirror)
	g.project("DELETE", all+"/{mirror}", identity.Administer, g.deleteMirror)
	g.project("POST", all+"/{mirror}/sync", identity.Contribute, g.syncMirror)
	g.project("POST", all+"/{mirror}/cancel", identity.Contribute, g.cancelMirror)
	const requests = "/git/repositories/{repo}/importRequests"
	g.project("GET", requests, identity.Read, g.listImports)
	g.project("POST", requests, identity.Administer, g.createImport)
	g.project("GET", requests+"/{mirror}", identity.Read, g.getImport)
	g.project("PATCH", requests+"/{mirror}", identity.Administer, g.updateImport)
}

// Mirror is what a repository has to do with one of another host.
type Mirror struct {
	ID               int64      `json:"id"`
	Kind             string     `json:"kind"` // import, pull, push
	URL              string     `json:"url"`
	Username         string     `json:"username,omitempty"`
	HasSecret        bool       `json:"hasSecret"`
	Connection       string     `json:"connection,omitempty"`
	KnownHosts       string     `json:"knownHosts,omitempty"`
	Every            string     `json:"every,omitempty"` // 1h0m0s; empty for by hand alone
	Enabled          bool       `json:"enabled"`
	PrivateAddresses bool       `json:"privateAddresses"`
	State            string     `json:"state"` // queued, running, succeeded, failed, canceled
	Problem          string     `json:"problem,omitempty"`
	Progress         []string   `json:"progress,omitempty"` // what git says, while it runs
	Due              *time.Time `json:"due,omitempty"`
	Started          *time.Time `json:"started,omitempty"`
	Finished         *time.Time `json:"finished,omitempty"`
	Succeeded        *time.Time `json:"succeeded,omitempty"`
}

// NewMirror asks for a mirror, or for other settings of one. Credentials that an update leaves out stay as long as the URL does.
type NewMirror struct {
	Name             string `json:"name,omitempty"` // of the repository, of an import alone
	Kind             string `json:"kind"`
	URL              string `json:"url"`
	Username         string `json:"username,omitempty"`
	Password         string `json:"password,omitempty"`
	PrivateKey       string `json:"privateKey,omitempty"`
	Connection       string `json:"connection,omitempty"`
	KnownHosts       string `json:"knownHosts,omitempty"`
	Every            string `json:"every,omitempty"`
	Enabled          *bool  `json:"enabled,omitempty"` // true when left out
	PrivateAddresses bool   `json:"privateAddresses,omitempty"`
}

// Imported is a repository that is being filled.
type Imported struct {
	Repository GitRepository `json:"repository"`
	Mirror     Mirror        `json:"mirror"`
}

func (g gitRoutes) mirror(m repos.Mirror) Mirror {
	out := Mirror{ID: m.ID, Kind: string(m.Kind), URL: m.URL, Username: m.User, HasSecret: m.HasSecret, Connection: m.Connection, KnownHosts: m.KnownHosts,
		Enabled: m.Enabled, PrivateAddresses: m.Private, State: string(m.State), Problem: m.Problem, Progress: g.repos.MirrorProgress(m.ID),
		Due: when(m.Due), Started: when(m.Started), Finished: when(m.Finished), Succeeded: when(m.Succeeded)}
	if m.Every > 0 {
		out.Every = m.Every.String()
	}
	return out
}

const maxMirrorBody = 256 << 10

// mirrorSettings reads what is asked for. Private addresses are for administrators of the installation: through them one sees what the server sees.
func (g gitRoutes) mirrorSettings(w http.ResponseWriter, r request) (NewMirror, repos.MirrorSettings, error) {
	var body NewMirror
	if err := httpx.ReadJSON(w, r.Request, maxMirrorBody, &body); err != nil {
		return body, repos.MirrorSettings{}, err
	}
	want := repos.MirrorSettings{Kind: repos.MirrorKind(body.Kind), URL: body.URL, User: body.Username, Password: body.Password, PrivateKey: body.PrivateKey,
		Connection: body.Connection, KnownHosts: body.KnownHosts, Enabled: body.Enabled == nil || *body.Enabled, Private: body.PrivateAddresses}
	if want.Private && !r.caller.Administrator {
		return body, want, slipway.Forbidden("private addresses are for administrators of this installation: have one make the mirror, or have the network allowed with --call-network")
	}
	if body.Every != "" {
		var err error
		if want.Every, err = time.ParseDuration(body.Every); err != nil || want.Every < 0 {
			return body, want, slipway.Invalid("every is a time such as 1h or 30m, not %q", body.Every)
		}
	}
	return body, want, nil
}

func (g gitRoutes) importRepository(w http.ResponseWriter, r request) error {
	body, want, err := g.mirrorSettings(w, r)
	if err != nil {
		return err
	}
	if want.Kind == "" {
		want.Kind = repos.MirrorImport
	}
	repo, m, err := g.repos.Import(r.Context(), repos.CreateRequest{Project: r.project.ID, Name: body.Name, Actor: r.caller.Actor}, want)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, Imported{g.repository(r.project, repo), g.mirror(m)})
	return nil
}

func (g gitRoutes) listMirrors(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	all, err := g.repos.Mirrors(r.Context(), repo.ID)
	if err != nil {
		return err
	}
	var out []Mirror
	for _, m := range all {
		out = append(out, g.mirror(m))
	}
	return list(w, out)
}

func (g gitRoutes) createMirror(w http.ResponseWriter, r request) error {
	repo, err := g.find(r)
	if err != nil {
		return err
	}
	_, want, err := g.mirrorSettings(w, r)
	if err != nil {
		return err
	}
	m, err := g.repos.CreateMirror(r.Context(), repo.ID, want, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, g.mirror(m))
	return nil
}

// findMirror is the mirror that the path names.
func (g gitRoutes) findMirror(r request) (repos.Mirror, error) {
	repo, err := g.find(r)
	if err != nil {
		return repos.Mirror{}, err
	}
	id, err := r.number("mirror")
	if err != nil {
		return repos.Mirror{}, err
	}
	return g.repos.Mirror(r.Context(), repo.ID, id)
}

func (g gitRoutes) getMirror(w http.ResponseWriter, r request) error {
	m, err := g.findMirror(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.mirror(m))
	return nil
}

func (g gitRoutes) updateMirror(w http.ResponseWriter, r request) error {
	m, err := g.findMirror(r)
	if err != nil {
		return err
	}
	_, want, err := g.mirrorSettings(w, r)
	if err != nil {
		return err
	}
	if m, err = g.repos.UpdateMirror(r.Context(), m.Repository, m.ID, want, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, g.mirror(m))
	return nil
}

func (g gitRoutes) deleteMirror(w http.ResponseWriter, r request) error {
	m, err := g.findMirror(r)
	if err != nil {
		return err
	}
	if err := g.repos.DeleteMirror(r.Context(), m.Repository, m.ID, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g gitRoutes) syncMirror(w http.ResponseWriter, r request) error {
	m, err := g.findMirror(r)
	if err != nil {
		return err
	}
	if m, err = g.repos.SyncMirror(r.Context(), m.Repository, m.ID); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusAccepted, g.mirror(m))
	return nil
}

func (g gitRoutes) cancelMirror(w http.ResponseWriter, r request) error {
	m, err := g.findMirror(r)
	if err != nil {
		return err
	}
	if err := g.repos.CancelMirror(r.Context(), m.Repository, m.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
