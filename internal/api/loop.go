package api

import (
	"context"
	"net/http"
	"time"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/lineage"
)

// Rollback brings an environment back to an earlier deployment; the loop does.
type Rollback func(ctx context.Context, to slipway.DeploymentID, by slipway.Actor, progress func(line string)) (environments.Deployment, error)

type loopRoutes struct {
	*Server
	environments *environments.Service
	lineage      *lineage.Service
	rollback     Rollback
	status       func(ctx context.Context) any
}

// AddLoop serves what only Slipway has: how everything hangs together, the way back, and what runs.
func (s *Server) AddLoop(e *environments.Service, l *lineage.Service, rollback Rollback, status func(ctx context.Context) any) {
	r := loopRoutes{s, e, l, rollback, status}
	s.installation("GET", "/slipway/status", identity.Read, r.showStatus)
	s.project("GET", "/slipway/trace", identity.Read, r.trace)
	s.project("GET", "/slipway/deployments", identity.Read, r.deployments)
	s.project("POST", "/slipway/deployments/{deployment}/rollback", identity.Contribute, r.rollBack)
}

func (l loopRoutes) showStatus(w http.ResponseWriter, r request) error {
	httpx.WriteJSON(w, http.StatusOK, l.status(r.Context()))
	return nil
}

// Trace is everything that hangs together with one thing.
type Trace struct {
	Thing string      `json:"thing"`
	Nodes []TraceNode `json:"nodes"`
}

// TraceNode is one thing and the way to it.
type TraceNode struct {
	Kind      string   `json:"kind"`
	ID        string   `json:"id"`
	Direction string   `json:"direction"` // start, before or after the thing
	Path      []string `json:"path"`
}

func trace(thing slipway.Reference, g lineage.Graph) Trace {
	t := Trace{Thing: thing.String()}
	for _, n := range g.Nodes {
		node := TraceNode{Kind: string(n.Kind), ID: n.ID, Direction: string(n.Direction)}
		for _, step := range n.Path {
			node.Path = append(node.Path, step.String())
		}
		t.Nodes = append(t.Nodes, node)
	}
	return t
}

func (l loopRoutes) trace(w http.ResponseWriter, r request) error {
	text := r.URL.Query().Get("thing")
	refs, err := l.lineage.Resolve(r.Context(), r.project.ID, text)
	if err != nil {
		return err
	}
	if len(refs) == 0 {
		return slipway.NotFound("nothing in project %s is known as %q", r.project.Name, text)
	}
	out := []Trace{}
	for _, ref := range refs {
		g, err := l.lineage.Trace(r.Context(), r.project.ID, ref)
		if err != nil {
			return err
		}
		out = append(out, trace(ref, g))
	}
	return list(w, out)
}

// Deployment is one as lists show it.
type Deployment struct {
	ID          int64  `json:"id"`
	Environment string `json:"environment"`
	Run         int64  `json:"run"`
	Commit      string `json:"commit"`
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
	RollbackTo  int64  `json:"rollbackTo,omitempty"`
}

func deployment(d environments.Deployment) Deployment {
	return Deployment{ID: int64(d.ID), Environment: d.EnvironmentName, Run: int64(d.Run), Commit: string(d.Commit), State: string(d.State),
		Reason: d.Reason, RollbackTo: int64(d.RollbackTo)}
}

const deploymentsPerEnvironment = 20

func (l loopRoutes) deployments(w http.ResponseWriter, r request) error {
	envs, err := l.environments.List(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []Deployment
	for _, e := range envs {
		history, err := l.environments.History(r.Context(), e.ID, deploymentsPerEnvironment)
		if err != nil {
			return err
		}
		for _, d := range history {
			out = append(out, deployment(d))
		}
	}
	return list(w, out)
}

const rollbackTimeout = 15 * time.Minute

// rollBack undoes a deployment: its environment goes back to the one before it, or to the one that the body names.
func (l loopRoutes) rollBack(w http.ResponseWriter, r request) error {
	id, err := r.number("deployment")
	if err != nil {
		return err
	}
	d, err := l.environments.Deployment(r.Context(), slipway.DeploymentID(id))
	if err != nil {
		return err
	}
	if d.Project != r.project.ID {
		return slipway.NotFound("there is no deployment %d", id)
	}
	var body struct {
		To int64 `json:"to"` // a deployment of the same environment; without it, what was served before
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	to := slipway.DeploymentID(body.To)
	if to == 0 {
		previous, err := l.environments.Previous(r.Context(), d.ID)
		if err != nil {
			return err
		}
		to = previous.ID
	} else if target, err := l.environments.Deployment(r.Context(), to); err != nil {
		return err
	} else if target.Environment != d.Environment {
		return slipway.Invalid("deployment %d is not one to %s", to, d.EnvironmentName)
	}
	// It goes on when the caller does not wait for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rollbackTimeout)
	defer cancel()
	done, err := l.rollback(ctx, to, r.caller.Actor, func(string) {})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, deployment(done))
	return nil
}
