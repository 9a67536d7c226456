package gitlab

import (
	"path"
	"slices"
	"strings"

	"slipway/internal/pipelines/yaml"
)

// Limits on what files make of themselves, as GitLab has them.
const (
	maxIncludes = 150
	maxExtends  = 10
	maxNesting  = 10 // of !reference
)

// included is the file with the local files that it includes under it: what the file says itself wins.
func (f *file) included(root *yaml.Node) *yaml.Node {
	list := root.Get("include")
	if list == nil {
		return root
	}
	entries := list.Items
	if list.Kind != yaml.List {
		entries = []*yaml.Node{list}
	}
	base := &yaml.Node{Kind: yaml.Map, At: root.At}
	for _, e := range entries {
		local := e.Get("local")
		if e.Kind == yaml.Scalar && !strings.Contains(e.Text, "://") {
			local = e
		}
		if local == nil {
			f.say(e.At, "include of "+whatIsIncluded(e)+" is left out: it is not of this repository", "put what it holds into the file, or into a local one, and import again")
			continue
		}
		if other := f.local(local); other != nil {
			base = merge(base, f.included(other))
		}
	}
	return merge(base, root)
}

func whatIsIncluded(e *yaml.Node) string {
	for _, key := range []string{"template", "project", "remote", "component"} {
		if v := e.Get(key); v != nil {
			return key + " " + v.Text
		}
	}
	return e.Text
}

// local reads a file of the repository, nil without it.
func (f *file) local(n *yaml.Node) *yaml.Node {
	name := strings.TrimPrefix(path.Clean(n.Text), "/")
	if f.reads++; f.reads > maxIncludes {
		f.say(n.At, "include of "+n.Text+" is left out: the files include more than 150 others", "")
		return nil
	}
	if f.files == nil || strings.HasPrefix(name, "..") || strings.ContainsAny(name, "*$") {
		f.say(n.At, "include of "+n.Text+" is left out: the file is not here", "name one file of the repository")
		return nil
	}
	data, err := f.files.ReadFile(name)
	if err != nil {
		f.say(n.At, "include of "+n.Text+" is left out: the file is not here", "")
		return nil
	}
	root, err := f.read(name, data)
	if err != nil {
		f.say(n.At, "include of "+n.Text+" is left out: "+err.Error(), "")
		return nil
	}
	return root
}

// merge is the first map with the second over it: maps in maps are merged, everything else is replaced.
func merge(under, over *yaml.Node) *yaml.Node {
	if under == nil || under.Kind != yaml.Map || over.Kind != yaml.Map {
		return over
	}
	out := &yaml.Node{Kind: yaml.Map, At: over.At}
	for _, p := range under.Pairs {
		if v := over.Get(p.Key.Text); v != nil {
			out.Pairs = append(out.Pairs, yaml.Pair{Key: p.Key, Value: merge(p.Value, v)})
		} else {
			out.Pairs = append(out.Pairs, p)
		}
	}
	for _, p := range over.Pairs {
		if under.Get(p.Key.Text) == nil {
			out.Pairs = append(out.Pairs, p)
		}
	}
	return out
}

// extended is a job with what it extends under it.
func (f *file) extended(n *yaml.Node, seen []string) *yaml.Node {
	out := n
	names := texts(n.Get("extends"))
	var base *yaml.Node
	for _, name := range names {
		other := f.root.Get(name.Text)
		switch {
		case other == nil || other.Kind != yaml.Map:
			f.say(name.At, "extends: "+name.Text+" is left out: there is no such job here", "add it, and import again")
			continue
		case slices.Contains(seen, name.Text) || len(seen) >= maxExtends:
			f.say(name.At, "extends: "+name.Text+" is left out: it extends itself, or too many others", "")
			continue
		}
		other = f.extended(other, append(seen, name.Text))
		if base == nil {
			base = other
		} else {
			base = merge(base, other)
		}
	}
	if base != nil {
		out = merge(base, n)
	}
	c := *out
	c.Pairs = slices.DeleteFunc(slices.Clone(out.Pairs), func(p yaml.Pair) bool { return p.Key.Text == "extends" })
	return &c
}

// references is the tree with each !reference replaced by what it names.
func (f *file) references(root *yaml.Node) *yaml.Node {
	r := referrer{f: f, root: root}
	return r.node(root, 0)
}

type referrer struct {
	f     *file
	root  *yaml.Node
	count int
}

func (r *referrer) node(n *yaml.Node, depth int) *yaml.Node {
	if r.count++; r.count > yaml.MaxNodes {
		return &yaml.Node{At: n.At, Plain: true}
	}
	if n.Tag() == "!reference" && n.Kind == yaml.List {
		at := r.root
		for _, key := range n.Items {
			at = r.into(at, key.Text)
		}
		if at == nil || depth >= maxNesting {
			r.f.say(n.At, "!reference is left out: there is nothing of that name", "add it, and import again")
			return &yaml.Node{At: n.At, Plain: true}
		}
		return r.node(at, depth+1)
	}
	if n.Kind == yaml.Scalar {
		return n
	}
	c := *n
	c.Items, c.Pairs = nil, nil
	for _, item := range n.Items {
		c.Items = append(c.Items, r.node(item, depth))
	}
	for _, p := range n.Pairs {
		c.Pairs = append(c.Pairs, yaml.Pair{Key: p.Key, Value: r.node(p.Value, depth)})
	}
	return &c
}

// into is a key of a map, or of what the map extends.
func (r *referrer) into(n *yaml.Node, key string) *yaml.Node {
	if v := n.Get(key); v != nil {
		return v
	}
	for _, name := range texts(n.Get("extends")) {
		if other := r.root.Get(name.Text); other != nil && other != n {
			if v := other.Get(key); v != nil {
				return v
			}
		}
	}
	return nil
}
