package bake

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"slipway"
)

// override is one value of --set: TARGET.KEY[.NAME][+]=VALUE.
type override struct {
	pattern   string
	key, name string
	value     string
	add       bool // += lengthens a list
	valued    bool // there is an = in it
}

// keyNames are other names of keys.
var keyNames = map[string]string{
	"annotations": "annotation", "args": "arg", "entitlements": "entitlement", "extra-hosts": "extra-host", "labels": "label", "platforms": "platform",
	"secrets": "secret", "tags": "tag", "ulimits": "ulimit", "resources": "resource",
}

// named are keys that take a name, lists those that take several values.
var (
	named  = []string{"arg", "contexts", "label", "extra-host"}
	lists  = []string{"output", "cache-to", "cache-from", "tag", "platform", "ssh", "attest", "entitlement", "annotation", "policy", "ulimit", "no-cache-filter", "secret", "resource"}
	single = []string{"context", "dockerfile", "dockerfile-inline", "target", "call", "no-cache", "shm-size", "network", "pull", "push", "load"}
)

func parseOverride(text string) (override, error) {
	left, value, valued := strings.Cut(text, "=")
	o := override{value: value, valued: valued}
	left, o.add = strings.CutSuffix(left, "+")
	keys := strings.SplitN(left, ".", 3)
	if len(keys) < 2 || keys[0] == "" {
		return o, slipway.Invalid("--set %s: write TARGET.KEY=VALUE, as in app.tag=NAME or *.arg.VERSION=1", text)
	}
	o.pattern, o.key = keys[0], keys[1]
	if name, ok := keyNames[o.key]; ok {
		o.key = name
	}
	if len(keys) == 3 {
		o.name = keys[2]
	}
	switch {
	case slices.Contains(named, o.key):
		if o.name == "" {
			return o, slipway.Invalid("--set %s: %s needs a name, as in %s.%s.NAME=VALUE", text, keys[1], keys[0], keys[1])
		}
	case slices.Contains(lists, o.key), slices.Contains(single, o.key):
		if o.name != "" {
			return o, slipway.Invalid("--set %s: %s takes no name", text, keys[1])
		}
	default:
		return o, slipway.Invalid("--set %s: there is no key %s", text, keys[1])
	}
	if !valued && o.key != "arg" {
		return o, slipway.Invalid("--set %s: write TARGET.KEY=VALUE", text)
	}
	return o, nil
}

// overrides sorts the values of --set by the targets that they are for.
func (c *Config) overrides(texts []string) (map[string][]override, error) {
	out := map[string][]override{}
	for _, text := range texts {
		o, err := parseOverride(text)
		if err != nil {
			return nil, err
		}
		found := false
		for _, t := range c.Targets {
			match, err := path.Match(o.pattern, t.Name)
			if err != nil {
				return nil, slipway.Invalid("--set %s: %q is no pattern", text, o.pattern)
			}
			if match {
				found = true
				out[t.Name] = append(out[t.Name], o)
			}
		}
		if !found {
			return nil, slipway.NotFound("--set %s: there is no target %s", text, o.pattern)
		}
	}
	return out, nil
}

// set puts the values of --set into a target. Several of one list are one list, which replaces what the files say unless += adds.
func (t *Target) set(list []override, environ map[string]string) error {
	replaced := map[string]bool{}
	for _, o := range list {
		if slices.Contains(lists, o.key) {
			t.setList(o, replaced)
			continue
		}
		if !o.valued {
			value, ok := environ[o.name]
			if !ok {
				continue
			}
			o.value = value
		}
		if err := t.setOne(o); err != nil {
			return err
		}
	}
	return nil
}

func (t *Target) setList(o override, replaced map[string]bool) {
	list := map[string]*[]string{
		"output": (*[]string)(&t.Outputs), "cache-to": (*[]string)(&t.CacheTo), "cache-from": (*[]string)(&t.CacheFrom), "tag": &t.Tags, "platform": &t.Platforms,
		"ssh": (*[]string)(&t.SSH), "attest": (*[]string)(&t.Attest), "entitlement": &t.Entitlements, "annotation": &t.Annotations, "policy": (*[]string)(&t.Policy),
		"ulimit": &t.Ulimits, "no-cache-filter": &t.NoCacheFilter, "secret": (*[]string)(&t.Secrets), "resource": (*[]string)(&t.Resources),
	}[o.key]
	// Those that say what is attached are always added to, as in buildx; an empty value empties them.
	adds := o.add || slices.Contains([]string{"attest", "entitlement", "annotation"}, o.key)
	if o.value == "" || !adds && !replaced[o.key] {
		*list = nil
	}
	replaced[o.key] = true
	if o.value != "" {
		*list = append(slices.Clone(*list), o.value)
	}
}

func (t *Target) setOne(o override) error {
	if to := map[string]**string{"context": &t.Context, "dockerfile": &t.Dockerfile, "dockerfile-inline": &t.DockerfileInline, "target": &t.Target,
		"call": &t.Call, "shm-size": &t.ShmSize, "network": &t.Network}[o.key]; to != nil {
		*to = &o.value
		return nil
	}
	switch o.key {
	case "arg":
		t.Args = mergeValues(t.Args, map[string]*string{o.name: &o.value})
		return nil
	case "label":
		t.Labels = mergeValues(t.Labels, map[string]*string{o.name: &o.value})
		return nil
	case "extra-host":
		t.ExtraHosts = mergeValues(t.ExtraHosts, map[string]*string{o.name: &o.value})
		return nil
	case "contexts":
		t.Merge(&Target{Contexts: map[string]string{o.name: o.value}})
		return nil
	}
	yes, err := strconv.ParseBool(o.value)
	if err != nil {
		return slipway.Invalid("--set %s.%s=%s: it is true or false", o.pattern, o.key, o.value)
	}
	switch o.key {
	case "no-cache":
		t.NoCache = &yes
	case "pull":
		t.Pull = &yes
	case "push":
		t.push(yes)
	} // load changes nothing: there is no engine
	return nil
}

// push turns the push of the target's image on or off (buildx, setPushOverride).
func (t *Target) push(on bool) {
	var out Entries
	pushes := true
	for _, text := range t.Outputs {
		pairs := split(text)
		kind := pairs["type"]
		if !on && kind == "registry" {
			continue
		}
		if kind == "image" {
			pairs["push"] = strconv.FormatBool(on)
			text = join(pairs)
		}
		pushes = pushes && kind == "docker"
		out = append(out, text)
	}
	if on && pushes {
		out = append(out, "type=image,push=true")
	}
	t.Outputs = out
}
