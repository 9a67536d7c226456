package compile

import (
	"regexp"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/trigger"
	"slipway/internal/pipelines/yaml"
)

// containerTrigger says which tags of a container's image start a run, and whether any does.
func (c *compiler) containerTrigger(o object) (tags plan.Filter, triggers bool) {
	n := o.get("trigger")
	if n == nil || isNone(n) {
		return tags, false
	}
	if b, ok := yaml.Bool(n.Text); n.Kind == yaml.Scalar && (ok || n.IsNull()) {
		return tags, !ok || b
	}
	inner, ok := o.object("trigger")
	if !ok || !inner.boolean("enabled", true) {
		return tags, false
	}
	if t := inner.get("tags"); t != nil && t.Kind == yaml.List {
		tags.Include = c.patterns(t, "tags")
	} else {
		tags = c.filter(inner, "tags")
	}
	return tags, true
}

// checkTriggeringImage warns of an image whose pushes this server does not see.
func (c *compiler) checkTriggeringImage(o object) {
	image := o.text("image")
	if o.text("type") != "" {
		return // ACR, which is this server's
	}
	if _, own := trigger.ImageRepository(image, c.in.Registry); own || image == "" {
		return
	}
	what := "only images of this server's own registry start runs when they are pushed"
	if c.in.Registry == "" {
		what += ", by names without a host or with its host"
	}
	c.warnOf(o.at("trigger"), "trigger of container %s starts no run: %s", o.text("container"), what)
}

// repositoryTrigger says which pushes to another repository start a run, and whether any does. Without the key none does.
func (c *compiler) repositoryTrigger(o object) (p plan.Push, triggers bool) {
	n := o.get("trigger")
	if n == nil || n.IsNull() {
		return p, false
	}
	if b, ok := yaml.Bool(n.Text); n.Kind == yaml.Scalar && ok {
		return p, b
	}
	p = c.push(n)
	if p.Batch {
		c.warnOf(o.at("trigger"), "batch has no effect in the trigger of a repository under resources: each push starts a run")
	}
	return p, !p.None
}

var webhookAlias = regexp.MustCompile(`^[-_A-Za-z0-9]+$`)

// maxWebhookFilters bounds the filters of one webhook.
const maxWebhookFilters = 50

func (c *compiler) webhook(n *yaml.Node) (r plan.ResourceTrigger, ok bool) {
	o, ok := c.object(n, schema.WebhookResource)
	if !ok {
		return r, false
	}
	r = plan.ResourceTrigger{Kind: plan.ResourceWebhook, Alias: o.needed("webhook"), Source: o.needed("connection")}
	if r.Alias != "" && !webhookAlias.MatchString(r.Alias) {
		c.problems.Add(o.at("webhook"), "webhook %q: use letters, digits, dashes and underscores", r.Alias)
	}
	if o.text("type") != "" {
		c.problems.Unsupported(o.at("type"), "type of a webhook names an extension, and there are none here: leave it out, and let the other system call an incoming webhook")
	}
	for i, item := range c.items(o.get("filters"), "filters") {
		if i == maxWebhookFilters {
			c.problems.Limit(item.At, "a webhook has up to %d filters", maxWebhookFilters)
			break
		}
		f, ok := c.object(item, o.keys.Key("filters").Value.List.Maps[0])
		if !ok {
			continue
		}
		one := plan.WebhookFilter{Path: f.needed("path"), Value: f.text("value")}
		if err := trigger.CheckWebhookPath(one.Path); err != nil && one.Path != "" {
			c.problems.Add(f.at("path"), "%v", err)
		}
		r.Filters = append(r.Filters, one)
	}
	return r, r.Alias != "" && r.Source != ""
}

// resourceTriggers are the resources of a file, not expanded, that start a run. As in sources, what is wrong with them is for
// the compilation to say.
func resourceTriggers(root *yaml.Node) (list []plan.ResourceTrigger) {
	each := func(key string, read func(c *compiler, n *yaml.Node) (plan.ResourceTrigger, bool)) {
		resources := root.Get("resources")
		if resources == nil || resources.Kind != yaml.Map {
			return
		}
		n := resources.Get(key)
		if n == nil || n.Kind != yaml.List {
			return
		}
		for _, item := range n.Items {
			c := &compiler{}
			if r, ok := read(c, item); ok && len(c.problems) == 0 {
				list = append(list, r)
			}
		}
	}
	each("containers", func(c *compiler, n *yaml.Node) (r plan.ResourceTrigger, ok bool) {
		container, ok := c.containerResource(n)
		if !ok {
			return r, false
		}
		r = plan.ResourceTrigger{Kind: plan.ResourceContainer, Alias: container.Alias, Source: container.Image}
		r.Tags, ok = c.containerTrigger(object{c: c, n: n, keys: schema.ContainerResource})
		return r, ok
	})
	each("repositories", func(c *compiler, n *yaml.Node) (r plan.ResourceTrigger, ok bool) {
		repository, ok := c.repository(n)
		if !ok {
			return r, false
		}
		r = plan.ResourceTrigger{Kind: plan.ResourceRepository, Alias: repository.Alias, Source: repository.Name}
		r.Push, ok = c.repositoryTrigger(object{c: c, n: n, keys: schema.RepositoryResource})
		return r, ok
	})
	each("packages", func(c *compiler, n *yaml.Node) (r plan.ResourceTrigger, ok bool) {
		p, ok := c.packageResource(n)
		return plan.ResourceTrigger{Kind: plan.ResourcePackage, Alias: p.Alias, Source: p.Name, Package: &p}, ok && p.Trigger
	})
	each("webhooks", func(c *compiler, n *yaml.Node) (plan.ResourceTrigger, bool) { return c.webhook(n) })
	return list
}
