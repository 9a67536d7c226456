package compile

import (
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) readResources(n *yaml.Node) (r plan.Resources) {
	c.containers = map[string]plan.Container{}
	if n == nil || n.IsNull() {
		return r
	}
	if n.Kind == yaml.List {
		c.legacyResources(n)
		return r
	}
	o, ok := c.object(n, schema.Resources)
	if !ok {
		return r
	}
	for _, item := range c.items(o.get("repositories"), "repositories") {
		if repository, ok := c.repository(item); ok {
			r.Repositories = append(r.Repositories, repository)
		}
	}
	for _, item := range c.items(o.get("containers"), "containers") {
		if container, ok := c.containerResource(item); ok {
			r.Containers = append(r.Containers, container)
			c.containers[strings.ToLower(container.Alias)] = container
		}
	}
	for _, item := range c.items(o.get("pipelines"), "pipelines") {
		if pipeline, ok := c.pipelineResource(item); ok {
			r.Pipelines = append(r.Pipelines, pipeline)
		}
	}
	return r
}

// legacyResources accepts the old list form, in which only `repo: self` was of use, and says nothing.
func (c *compiler) legacyResources(n *yaml.Node) {
	for _, item := range n.Items {
		o, ok := c.object(item, schema.LegacyResource)
		if !ok {
			continue
		}
		if repo := o.text("repo"); !strings.EqualFold(repo, "self") {
			c.problems.Unsupported(item.At, "the old list form of resources knows only repo: self: declare others under resources.repositories")
		}
		for _, key := range []string{"clean", "fetchDepth", "lfs", "submodules"} {
			if o.get(key) != nil {
				c.problems.Unsupported(o.at(key), "%s in the old list of resources is not there yet: write it in a checkout step", key)
			}
		}
	}
}

func (c *compiler) repository(n *yaml.Node) (r plan.Repository, ok bool) {
	o, ok := c.object(n, schema.RepositoryResource)
	if !ok {
		return r, false
	}
	r = plan.Repository{Alias: o.needed("repository"), Type: strings.ToLower(o.needed("type")), Name: o.needed("name"), Ref: o.text("ref"), At: n.At}
	if project := o.text("project"); project != "" && !strings.Contains(r.Name, "/") {
		r.Name = project + "/" + r.Name
	}
	if r.Ref == "" {
		r.Ref = "refs/heads/main"
	}
	switch r.Type {
	case "git", "":
	case "github", "githubenterprise", "bitbucket":
		c.problems.Unsupported(o.get("type").At, "repositories of type %s are not there yet: mirror it here and write type: git", r.Type)
	default:
		c.problems.Add(o.get("type").At, "type of a repository is git, github, githubenterprise or bitbucket, not %q", r.Type)
	}
	if o.text("endpoint") != "" {
		c.problems.Unsupported(o.at("endpoint"), "endpoint of a repository is not there yet: repositories of this server need none")
	}
	if t := o.get("trigger"); t != nil && !isNone(t) {
		c.problems.Unsupported(o.at("trigger"), "trigger of a repository is not there yet: only pushes to the pipeline's own repository start it")
	}
	return r, r.Alias != "" && r.Name != ""
}

func (c *compiler) containerResource(n *yaml.Node) (r plan.Container, ok bool) {
	o, ok := c.object(n, schema.ContainerResource)
	if !ok {
		return r, false
	}
	if t := o.get("trigger"); t != nil && !isNone(t) {
		c.problems.Unsupported(o.at("trigger"), "trigger of a container is not there yet: leave it out")
	}
	if kind := o.text("type"); kind != "" {
		c.problems.Unsupported(o.at("type"), "type %s of a container is not there yet: give the whole image name", kind)
	}
	r = c.containerOf(o)
	r.Alias = o.needed("container")
	return r, r.Alias != ""
}

func (c *compiler) containerOf(o object) plan.Container {
	return plan.Container{Image: o.needed("image"), Endpoint: o.text("endpoint"), Env: o.textMap("env"), Ports: o.texts("ports"), At: o.n.At}
}

// container is a job's or a service's container: an alias, an image, or a map.
func (c *compiler) container(n *yaml.Node, keys *schema.Object) *plan.Container {
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return nil
	}
	if n.Kind == yaml.Scalar {
		if isRuntime(n.Text) {
			return c.runtimeContainer(n, keys.Name)
		}
		if r, ok := c.containers[strings.ToLower(n.Text)]; ok {
			return &r
		}
		if !strings.ContainsAny(n.Text, "/:.$") && len(c.containers) > 0 {
			aliases := make([]string, 0, len(c.resources.Containers))
			for _, r := range c.resources.Containers {
				aliases = append(aliases, r.Alias)
			}
			if s := nearest.Suggest(n.Text, aliases); s != "" {
				c.problems.Add(n.At, "no container %q is declared under resources.containers%s", n.Text, s)
				return nil
			}
		}
		return &plan.Container{Image: n.Text, At: n.At}
	}
	o, ok := c.object(n, keys)
	if !ok {
		return nil
	}
	if alias := o.text("alias"); alias != "" && o.get("image") == nil {
		if r, ok := c.containers[strings.ToLower(alias)]; ok {
			return &r
		}
		c.problems.Add(o.get("alias").At, "no container %q is declared under resources.containers", alias)
		return nil
	}
	r := c.containerOf(o)
	return &r
}

// runtimeContainer reads $[ variables['x'] ], which is the macro $(x): the variable is an image or an alias.
func (c *compiler) runtimeContainer(n *yaml.Node, what string) *plan.Container {
	inside := c.runtime(n, variableScope)
	e, err := expression.Parse(inside, variableScope)
	if err != nil {
		return nil // reported already
	}
	if paths := e.Paths(); e.IsPath() && len(paths[0].Parts) == 2 && strings.EqualFold(paths[0].Parts[0], "variables") {
		return &plan.Container{Image: "$(" + paths[0].Parts[1] + ")", At: n.At}
	}
	c.problems.Unsupported(n.At, "%s may be $[ variables['x'] ], other expressions are not there yet: put them into a variable", what)
	return nil
}

func (c *compiler) services(n *yaml.Node) []plan.Container {
	if n == nil || n.IsNull() {
		return nil
	}
	if n.Kind != yaml.Map {
		c.problems.Add(n.At, "services are a map of host names and containers, not %s", describe(n))
		return nil
	}
	var list []plan.Container
	for _, p := range n.Pairs {
		if r := c.container(p.Value, schema.ServiceContainer); r != nil {
			service := *r
			service.Alias = p.Key.Text
			list = append(list, service)
		}
	}
	return list
}

func (c *compiler) pipelineResource(n *yaml.Node) (r plan.Pipeline, ok bool) {
	o, ok := c.object(n, schema.PipelineResource)
	if !ok {
		return r, false
	}
	r = plan.Pipeline{Alias: o.needed("pipeline"), Source: o.needed("source"), Project: o.text("project"), Branch: o.text("branch"),
		Version: o.text("version"), Tags: o.texts("tags"), Trigger: c.pipelineTrigger(o), At: n.At}
	if r.Project != "" {
		c.problems.Unsupported(o.at("project"), "project of a pipeline resource is not there yet: it is a pipeline of the same project, leave it out")
	}
	return r, r.Alias != "" && r.Source != ""
}

func (c *compiler) pipelineTrigger(o object) *plan.PipelineTrigger {
	n := o.get("trigger")
	if n == nil || isNone(n) {
		return nil
	}
	var t plan.PipelineTrigger
	if b, ok := yaml.Bool(n.Text); n.Kind == yaml.Scalar && (ok || n.IsNull()) {
		if ok && !b {
			return nil
		}
		return &t
	}
	inner, ok := o.object("trigger")
	if !ok || !inner.boolean("enabled", true) {
		return nil
	}
	if b := inner.get("branches"); b != nil && b.Kind == yaml.List {
		t.Branches.Include = c.patterns(b, "branches")
	} else {
		t.Branches = c.filter(inner, "branches")
	}
	t.Stages, t.Tags = inner.texts("stages"), inner.texts("tags")
	return &t
}
