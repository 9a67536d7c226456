package api

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

type upstreamRoutes struct {
	*Server
	cache *registry.Cache
}

// AddUpstreams serves the registries whose images are read through this one.
func (s *Server) AddUpstreams(c *registry.Cache) {
	u := upstreamRoutes{s, c}
	u.installation("GET", "/slipway/registry/upstreams", identity.Read, u.list)
	u.installation("GET", "/slipway/registry/upstreams/{upstream}", identity.Read, u.get)
	u.installation("PUT", "/slipway/registry/upstreams/{upstream}", identity.Administer, u.put)
	u.installation("DELETE", "/slipway/registry/upstreams/{upstream}", identity.Administer, u.delete)
	u.installation("DELETE", "/slipway/registry/upstreams/{upstream}/copies", identity.Administer, u.purge)
	u.installation("GET", "/slipway/registry/upstreams/{upstream}/repositories", identity.Administer, u.repositories)
}

// maxUpstream bounds the settings of an upstream, in bytes.
const maxUpstream = 1 << 20

// Upstream is another registry whose images are read through this one.
type Upstream struct {
	Name string `json:"name"`
	UpstreamSettings
	HasPassword   bool       `json:"hasPassword"`
	Hits          int64      `json:"hits"`
	Misses        int64      `json:"misses"`
	BytesSaved    int64      `json:"bytesSaved"`
	BytesFetched  int64      `json:"bytesFetched"`
	BytesKept     int64      `json:"bytesKept"`
	LastError     string     `json:"lastError,omitempty"`
	LastErrorTime *time.Time `json:"lastErrorTime,omitempty"`
	CreatedOn     *time.Time `json:"createdOn"`
}

// UpstreamSettings are what may be said of an upstream. What is left out is as in a new one.
type UpstreamSettings struct {
	URL      string `json:"url"`
	Username string `json:"username"`
	// Password is never answered; left out, what there is stays, empty takes it away.
	Password     *string  `json:"password,omitempty"`
	Repositories []string `json:"repositories"`
	Projects     []string `json:"projects"` // names or ids
	StaleMinutes *int     `json:"staleMinutes"`
	KeepDays     *int     `json:"keepDays"`
	Disabled     bool     `json:"disabled"`
}

func (u upstreamRoutes) upstream(r request, from registry.Upstream) (Upstream, error) {
	usage, err := u.cache.Usage(r.Context(), from)
	if err != nil {
		return Upstream{}, err
	}
	out := Upstream{Name: from.Name, HasPassword: from.HasPassword, Hits: from.Counts.Hits, Misses: from.Counts.Misses, BytesSaved: from.Counts.Saved,
		BytesFetched: from.Counts.Fetched, BytesKept: usage.Bytes, LastError: from.LastError, LastErrorTime: when(from.LastErrorTime), CreatedOn: when(from.Created),
		UpstreamSettings: UpstreamSettings{URL: from.URL, Username: from.Username, Repositories: from.Repositories, Projects: []string{},
			StaleMinutes: &from.StaleMinutes, KeepDays: &from.KeepDays, Disabled: from.Disabled}}
	for _, id := range from.Projects {
		name := string(id)
		if p, err := u.identity.ProjectByName(r.Context(), name); err == nil {
			name = p.Name
		}
		out.Projects = append(out.Projects, name)
	}
	if !r.caller.Administrator { // how the upstream is entered, and what goes wrong there, is for those who look after it
		out.Username, out.LastError, out.LastErrorTime, out.Projects = "", "", nil, []string{}
	}
	return out, nil
}

func (u upstreamRoutes) list(w http.ResponseWriter, r request) error {
	upstreams, err := u.cache.Upstreams(r.Context())
	if err != nil {
		return err
	}
	var out []Upstream
	for _, from := range upstreams {
		one, err := u.upstream(r, from)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	return list(w, out)
}

// name is the upstream that the path names; a port's colon may be escaped.
func (u upstreamRoutes) name(r request) string {
	text := chi.URLParam(r.Request, "upstream")
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

func (u upstreamRoutes) get(w http.ResponseWriter, r request) error {
	from, err := u.cache.Upstream(r.Context(), u.name(r))
	if err != nil {
		return err
	}
	return u.write(w, r, http.StatusOK, from)
}

func (u upstreamRoutes) write(w http.ResponseWriter, r request, status int, from registry.Upstream) error {
	out, err := u.upstream(r, from)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, status, out)
	return nil
}

// put makes an upstream, or changes all settings of the one that is there.
func (u upstreamRoutes) put(w http.ResponseWriter, r request) error {
	var in UpstreamSettings
	if err := httpx.ReadJSON(w, r.Request, maxUpstream, &in); err != nil {
		return err
	}
	settings := registry.NewUpstreamSettings()
	settings.URL, settings.Username, settings.Repositories, settings.Disabled = in.URL, in.Username, in.Repositories, in.Disabled
	if in.StaleMinutes != nil {
		settings.StaleMinutes = *in.StaleMinutes
	}
	if in.KeepDays != nil {
		settings.KeepDays = *in.KeepDays
	}
	for _, name := range in.Projects {
		p, err := u.identity.ProjectByName(r.Context(), name)
		if err != nil {
			return slipway.Invalid("there is no project %q", name)
		}
		settings.Projects = append(settings.Projects, p.ID)
	}
	from, created, err := u.cache.PutUpstream(r.Context(), u.name(r), settings, in.Password, r.caller.Actor)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return u.write(w, r, status, from)
}

func (u upstreamRoutes) delete(w http.ResponseWriter, r request) error {
	if err := u.cache.DeleteUpstream(r.Context(), u.name(r), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// purge removes the copies and leaves the upstream.
func (u upstreamRoutes) purge(w http.ResponseWriter, r request) error {
	if err := u.cache.Purge(r.Context(), u.name(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// CachedRepository is a repository of which there are copies.
type CachedRepository struct {
	Name         string     `json:"name"`
	Manifests    int64      `json:"manifests"`
	Tags         int64      `json:"tags"`
	Blobs        int64      `json:"blobs"`
	Bytes        int64      `json:"bytes"`
	LastPulledOn *time.Time `json:"lastPulledOn"`
}

func (u upstreamRoutes) repositories(w http.ResponseWriter, r request) error {
	from, err := u.cache.Upstream(r.Context(), u.name(r))
	if err != nil {
		return err
	}
	repositories, err := u.cache.Repositories(r.Context(), from)
	if err != nil {
		return err
	}
	var out []CachedRepository
	for _, c := range repositories {
		out = append(out, CachedRepository{c.Name, c.Manifests, c.Tags, c.Blobs, c.Bytes, when(c.Pulled)})
	}
	return list(w, out)
}
