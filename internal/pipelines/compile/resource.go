package compile

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

func (c *compiler) readResources(n *yaml.Node) (r plan.Resources) {
	c.containers, c.checkouts = map[string]plan.Container{}, map[string]plan.Checkout{}
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
			if slices.ContainsFunc(r.Repositories, func(o plan.Repository) bool { return strings.EqualFold(o.Alias, repository.Alias) }) {
				c.problems.Add(repository.At, "repository %s is declared a second time", repository.Alias)
			}
			r.Repositories = append(r.Repositories, repository)
		}
	}
	for _, item := range c.items(o.get("containers"), "containers") {
		if container, ok := c.containerResource(item); ok {
			if _, again := c.containers[strings.ToLower(container.Alias)]; again {
				c.problems.Add(item.At, "container %s is declared a second time", container.Alias)
			}
			r.Containers = append(r.Containers, container)
			c.containers[strings.ToLower(container.Alias)] = container
		}
	}
	for _, item := range c.items(o.get("pipelines"), "pipelines") {
		if pipeline, ok := c.pipelineResource(item); ok {
			if slices.ContainsFunc(r.Pipelines, func(o plan.Pipeline) bool { return strings.EqualFold(o.Alias, pipeline.Alias) }) {
				c.problems.Add(item.At, "pipeline %s is declared a second time", pipeline.Alias)
			}
			r.Pipelines = append(r.Pipelines, pipeline)
		}
	}
	for _, item := range c.items(o.get("packages"), "packages") {
		if p, ok := c.packageResource(item); ok {
			if r.Package(p.Alias) != nil {
				c.problems.Add(p.At, "package %s is declared a second time", p.Alias)
			}
			r.Packages = append(r.Packages, p)
		}
	}
	for _, item := range c.items(o.get("webhooks"), "webhooks") {
		c.webhook(item)
	}
	c.foreignResources(o)
	return r
}

// foreignResources checks builds of other systems and says what does not happen here.
func (c *compiler) foreignResources(o object) {
	for _, item := range c.items(o.get("builds"), "builds") {
		r, ok := c.object(item, schema.BuildResource)
		if !ok {
			continue
		}
		r.check()
		alias := r.text("build")
		c.builds = append(c.builds, strings.ToLower(alias))
		c.warnOf(item.At, "build %s starts no run and has no files to download: fetch them in a script step, and start runs over the API", alias)
	}
}

// legacyResources accepts the old list form, in which only `repo: self` was of use: it says how all jobs fetch it.
func (c *compiler) legacyResources(n *yaml.Node) {
	for _, item := range n.Items {
		o, ok := c.object(item, schema.LegacyResource)
		if !ok {
			continue
		}
		if repo := o.text("repo"); !strings.EqualFold(repo, "self") {
			c.problems.Unsupported(item.At, "the old list form of resources knows only repo: self: declare others under resources.repositories")
		}
		c.checkouts["self"] = c.checkoutOptions(o)
	}
}

// checkoutOptions are the defaults of a repository's checkouts. The old list of resources has some of the keys.
func (c *compiler) checkoutOptions(o object) plan.Checkout {
	return plan.Checkout{Clean: o.flag("clean"), FetchDepth: c.depth(o), FetchTags: o.flag("fetchTags"), LFS: o.flag("lfs"),
		PersistCredentials: o.flag("persistCredentials"), Submodules: c.submodules(o)}
}

func (c *compiler) repository(n *yaml.Node) (r plan.Repository, ok bool) {
	o, ok := c.object(n, schema.RepositoryResource)
	if !ok {
		return r, false
	}
	if inner, ok := o.object("checkoutOptions"); ok {
		c.checkouts[strings.ToLower(o.text("repository"))] = c.checkoutOptions(inner)
	}
	if strings.EqualFold(o.text("repository"), "self") {
		if o.text("ref") != "" {
			c.warnOf(o.at("ref"), "ref of repository self has no effect: a run is of the commit that it is queued for")
		}
		return r, false
	}
	r = plan.Repository{Alias: o.needed("repository"), Type: c.repositoryType(o), Name: o.needed("name"), Ref: o.text("ref"), At: n.At}
	if project := o.text("project"); project != "" && !strings.Contains(r.Name, "/") {
		r.Name = project + "/" + r.Name
	}
	if r.Ref == "" {
		r.Ref = "refs/heads/main"
	}
	switch r.Type {
	case "git", "github", "bitbucket", "":
	case "githubenterprise":
		if o.text("endpoint") == "" {
			c.problems.Add(o.get("type").At, "repository %s needs endpoint: the service connection says where the GitHub Enterprise Server is", r.Alias)
		}
	default:
		c.problems.Add(o.get("type").At, "type of a repository is git, github, githubenterprise or bitbucket, not %q", r.Type)
	}
	r.Endpoint = o.text("endpoint")
	c.repositoryTrigger(o) // what is wrong with it is said
	return r, r.Alias != "" && r.Name != ""
}

// repositoryType is where a repository is. The schema of Azure Pipelines demands the alias alone (service-schema.json of
// microsoft/azure-pipelines-vscode), so one without a type is of this server, if it names no connection to another host.
func (c *compiler) repositoryType(o object) string {
	if o.text("type") != "" || o.text("endpoint") != "" {
		return strings.ToLower(o.needed("type"))
	}
	if alias := o.text("repository"); alias != "" {
		c.warnOf(o.at("repository"), "repository %s has no type: git, a repository of this server, is taken", alias)
	}
	return "git"
}

func (c *compiler) containerResource(n *yaml.Node) (r plan.Container, ok bool) {
	o, ok := c.object(n, schema.ContainerResource)
	if !ok {
		return r, false
	}
	if _, triggers := c.containerTrigger(o); triggers {
		c.checkTriggeringImage(o)
	}
	switch kind := o.text("type"); {
	case kind == "", strings.EqualFold(kind, "docker"):
		for _, key := range azureRegistryKeys {
			if o.get(key) != nil {
				c.problems.Add(o.at(key), "%s of a container goes with type: ACR", key)
			}
		}
		r = c.containerOf(o, o.needed("image"))
	case strings.EqualFold(kind, "ACR"):
		r = c.containerOf(o, c.azureImage(o))
	default:
		c.problems.Unsupported(o.at("type"), "type %s of a container: write ACR, which is this server's registry, or leave it out and give the whole image name", kind)
		return r, false
	}
	r.Alias = o.needed("container")
	return r, r.Alias != ""
}

// azureRegistryKeys name an image in a registry of Azure.
var azureRegistryKeys = []string{"azureSubscription", "resourceGroup", "registry", "repository"}

// azureImage is the image of a container of type ACR, whose registry is this server's, as everywhere that a file names one of Azure.
func (c *compiler) azureImage(o object) string {
	if o.get("image") != nil {
		c.problems.Add(o.at("image"), "a container of type ACR has repository, not image")
	}
	for _, key := range azureRegistryKeys[:3] {
		o.text(key)
	}
	repository := o.needed("repository")
	if repository == "" {
		return ""
	}
	if !strings.Contains(repository, "/") && !strings.Contains(repository, "$(") {
		c.problems.Add(o.at("repository"), "type ACR means this server's registry, where an image is PROJECT/NAME: write repository: PROJECT/%s", repository)
	}
	if c.in.Registry != "" {
		return c.in.Registry + "/" + repository
	}
	return repository
}

func (c *compiler) containerOf(o object, image string) plan.Container {
	r := plan.Container{Image: image, Endpoint: o.text("endpoint"), Env: o.textMap("env"), Ports: o.texts("ports"), At: o.n.At}
	for _, port := range r.Ports {
		if host, inner, ok := strings.Cut(port, ":"); ok && host != inner && (strings.Contains(port, "-") || strings.Contains(strings.TrimSuffix(port, "/tcp"), "/")) {
			c.warnOf(o.at("ports"), "port %s: single TCP ports are mapped; a job and its services share one network, so the port is %s", port, inner)
		}
	}
	c.containerVolumes(o, &r)
	c.containerOptions(o, &r)
	if o.boolean("mapDockerSocket", false) {
		c.warnOf(o.at("mapDockerSocket"), "mapDockerSocket has no effect: jobs are pods without a Docker daemon, build images with Docker@2")
	}
	if inner, ok := o.object("mountReadOnly"); ok {
		for _, key := range inner.keys.Names() {
			inner.boolean(key, false)
		}
		c.warnOf(o.at("mountReadOnly"), "mountReadOnly has no effect: the agent's files are read-only, the workspace is not")
	}
	return r
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
	r := c.containerOf(o, o.needed("image"))
	return &r
}

// runtimeContainer reads $[ variables['x'] ], which is the macro $(x): the variable is an image or an alias.
func (c *compiler) runtimeContainer(n *yaml.Node, what string) *plan.Container {
	if image := c.runtimeName(n, what); image != "" {
		return &plan.Container{Image: image, At: n.At}
	}
	return nil
}

// runtimeName reads $[ variables['x'] ] as the macro $(x); "" after a problem.
func (c *compiler) runtimeName(n *yaml.Node, what string) string {
	inside := c.runtime(n, valueScope)
	e, err := expression.Parse(inside, valueScope)
	if err != nil {
		return "" // reported already
	}
	if paths := e.Paths(); e.IsPath() && len(paths[0].Parts) == 2 && strings.EqualFold(paths[0].Parts[0], "variables") {
		return "$(" + paths[0].Parts[1] + ")"
	}
	c.problems.Unsupported(n.At, "%s may be $[ variables['x'] ], other expressions are not there yet: put them into a variable", what)
	return ""
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
	if c.ownProject(r.Project) {
		r.Project = ""
	}
	return r, r.Alias != "" && r.Source != ""
}

// ownProject reports the pipeline's own project, by its name or id.
func (c *compiler) ownProject(project string) bool {
	return strings.EqualFold(c.in.Variables["System.TeamProject"], project) || strings.EqualFold(c.in.Variables["System.TeamProjectId"], project)
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
