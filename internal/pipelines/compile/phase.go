package compile

import (
	"slices"

	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// modern writes the oldest form of the language, phases with queues, as jobs with pools. Everything keeps its place.
func (c *compiler) modern(root *yaml.Node) *yaml.Node {
	if root.Kind != yaml.Map || root.Get("phases") == nil && root.Get("queue") == nil {
		return root
	}
	out := &yaml.Node{Kind: yaml.Map, At: root.At}
	for _, p := range root.Pairs {
		for _, now := range [][2]string{{"phases", "jobs"}, {"queue", "pool"}} {
			if p.Key.Text == now[0] && root.Get(now[1]) != nil {
				c.problems.Add(p.Key.At, "%s is the old name of %s, which stands here too", now[0], now[1])
			}
		}
		switch p.Key.Text {
		case "phases":
			out.Pairs = append(out.Pairs, renamed(p, "jobs", c.phases(p.Value)))
		case "queue":
			out.Pairs = append(out.Pairs, c.queue(p, schema.Queue.Maps[0])...)
		default:
			out.Pairs = append(out.Pairs, p)
		}
	}
	return out
}

// phases are the jobs that phases are.
func (c *compiler) phases(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.List, At: n.At}
	for _, item := range c.items(n, "phases") {
		if item.Get("template") != nil || item.Get("phase") == nil && item.Get("job") != nil {
			out.Items = append(out.Items, item)
			continue
		}
		o, ok := c.object(item, schema.PhaseObject)
		if !ok {
			continue
		}
		job := &yaml.Node{Kind: yaml.Map, At: item.At}
		for _, p := range item.Pairs {
			switch {
			case p.Key.Text == "phase":
				job.Pairs = append(job.Pairs, renamed(p, "job", p.Value))
			case p.Key.Text == "queue":
				job.Pairs = append(job.Pairs, c.queue(p, schema.Queue.Maps[0])...)
			case p.Key.Text == "server":
				job.Pairs = append(job.Pairs, c.server(p, item)...)
			case o.keys.Key(p.Key.Text) != nil: // others are reported
				job.Pairs = append(job.Pairs, p)
			}
		}
		out.Items = append(out.Items, job)
	}
	return out
}

// server are the keys of a job that the old `server` of a phase is.
func (c *compiler) server(p yaml.Pair, phase *yaml.Node) []yaml.Pair {
	if phase.Get("queue") != nil {
		c.problems.Add(p.Key.At, "a phase has queue or server, not both")
		return nil
	}
	pool := yaml.Pair{Key: p.Key, Value: &yaml.Node{Kind: yaml.Scalar, Text: "server", At: p.Value.At}}
	pairs := []yaml.Pair{renamed(pool, "pool", pool.Value)}
	switch on, ok := yaml.Bool(p.Value.Text); {
	case p.Value.Kind == yaml.Map:
		return append(c.queue(p, schema.Server.Maps[0]), pairs...)
	case p.Value.Kind == yaml.Scalar && ok && on:
		return pairs
	case p.Value.Kind == yaml.Scalar && ok:
		return nil
	}
	c.problems.Add(p.Value.At, "server of a phase is true, false or a map, not %s", describe(p.Value))
	return nil
}

// queue are the keys of a job that an old queue, or server, is.
func (c *compiler) queue(p yaml.Pair, keys *schema.Object) []yaml.Pair {
	n := p.Value
	if n.Kind != yaml.Map {
		return []yaml.Pair{renamed(p, "pool", n)}
	}
	o, ok := c.object(n, keys)
	if !ok {
		return nil
	}
	pool, strategy := &yaml.Node{Kind: yaml.Map, At: n.At}, &yaml.Node{Kind: yaml.Map, At: n.At}
	var pairs []yaml.Pair
	for _, inner := range n.Pairs {
		switch key := inner.Key.Text; {
		case key == "parallel" && o.get("matrix") != nil:
			strategy.Pairs = append(strategy.Pairs, renamed(inner, "maxParallel", inner.Value))
		case key == "parallel", key == "matrix":
			strategy.Pairs = append(strategy.Pairs, inner)
		case slices.Contains([]string{"timeoutInMinutes", "cancelTimeoutInMinutes", "container", "workspace"}, key):
			pairs = append(pairs, inner)
		case o.keys.Key(key) != nil:
			pool.Pairs = append(pool.Pairs, inner)
		}
	}
	if len(pool.Pairs) > 0 {
		pairs = append(pairs, renamed(p, "pool", pool))
	}
	if len(strategy.Pairs) > 0 {
		pairs = append(pairs, renamed(p, "strategy", strategy))
	}
	return pairs
}

// renamed is an entry under another key, at the same place.
func renamed(p yaml.Pair, key string, value *yaml.Node) yaml.Pair {
	name := *p.Key
	name.Text = key
	return yaml.Pair{Key: &name, Value: value}
}
