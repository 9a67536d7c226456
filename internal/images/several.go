package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"slipway"
	"slipway/internal/images/progress"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"golang.org/x/sync/errgroup"
)

// TargetContext begins a value of Options.Contexts that is the result of another target of the same BuildAll.
const TargetContext = "target:"

// maxTargets bounds the targets of one BuildAll.
const maxTargets = 500

// Target is one of several builds.
type Target struct {
	Name    string
	Options Options
}

// TargetResult is what became of a target; one that failed has the Summary of its Result.
type TargetResult struct {
	Result
	Err error
}

// BuildAll builds targets at once, over one connection. A context `target:NAME` of a target is the result of another one, which
// needs no registry for that. report gets the events of all, one at a time, with steps counted over all of them and the target's
// name within each step's. The first target that fails ends the others, and its error is given with all results that there are.
func BuildAll(ctx context.Context, dial Dial, targets []Target, report func(progress.Event)) (map[string]TargetResult, error) {
	outcomes, err := linked(targets)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if err := t.Options.check(); err != nil {
			return nil, InTarget(t.Name, err)
		}
	}
	to := &connection{dial: dial}
	defer to.close()
	shown := &several{report: report}
	results, mu := map[string]TargetResult{}, sync.Mutex{}
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range targets {
		group.Go(func() error {
			part := &sharing{own: outcomes[t.Name], needs: map[string]*outcome{}}
			for name, other := range t.Options.links() {
				part.needs[name] = outcomes[other]
				defer outcomes[other].users.Done()
			}
			result, err := t.Options.build(ctx, to, shown.of(t.Name), part)
			mu.Lock()
			results[t.Name] = TargetResult{result, err}
			mu.Unlock()
			return InTarget(t.Name, err)
		})
	}
	err = group.Wait()
	return results, err
}

// InTarget says which target an error is of. A Problem stays one, with its place.
func InTarget(target string, err error) error {
	var p *slipway.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		named := *p
		named.Message = "target " + target + ": " + p.Message
		return &named
	}
	return fmt.Errorf("target %s: %w", target, err)
}

// links are the targets that the contexts name, by the contexts' names.
func (o Options) links() map[string]string {
	out := map[string]string{}
	for name, place := range o.Contexts {
		if target, ok := strings.CutPrefix(place, TargetContext); ok {
			out[name] = target
		}
	}
	return out
}

// linked makes the targets' outcomes and counts who needs them. It refuses names that are not there and circles.
func linked(targets []Target) (map[string]*outcome, error) {
	if len(targets) > maxTargets {
		return nil, slipway.Limit("%d targets are more than the %d that are built at once", len(targets), maxTargets)
	}
	outcomes, byName := map[string]*outcome{}, map[string]Target{}
	for _, t := range targets {
		if outcomes[t.Name] != nil {
			return nil, slipway.Invalid("the target %s is there twice", t.Name)
		}
		outcomes[t.Name], byName[t.Name] = &outcome{ready: make(chan struct{})}, t
	}
	for _, t := range targets {
		for _, other := range t.Options.links() {
			if outcomes[other] == nil {
				return nil, slipway.Invalid("the target %s has the target %s as a context, which is not there", t.Name, other)
			}
			outcomes[other].users.Add(1)
		}
	}
	var visit func(name string, above []string) error
	seen := map[string]bool{}
	visit = func(name string, above []string) error {
		if slices.Contains(above, name) {
			return slipway.Invalid("the targets %s need one another in a circle", strings.Join(append(above, name), ", "))
		}
		if seen[name] {
			return nil
		}
		for _, other := range slices.Sorted(maps.Values(byName[name].Options.links())) {
			if err := visit(other, append(slices.Clone(above), name)); err != nil {
				return err
			}
		}
		seen[name] = true
		return nil
	}
	for _, t := range targets {
		if err := visit(t.Name, nil); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// outcome is what a target gives to others.
type outcome struct {
	ready  chan struct{} // closed when the result is there
	once   sync.Once
	result *gateway.Result
	users  sync.WaitGroup // targets that begin from it
}

func (o *outcome) set(r *gateway.Result) {
	o.once.Do(func() {
		o.result = r
		close(o.ready)
	})
}

// sharing is a target's part in BuildAll: what it begins from, by its contexts' names, and its own outcome.
type sharing struct {
	needs map[string]*outcome
	own   *outcome
}

// solve has the builder's frontend build with the results of others, gives the own one to others, and stays until they are done: they
// read this target's local files by its session.
func (s *sharing) solve(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
	r := gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: maps.Clone(c.BuildOpts().Opts), FrontendInputs: map[string]*pb.Definition{}}
	for name, other := range s.needs {
		select {
		case <-other.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := addInput(ctx, &r, name, other.result); err != nil {
			return nil, err
		}
	}
	result, err := c.Solve(ctx, r)
	if err != nil {
		return nil, err
	}
	s.own.set(result)
	unused := make(chan struct{})
	go func() {
		s.own.users.Wait()
		close(unused)
	}()
	select {
	case <-unused:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return result, nil
}

// addInput makes a result the context of a name (BuildKit, frontend/dockerui/namedcontext.go): one input, or one for each platform.
func addInput(ctx context.Context, r *gateway.SolveRequest, name string, from *gateway.Result) error {
	add := func(ref gateway.Reference, platform, config string) error {
		state := llb.Scratch()
		if ref != nil {
			var err error
			if state, err = ref.ToState(); err != nil {
				return fmt.Errorf("take the context %s: %w", name, err)
			}
		}
		definition, err := state.Marshal(ctx)
		if err != nil {
			return fmt.Errorf("take the context %s: %w", name, err)
		}
		key := name + platform
		r.FrontendInputs[key] = definition.ToPB()
		r.FrontendOpt["context:"+key] = "input:" + key
		if b, ok := from.Metadata[config]; ok {
			metadata, err := json.Marshal(map[string][]byte{exptypes.ExporterImageConfigKey: b})
			if err != nil {
				return fmt.Errorf("take the context %s: %w", name, err)
			}
			r.FrontendOpt["input-metadata:"+key] = string(metadata)
		}
		return nil
	}
	if len(from.Refs) == 0 {
		return add(from.Ref, "", exptypes.ExporterImageConfigKey)
	}
	delete(r.FrontendOpt, "context:"+name)
	for platform, ref := range from.Refs {
		if err := add(ref, "::"+platform, exptypes.ExporterImageConfigKey+"/"+platform); err != nil {
			return err
		}
	}
	return nil
}

// several joins the events of targets that are built at once.
type several struct {
	report func(progress.Event)

	mu    sync.Mutex // guards what follows, and calls of report
	steps int
}

// of is where a target's events go.
func (s *several) of(target string) func(progress.Event) {
	if s.report == nil {
		return nil
	}
	numbers := map[int]int{}
	return func(e progress.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.Step > 0 {
			if numbers[e.Step] == 0 {
				s.steps++
				numbers[e.Step] = s.steps
			}
			e.Step = numbers[e.Step]
		}
		if rest, ok := strings.CutPrefix(e.Name, "["); ok {
			e.Name = "[" + target + " " + rest
		} else if e.Name != "" {
			e.Name = "[" + target + "] " + e.Name
		}
		s.report(e)
	}
}
