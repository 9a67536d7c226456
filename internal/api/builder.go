package api

import (
	"net/http"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builds"
)

// BuilderTunnel carries a connection to the image builder; its builds are of the scope.
type BuilderTunnel func(w http.ResponseWriter, r *http.Request, scope images.Scope) error

// BuilderPath is the tunnel of a project's members, after the project's name.
const BuilderPath = "/_apis/slipway/builder"

type builderRoutes struct {
	*Server
	builds *builds.Service
	dial   images.Dial
	tunnel BuilderTunnel
}

// AddBuilds serves image builds below slipway/, since Azure DevOps has none: those of a project, its tunnel to the builder, and
// for administrators the builder's cache.
func (s *Server) AddBuilds(b *builds.Service, dial images.Dial, tunnel BuilderTunnel) {
	r := builderRoutes{s, b, dial, tunnel}
	s.project("GET", "/slipway/imagebuilds", identity.Read, r.list)
	s.project("POST", "/slipway/imagebuilds", identity.Contribute, r.begin)
	s.project("GET", "/slipway/imagebuilds/{build}", identity.Read, r.get)
	s.project("PATCH", "/slipway/imagebuilds/{build}", identity.Contribute, r.update)
	s.project("GET", "/slipway/imagebuilds/{build}/log", identity.Read, r.log)
	s.project("POST", "/slipway/imagebuilds/{build}/cancel", identity.Contribute, r.cancel)
	s.project("POST", "/slipway/builder", identity.Contribute, r.open)
	s.installation("GET", "/slipway/builder/usage", identity.Administer, r.usage)
	s.installation("POST", "/slipway/builder/prune", identity.Administer, r.prune)
}

// maxBuilds is how many builds one answer has.
const maxBuilds = 100

func (b builderRoutes) list(w http.ResponseWriter, r request) error {
	if text := r.URL.Query().Get("run"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("the run %q is no number", text)
		}
		all, err := b.builds.OfRun(r.Context(), slipway.RunID(id))
		if err != nil {
			return err
		}
		var own []builds.Build
		for _, one := range all {
			if one.Project == r.project.ID {
				own = append(own, one)
			}
		}
		return list(w, own)
	}
	all, err := b.builds.List(r.Context(), r.project.ID, maxBuilds)
	if err != nil {
		return err
	}
	return list(w, all)
}

// open carries builds of the caller's own folder. They remember where changes under review do, since nobody has accepted them.
func (b builderRoutes) open(w http.ResponseWriter, r request) error {
	return b.tunnel(w, r.Request, images.ProjectScope(r.project.ID, false))
}

func (b builderRoutes) usage(w http.ResponseWriter, r request) error {
	usage, err := images.ReadUsage(r.Context(), b.dial)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, usage)
	return nil
}

// BuilderPrune says what is removed from the builder's cache.
type BuilderPrune struct {
	All       bool   `json:"all,omitempty"`       // what BuildKit keeps for itself too
	OlderThan string `json:"olderThan,omitempty"` // only what was not used for so long, as 48h
	Keep      int64  `json:"keep,omitempty"`      // bytes that stay
}

// BuilderPruned is what was freed, in bytes.
type BuilderPruned struct {
	Freed int64 `json:"freed"`
}

func (b builderRoutes) prune(w http.ResponseWriter, r request) error {
	var body BuilderPrune
	if err := httpx.ReadJSON(w, r.Request, maxUserBody, &body); err != nil {
		return err
	}
	o := images.PruneOptions{All: body.All, Keep: body.Keep}
	if body.OlderThan != "" {
		age, err := time.ParseDuration(body.OlderThan)
		if err != nil || age < 0 {
			return slipway.Invalid("olderThan %q is no time: write 48h for example", body.OlderThan)
		}
		o.OlderThan = age
	}
	if o.Keep < 0 {
		return slipway.Invalid("keep must not be negative")
	}
	freed, err := images.Prune(r.Context(), b.dial, o)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, BuilderPruned{freed})
	return nil
}
