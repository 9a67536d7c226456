package bake

import (
	"regexp"
	"slices"
	"strings"

	"slipway"
)

// Config is what the files say, all together.
type Config struct {
	Groups  []*Group  `json:"group" hcl:"group,block" cty:"group"`
	Targets []*Target `json:"target" hcl:"target,block" cty:"target"`
}

// Group is a name for several targets and groups.
type Group struct {
	Name        string   `json:"-" hcl:"name,label" cty:"name"`
	Description string   `json:"description,omitempty" hcl:"description,optional" cty:"description"`
	Targets     []string `json:"targets" hcl:"targets" cty:"targets"`
}

// Target is one image to build. The tags are those that buildx's parser reads; JSON is what `--print` shows.
type Target struct {
	Name             string             `json:"-" hcl:"name,label" cty:"name"`
	Description      string             `json:"description,omitempty" hcl:"description,optional" cty:"description"`
	Inherits         []string           `json:"inherits,omitempty" hcl:"inherits,optional" cty:"inherits"`
	Annotations      []string           `json:"annotations,omitempty" hcl:"annotations,optional" cty:"annotations"`
	Attest           Entries            `json:"attest,omitempty" hcl:"attest,optional" cty:"attest"`
	Context          *string            `json:"context,omitempty" hcl:"context,optional" cty:"context"`
	Contexts         map[string]string  `json:"contexts,omitempty" hcl:"contexts,optional" cty:"contexts"`
	Dockerfile       *string            `json:"dockerfile,omitempty" hcl:"dockerfile,optional" cty:"dockerfile"`
	DockerfileInline *string            `json:"dockerfile-inline,omitempty" hcl:"dockerfile-inline,optional" cty:"dockerfile-inline"`
	Args             map[string]*string `json:"args,omitempty" hcl:"args,optional" cty:"args"`
	Labels           map[string]*string `json:"labels,omitempty" hcl:"labels,optional" cty:"labels"`
	Tags             []string           `json:"tags,omitempty" hcl:"tags,optional" cty:"tags"`
	CacheFrom        Entries            `json:"cache-from,omitempty" hcl:"cache-from,optional" cty:"cache-from"`
	CacheTo          Entries            `json:"cache-to,omitempty" hcl:"cache-to,optional" cty:"cache-to"`
	Target           *string            `json:"target,omitempty" hcl:"target,optional" cty:"target"`
	Secrets          Entries            `json:"secret,omitempty" hcl:"secret,optional" cty:"secret"`
	SSH              Keys               `json:"ssh,omitempty" hcl:"ssh,optional" cty:"ssh"`
	Platforms        []string           `json:"platforms,omitempty" hcl:"platforms,optional" cty:"platforms"`
	Outputs          Entries            `json:"output,omitempty" hcl:"output,optional" cty:"output"`
	Pull             *bool              `json:"pull,omitempty" hcl:"pull,optional" cty:"pull"`
	NoCache          *bool              `json:"no-cache,omitempty" hcl:"no-cache,optional" cty:"no-cache"`
	Network          *string            `json:"network,omitempty" hcl:"network,optional" cty:"network"`
	NoCacheFilter    []string           `json:"no-cache-filter,omitempty" hcl:"no-cache-filter,optional" cty:"no-cache-filter"`
	ShmSize          *string            `json:"shm-size,omitempty" hcl:"shm-size,optional" cty:"shm-size"`
	Ulimits          []string           `json:"ulimits,omitempty" hcl:"ulimits,optional" cty:"ulimits"`
	Call             *string            `json:"call,omitempty" hcl:"call,optional" cty:"call"`
	Entitlements     []string           `json:"entitlements,omitempty" hcl:"entitlements,optional" cty:"entitlements"`
	ExtraHosts       map[string]*string `json:"extra-hosts,omitempty" hcl:"extra-hosts,optional" cty:"extra-hosts"`
	Resources        Entries            `json:"resources,omitempty" hcl:"resources,optional" cty:"resources"`
	Policy           Entries            `json:"policy,omitempty" hcl:"policy,optional" cty:"policy"`

	linked bool // only others need it
}

// Linked says that nobody asked for the target but others that have it as a context.
func (t *Target) Linked() bool { return t.linked }

// Merge (by reflection, hclparser) puts what t2 says over what t says.
func (t *Target) Merge(t2 *Target) {
	for _, p := range []struct{ to, from **string }{
		{&t.Context, &t2.Context}, {&t.Dockerfile, &t2.Dockerfile}, {&t.DockerfileInline, &t2.DockerfileInline}, {&t.Target, &t2.Target},
		{&t.Call, &t2.Call}, {&t.Network, &t2.Network}, {&t.ShmSize, &t2.ShmSize},
	} {
		if *p.from != nil {
			*p.to = *p.from
		}
	}
	if t2.Pull != nil {
		t.Pull = t2.Pull
	}
	if t2.NoCache != nil {
		t.NoCache = t2.NoCache
	}
	if t2.Description != "" {
		t.Description = t2.Description
	}
	t.Args, t.Labels, t.ExtraHosts = mergeValues(t.Args, t2.Args), mergeValues(t.Labels, t2.Labels), mergeValues(t.ExtraHosts, t2.ExtraHosts)
	for k, v := range t2.Contexts {
		if t.Contexts == nil {
			t.Contexts = map[string]string{}
		}
		t.Contexts[k] = v
	}
	t.mergeLists(t2)
}

// mergeLists replaces some lists and lengthens others, as buildx does.
func (t *Target) mergeLists(t2 *Target) {
	if t2.Tags != nil {
		t.Tags = slices.Clone(t2.Tags)
	}
	if t2.Platforms != nil {
		t.Platforms = slices.Clone(t2.Platforms)
	}
	if t2.CacheTo != nil {
		t.CacheTo = slices.Clone(t2.CacheTo)
	}
	if t2.Outputs != nil {
		t.Outputs = slices.Clone(t2.Outputs)
	}
	t.Annotations = slices.Concat(t.Annotations, t2.Annotations)
	t.Attest = slices.Concat(t.Attest, t2.Attest)
	t.CacheFrom = slices.Concat(t.CacheFrom, t2.CacheFrom)
	t.Secrets = slices.Concat(t.Secrets, t2.Secrets)
	t.SSH = slices.Concat(t.SSH, t2.SSH)
	t.NoCacheFilter = slices.Concat(t.NoCacheFilter, t2.NoCacheFilter)
	t.Ulimits = slices.Concat(t.Ulimits, t2.Ulimits)
	t.Entitlements = slices.Concat(t.Entitlements, t2.Entitlements)
	t.Resources = slices.Concat(t.Resources, t2.Resources)
	t.Policy = slices.Concat(t.Policy, t2.Policy)
	t.Inherits = slices.Concat(t.Inherits, t2.Inherits)
}

func mergeValues(to, from map[string]*string) map[string]*string {
	for k, v := range from {
		if v == nil {
			continue
		}
		if to == nil {
			to = map[string]*string{}
		}
		to[k] = v
	}
	return to
}

// normalize takes out what is there twice.
func (t *Target) normalize() {
	for _, list := range []*[]string{&t.Annotations, &t.Tags, &t.Platforms, &t.NoCacheFilter, &t.Ulimits, &t.Entitlements} {
		*list = unique(*list)
	}
	t.CacheFrom, t.CacheTo, t.Secrets, t.SSH, t.Outputs = unique(t.CacheFrom), unique(t.CacheTo), unique(t.Secrets), unique(t.SSH), unique(t.Outputs)
	t.Attest = lastOfType(t.Attest)
	for k, v := range t.Contexts {
		if v == "" {
			delete(t.Contexts, k)
		}
	}
}

// unique keeps the first of equal texts, and none that is empty.
func unique[S ~[]string](list S) S {
	var out S
	for _, s := range list {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// check refuses what Slipway's builder cannot do, with what to write instead.
func (t *Target) check() error {
	refuse := func(key, instead string) error {
		return slipway.Unsupported("target %s: %s is not supported by Slipway's docker: %s", t.Name, key, instead)
	}
	switch {
	case len(t.Entitlements) > 0:
		return refuse("entitlements = "+strings.Join(t.Entitlements, ", "), "the builder gives no step --network=host or --security=insecure; do that in a step of the job")
	case t.Call != nil && *t.Call != "" && *t.Call != "build":
		return refuse("call = "+*t.Call, "the Dockerfile's checks are shown as warnings of every build")
	case len(t.Resources) > 0:
		return refuse("resources", "a step may use what the builder may; leave it out")
	case len(t.Policy) > 0:
		return refuse("policy", "what may be deployed is decided where it is deployed; leave it out")
	}
	return nil
}

var targetName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func checkName(name string) error {
	if !targetName.MatchString(name) {
		return slipway.Invalid("the name %q may have letters, digits, _ and - alone", name)
	}
	return nil
}

// plainName is the target's name for a service of a compose file, which may have dots.
func plainName(service string) string { return strings.ReplaceAll(service, ".", "_") }
