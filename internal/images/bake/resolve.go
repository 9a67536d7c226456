package bake

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"slipway"
)

// Plan is what is to be built.
type Plan struct {
	Groups  map[string]*Group  `json:"group,omitempty"`
	Targets map[string]*Target `json:"target"`
}

// maxPlan bounds the targets of a plan.
const maxPlan = 500

// Resolve finds the targets of the names, which are targets, groups or patterns, with all that the targets inherit and the values of
// --set. Targets that others have as a context are there too. No name means the group or target default.
func (c *Config) Resolve(names, set []string, environ map[string]string) (*Plan, error) {
	if len(names) == 0 {
		names = []string{"default"}
	}
	overrides, err := c.overrides(set)
	if err != nil {
		return nil, err
	}
	wanted, err := c.match(names)
	if err != nil {
		return nil, err
	}
	r := &resolver{config: c, overrides: overrides, environ: environ}
	plan := &Plan{Groups: map[string]*Group{}, Targets: map[string]*Target{}}
	for _, name := range wanted {
		targets, groups, err := c.expand(name, nil)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			plan.Groups[g.Name] = g
		}
		for _, name := range targets {
			if plan.Targets[name] != nil {
				continue
			}
			if plan.Targets[name], err = r.complete(name); err != nil {
				return nil, err
			}
		}
	}
	plan.addDefault(wanted)
	asked := len(plan.Targets)
	for _, name := range sortedNames(plan.Targets) {
		if err := r.link(plan, name, nil); err != nil {
			return nil, err
		}
	}
	if asked == 0 {
		return nil, slipway.Invalid("nothing is to be built: the groups are empty")
	}
	return plan, nil
}

// addDefault shows what was asked for as the group default, as buildx does.
func (p *Plan) addDefault(wanted []string) {
	g := p.Groups["default"]
	if slices.Equal(wanted, []string{"default"}) && g != nil {
		sorted := *g
		sorted.Targets = slices.Sorted(slices.Values(g.Targets))
		p.Groups["default"] = &sorted
		return
	}
	list := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return name == "default" && g != nil })
	if g != nil {
		list = append(list, g.Targets...)
	}
	p.Groups["default"] = &Group{Name: "default", Targets: slices.Sorted(slices.Values(unique(list)))}
}

// match finds the names that patterns mean.
func (c *Config) match(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		name = plainName(name)
		if !strings.ContainsAny(name, "*?[]") {
			out = append(out, name)
			continue
		}
		before := len(out)
		for _, known := range c.names() {
			if ok, err := path.Match(name, known); err == nil && ok {
				out = append(out, known)
			}
		}
		if len(out) == before {
			return nil, slipway.NotFound("no target and no group matches %q", name)
		}
	}
	return unique(out), nil
}

func (c *Config) names() []string {
	var out []string
	for _, g := range c.Groups {
		out = append(out, g.Name)
	}
	for _, t := range c.Targets {
		out = append(out, t.Name)
	}
	return unique(out)
}

// expand finds the targets of a name with the groups on the way to them.
func (c *Config) expand(name string, above []string) (targets []string, groups []*Group, err error) {
	i := slices.IndexFunc(c.Groups, func(g *Group) bool { return g.Name == name })
	if i < 0 {
		return []string{name}, nil, nil
	}
	if slices.Contains(above, name) {
		return nil, nil, nil // a group that holds itself adds nothing
	}
	groups = append(groups, c.Groups[i])
	for _, inner := range c.Groups[i].Targets {
		t, g, err := c.expand(inner, append(slices.Clone(above), name))
		if err != nil {
			return nil, nil, err
		}
		targets, groups = append(targets, t...), append(groups, g...)
	}
	targets = unique(targets)
	if len(targets) > maxPlan {
		return nil, nil, slipway.Limit("the group %s has %d targets, more than the %d that are built at once", name, len(targets), maxPlan)
	}
	return targets, groups, nil
}

// resolver makes whole targets of what the files say.
type resolver struct {
	config    *Config
	overrides map[string][]override
	environ   map[string]string
}

// complete is a target with all that it inherits.
func (r *resolver) complete(name string) (*Target, error) {
	t, err := r.inherited(name, nil)
	if err != nil {
		return nil, err
	}
	t.Inherits = nil
	if t.Context == nil {
		here := "."
		t.Context = &here
	}
	if t.Dockerfile == nil || *t.Dockerfile == "" {
		file := "Dockerfile"
		t.Dockerfile = &file
	}
	return t, t.check()
}

func (r *resolver) inherited(name string, above []string) (*Target, error) {
	i := slices.IndexFunc(r.config.Targets, func(t *Target) bool { return t.Name == name })
	if i < 0 {
		if len(above) > 0 {
			return nil, slipway.NotFound("the target %s inherits from %s, which is not there", above[len(above)-1], name)
		}
		return nil, slipway.NotFound("there is no target %s: there are %s", name, strings.Join(r.config.names(), ", "))
	}
	if slices.Contains(above, name) {
		return nil, slipway.Invalid("the target %s inherits from itself, by %s", name, strings.Join(above, ", "))
	}
	out := &Target{Name: name}
	for _, parent := range r.config.Targets[i].Inherits {
		p, err := r.inherited(parent, append(slices.Clone(above), name))
		if err != nil {
			return nil, err
		}
		out.Merge(p)
	}
	out.Merge(r.config.Targets[i])
	if err := out.set(r.overrides[name], r.environ); err != nil {
		return nil, err
	}
	out.normalize()
	return out, nil
}

// link adds the targets that a target has as contexts.
func (r *resolver) link(plan *Plan, name string, above []string) error {
	if slices.Contains(above, name) {
		return slipway.Invalid("the targets %s need one another in a circle", strings.Join(append(above, name), ", "))
	}
	if len(plan.Targets) > maxPlan {
		return slipway.Limit("there are more than %d targets", maxPlan)
	}
	t := plan.Targets[name]
	for _, context := range sortedNames(t.Contexts) {
		other, ok := strings.CutPrefix(t.Contexts[context], "target:")
		if !ok {
			continue
		}
		if plan.Targets[other] == nil {
			t2, err := r.complete(other)
			if err != nil {
				return err
			}
			t2.Outputs, t2.linked = Entries{"type=cacheonly"}, true
			plan.Targets[other] = t2
		}
		if t2 := plan.Targets[other]; len(t.Platforms) > 1 && len(t2.Platforms) > 1 {
			for _, p := range t.Platforms {
				if !slices.Contains(t2.Platforms, p) {
					return slipway.Invalid("the target %s is built for %s, and the target %s, which is its context %s, is not", name, p, other, context)
				}
			}
		}
		if err := r.link(plan, other, append(slices.Clone(above), name)); err != nil {
			return err
		}
	}
	return nil
}

// Print is the plan as `--print` shows it, which is a bake file again.
func (p *Plan) Print() ([]byte, error) {
	shown := Plan{Groups: p.Groups, Targets: map[string]*Target{}}
	for name, t := range p.Targets {
		t := *t
		t.Labels, t.Args, t.ExtraHosts = escapeAll(t.Labels), escapeAll(t.Args), escapeAll(t.ExtraHosts)
		t.DockerfileInline = escape(t.DockerfileInline)
		t.Annotations = slices.Clone(t.Annotations)
		for i := range t.Annotations {
			t.Annotations[i] = *escape(&t.Annotations[i])
		}
		shown.Targets[name] = &t
	}
	b, err := json.MarshalIndent(shown, "", "  ")
	return append(b, '\n'), err
}

// escape keeps what HCL would evaluate.
func escape(s *string) *string {
	if s == nil {
		return nil
	}
	escaped := strings.ReplaceAll(strings.ReplaceAll(*s, "${", "$${"), "%{", "%%{")
	return &escaped
}

func escapeAll(m map[string]*string) map[string]*string {
	out := map[string]*string{}
	for k, v := range m {
		out[k] = escape(v)
	}
	return out
}
