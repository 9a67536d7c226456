package compile

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// steps reads the steps of a job or hook and adds those that the language implies.
func (c *compiler) steps(n *yaml.Node, j *plan.Job, pool plan.Pool, hook plan.HookName) []plan.Step {
	var list []plan.Step
	checkout, download := false, false
	names := map[string]int{}
	for _, item := range c.items(n, "steps") {
		if item.Kind != yaml.Map {
			c.problems.Add(item.At, "a step is a map of keys, not %s", describe(item))
			continue
		}
		if item.Get("template") != nil {
			continue // what is wrong with it is reported already
		}
		s, ok := c.step(item, j)
		if !ok {
			continue
		}
		c.place(item, &s, j, pool)
		checkout = checkout || s.Kind == plan.StepCheckout
		download = download || s.Kind == plan.StepDownload && (item.Get("download") != nil || item.Get("downloadBuild") != nil)
		if s.Kind == plan.StepCheckout && s.Checkout.Repository == "none" || s.Kind == plan.StepDownload && s.Download.Source == "none" {
			continue
		}
		if s.Name != "" {
			if line, ok := names[strings.ToLower(s.Name)]; ok {
				c.problems.Add(item.Get("name").At, "step name %s stands here a second time, first on line %d", s.Name, line)
			}
			names[strings.ToLower(s.Name)] = item.Get("name").At.Line
		}
		list = append(list, s)
	}
	c.macros(c.items(n, "steps"), j, hook)
	if (len(list) > 0 || checkout || download) && !pool.Server {
		list = append(c.implied(j, hook, checkout, download), list...)
	}
	list = preJobFirst(list)
	for i := range list {
		list[i].ID = i + 1
	}
	return list
}

// preJobFirst puts steps that are to run before the job (RunAsPreJob of AzureKeyVault, and InstallSSHKey) before the others.
func preJobFirst(list []plan.Step) []plan.Step {
	var first, rest []plan.Step
	for _, s := range list {
		if t := s.Task; t != nil && (t.Name == "AzureKeyVault" && strings.EqualFold(t.Inputs["RunAsPreJob"], "true") || t.Name == "InstallSSHKey") {
			first = append(first, s)
		} else {
			rest = append(rest, s)
		}
	}
	return append(first, rest...)
}

// implied are the steps that come first without being written: a job fetches its repository if no checkout is stated, and
// the deploy hook of a deployment downloads every artifact of the run, and of its pipeline resources, if no download is.
func (c *compiler) implied(j *plan.Job, hook plan.HookName, checkout, download bool) []plan.Step {
	switch {
	case hook == "" && !checkout:
		self := c.checkouts["self"]
		self.Repository, self.Implicit = "self", true
		return []plan.Step{{DisplayName: "Checkout self", Kind: plan.StepCheckout, At: j.At, Checkout: &self}}
	case hook == plan.HookDeploy && !download:
		list := []plan.Step{{DisplayName: "Download artifacts", Kind: plan.StepDownload, At: j.At, Download: &plan.Download{Source: "current", Implicit: true}}}
		for _, p := range c.resources.Pipelines {
			if p.Implied {
				continue
			}
			list = append(list, plan.Step{DisplayName: "Download artifacts of " + p.Alias, Kind: plan.StepDownload, At: j.At,
				Download: &plan.Download{Source: p.Alias, Implicit: true}})
		}
		return list
	}
	return nil
}

func (c *compiler) step(n *yaml.Node, j *plan.Job) (s plan.Step, ok bool) {
	var kind *schema.Object
	for _, p := range n.Pairs {
		if instead, ok := schema.RefusedStep(p.Key.Text); ok {
			c.problems.Unsupported(p.Key.At, "%s steps are not taken: %s", p.Key.Text, instead)
			return s, false
		}
		own := schema.StepObject(p.Key.Text)
		if own == nil {
			continue
		}
		if kind != nil {
			c.problems.Add(p.Key.At, "a step is one thing, this is both %s and %s", kind.Mark, p.Key.Text)
			return s, false
		}
		kind = own
	}
	if kind == nil {
		c.unknownStep(n)
		return s, false
	}
	o, ok := c.object(n, kind)
	if !ok {
		return s, false
	}
	s = c.stepOf(o)
	s.Target = c.target(o, j)
	ok = c.stepPart(kind.Mark, o, &s, j)
	return s, ok
}

func (c *compiler) stepPart(kind string, o object, s *plan.Step, j *plan.Job) bool {
	switch kind {
	case "script":
		return c.script(o, s, kind, plan.ShellDefault, "CmdLine")
	case "bash":
		return c.script(o, s, kind, plan.ShellBash, "Bash")
	case "pwsh", "powershell":
		return c.powershell(o, s, kind, j)
	case "checkout":
		return c.checkout(o, s)
	case "publish", "upload":
		return c.publish(o, s, kind)
	case "download", "downloadBuild":
		return c.download(o, s, kind)
	case "getPackage":
		return c.getPackage(o, s)
	case "reviewApp":
		return c.reviewApp(o, s, j)
	}
	ok := c.task(o, s)
	if s.Task != nil && s.Task.Package == nil && s.Task.Name == "PowerShell" {
		c.warnPowerShell(o.at("task"), s.Task, j)
	}
	return ok
}

// unknownStep says which key a step without a kind most likely means, and what is wrong with the others then.
func (c *compiler) unknownStep(n *yaml.Node) {
	marks := schema.StepMarks()
	at, hint := n.At, ""
	for _, p := range n.Pairs {
		kind := schema.StepObject(nearest.Find(p.Key.Text, marks))
		if kind == nil || kind.Key(p.Key.Text) != nil {
			continue
		}
		at, hint = p.Key.At, nearest.Suggest(p.Key.Text, marks)
		others := *n
		others.Pairs = slices.DeleteFunc(slices.Clone(n.Pairs), func(o yaml.Pair) bool { return o.Key == p.Key })
		c.object(&others, kind)
		break
	}
	c.problems.Add(at, "a step has one of the keys %s%s", strings.Join(marks, ", "), hint)
}

// stepOf reads what all steps share.
func (c *compiler) stepOf(o object) plan.Step {
	s := plan.Step{
		DisplayName: strings.TrimSpace(o.text("displayName")), Condition: o.condition(stepScope), Env: o.textMap("env"), At: o.n.At,
	}
	if !o.later("continueOnError", &s.Open) {
		s.ContinueOnError = o.boolean("continueOnError", false)
	}
	if !o.later("enabled", &s.Open) {
		s.Disabled = !o.boolean("enabled", true)
	}
	if !o.later("timeoutInMinutes", &s.Open) {
		s.TimeoutInMinutes = o.integer("timeoutInMinutes", 0)
	}
	if !o.later("retryCountOnTaskFailure", &s.Open) {
		s.Retries = o.integer("retryCountOnTaskFailure", 0)
	}
	s.Name = c.stepName(o.get("name"))
	return s
}

// target reads where a step runs, and what it may do.
func (c *compiler) target(o object, j *plan.Job) *plan.Target {
	n := o.get("target")
	if n == nil || n.IsNull() {
		return nil
	}
	t := &plan.Target{}
	if n.Kind == yaml.Scalar {
		t.Container = c.targetContainer(n, j)
	} else {
		inner, ok := o.object("target")
		if !ok {
			return nil
		}
		if at := inner.get("container"); at != nil && inner.text("container") != "" {
			t.Container = c.targetContainer(at, j)
		}
		t.Restricted = inner.option("commands", "any") == "restricted"
		if settable := inner.get("settableVariables"); settable != nil && !settable.IsNull() {
			t.LimitsVariables = true
			if !isNone(settable) {
				t.Settable = c.texts(settable, "settableVariables of a target")
			}
		}
	}
	if t.Container == "" && !t.Restricted && !t.LimitsVariables {
		return nil
	}
	return t
}

// targetContainer is the container that a target names, "" for the one in which the job runs anyway.
func (c *compiler) targetContainer(n *yaml.Node, j *plan.Job) string {
	name := n.Text
	known, declared := c.containers[strings.ToLower(name)]
	switch {
	case strings.EqualFold(name, plan.TargetHost):
		if j.Container == nil {
			return ""
		}
		return plan.TargetHost
	case j.Container != nil && (strings.EqualFold(j.Container.Alias, name) || j.Container.Image == name):
		return ""
	case !declared && c.template: // the file that includes this one declares the container and has the job
		return name
	case !declared:
		aliases := []string{plan.TargetHost}
		for _, r := range c.resources.Containers {
			aliases = append(aliases, r.Alias)
		}
		c.problems.Add(n.At, "target is host or a container declared under resources.containers, not %q%s", name, nearest.Suggest(name, aliases))
	case !targetName.MatchString(name):
		c.problems.Add(n.At, "the container %s cannot be a target: its name must be letters, digits, dashes and underscores, at most 40", name)
	default:
		return known.Alias
	}
	return ""
}

// targetName bounds a name that becomes that of a socket, whose path may have no more than about a hundred characters.
var targetName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

var stepIdentifier = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// stepName checks the name of a step, which may hold dashes.
func (c *compiler) stepName(n *yaml.Node) string {
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return ""
	}
	if n.Kind != yaml.Scalar || !stepIdentifier.MatchString(n.Text) {
		c.problems.Add(n.At, "%s is no name for a step: names are letters, digits, dashes and underscores, at most 100", describe(n))
		return ""
	}
	return n.Text
}

// wrongOn reports a problem on the line of a place.
func (c *compiler) wrongOn(at slipway.Position) bool {
	return slices.ContainsFunc(c.problems, func(p *slipway.Problem) bool {
		return p.Position != nil && p.Position.File == at.File && p.Position.Line == at.Line
	})
}

func (c *compiler) script(o object, s *plan.Step, key string, shell plan.Shell, title string) bool {
	n := o.get(key)
	switch {
	case n.Kind != yaml.Scalar:
		c.problems.Add(n.At, "%s of %s is text, not %s", key, o.what, n.Kind)
		return false
	case strings.TrimSpace(n.Text) == "" && c.wrongOn(n.At):
		return false // an expression that cannot be read has no text
	case n.IsNull() || strings.TrimSpace(n.Text) == "":
		c.problems.Add(o.at(key), "the %s step has no script", key)
		return false
	}
	s.Kind = plan.StepScript
	s.Script = &plan.Script{Shell: shell, Text: n.Text, WorkingDirectory: o.text("workingDirectory"), FailOnStderr: o.flag("failOnStderr")}
	c.title(s, title)
	return true
}

func (c *compiler) title(s *plan.Step, title string) {
	if s.DisplayName == "" {
		s.DisplayName = title
	}
}

// powershell reads the steps that are another spelling of the task PowerShell@2.
func (c *compiler) powershell(o object, s *plan.Step, key string, j *plan.Job) bool {
	if !c.script(o, s, key, "", "PowerShell") {
		return false
	}
	given := map[string]string{"targetType": "inline", "script": s.Script.Text, "pwsh": strconv.FormatBool(key == "pwsh"), "failOnStderr": s.Script.FailOnStderr,
		"workingDirectory": s.Script.WorkingDirectory, "errorActionPreference": o.text("errorActionPreference"), "ignoreLASTEXITCODE": o.flag("ignoreLASTEXITCODE")}
	d, err := c.in.Tasks.Find("PowerShell@2")
	if err != nil {
		c.problems.Add(o.at(key), "%v", err)
		return false
	}
	maps.DeleteFunc(given, func(_, text string) bool { return text == "" })
	inputs, mistakes := d.Resolve(given)
	for _, m := range mistakes {
		c.problems.Add(o.at(m.Input), "%s", m.Message)
	}
	s.Kind, s.Script = plan.StepTask, nil
	s.Task = &plan.Task{Name: d.Name, Major: d.Major, Inputs: inputs, Given: slices.Sorted(maps.Keys(given))}
	c.warnPowerShell(o.at(key), s.Task, j)
	return true
}

// warnPowerShell says once for each job that its image has no PowerShell if it is the pool's own, and once for the file
// that there is no Windows PowerShell.
func (c *compiler) warnPowerShell(at slipway.Position, t *plan.Task, j *plan.Job) {
	image := j.Pool.Image
	own := j.Container == nil && !strings.Contains(image, "$(") && (c.in.Images == nil || !c.in.Images(image))
	if own && c.noPowerShell != j {
		c.noPowerShell = j
		c.warn(at, "the pool's image has no PowerShell, so the step will fail: give the job a container that has it, such as mcr.microsoft.com/powershell, or write bash")
	}
	if !strings.EqualFold(t.Inputs["pwsh"], "true") && !c.windowsPowerShell {
		c.windowsPowerShell = true
		c.warn(at, "jobs run on Linux, where PowerShell is pwsh: there is no Windows PowerShell")
	}
}

func (c *compiler) checkout(o object, s *plan.Step) bool {
	repository := o.needed("checkout")
	switch {
	case strings.EqualFold(repository, "self"), strings.EqualFold(repository, "none"):
		repository = strings.ToLower(repository)
	case repository == "":
		return false
	case strings.Contains(repository, "://"):
		c.problems.Unsupported(o.get("checkout").At, "checkout of %q: declare the repository under resources.repositories and give its alias", repository)
		return false
	default:
		r := c.alias(repository)
		if r == nil && c.template {
			r = &plan.Repository{Alias: repository} // the file that includes this one declares it
		}
		if r == nil {
			aliases := []string{"self", "none"}
			for _, known := range c.resources.Repositories {
				aliases = append(aliases, known.Alias)
			}
			c.problems.Add(o.get("checkout").At, "checkout is self, none or a repository declared under resources.repositories, not %q%s", repository, nearest.Suggest(repository, aliases))
			return false
		}
		if c.in.Repository == nil && !c.draft {
			c.problems.Unsupported(o.get("checkout").At, "checkout of %s: other repositories are not at hand here, give its folder with --repository %s=FOLDER", repository, repository)
			return false
		}
		repository = r.Alias
	}
	s.Kind = plan.StepCheckout
	s.Checkout = &plan.Checkout{
		Repository: repository, FetchDepth: c.depth(o), FetchFilter: o.text("fetchFilter"), FetchTags: o.flag("fetchTags"), Clean: o.flag("clean"),
		WorkspaceRepo: o.flag("workspaceRepo"), LFS: o.flag("lfs"), PersistCredentials: o.flag("persistCredentials"), Path: c.checkoutPath(o), Submodules: c.submodules(o),
		SparseDirectories: o.text("sparseCheckoutDirectories"), SparsePatterns: o.text("sparseCheckoutPatterns"),
	}
	byDefault(s.Checkout, c.checkouts[strings.ToLower(repository)])
	c.title(s, "Checkout "+repository)
	return true
}

// byDefault completes a checkout by what resources say of its repository.
func byDefault(own *plan.Checkout, of plan.Checkout) {
	own.Clean, own.LFS, own.Submodules = cmp.Or(own.Clean, of.Clean), cmp.Or(own.LFS, of.LFS), cmp.Or(own.Submodules, of.Submodules)
	own.FetchDepth, own.FetchTags = cmp.Or(own.FetchDepth, of.FetchDepth), cmp.Or(own.FetchTags, of.FetchTags)
	own.PersistCredentials = cmp.Or(own.PersistCredentials, of.PersistCredentials)
}

func (c *compiler) depth(o object) string {
	text := strings.TrimSpace(o.text("fetchDepth"))
	if strings.Contains(text, "$(") || text == "" {
		return text
	}
	return itoa(o.integer("fetchDepth", 0))
}

func (c *compiler) submodules(o object) string {
	n := o.get("submodules")
	switch {
	case n == nil || n.IsNull():
		return ""
	case n.Kind != yaml.Scalar:
		c.problems.Add(n.At, "submodules of checkout is true, false or recursive, not %s", describe(n))
		return ""
	case strings.EqualFold(n.Text, "recursive"):
		return "recursive"
	}
	return o.flag("submodules")
}

func (c *compiler) checkoutPath(o object) string {
	path := strings.ReplaceAll(o.text("path"), `\`, "/")
	if strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") {
		c.problems.Add(o.get("path").At, "path of checkout is below $(Pipeline.Workspace), not %q", path)
		return ""
	}
	return path
}

func (c *compiler) publish(o object, s *plan.Step, key string) bool {
	s.Kind = plan.StepPublish
	s.Publish = &plan.Publish{Path: o.needed(key), Artifact: o.text("artifact"), Properties: o.text("properties")}
	c.checkArtifact(o.get("artifact"))
	title := "Publish artifact"
	if s.Publish.Artifact != "" {
		title += " " + s.Publish.Artifact
	}
	c.title(s, title)
	return s.Publish.Path != ""
}

// checkArtifact refuses names that cannot be a folder's.
func (c *compiler) checkArtifact(n *yaml.Node) {
	if n != nil && n.Kind == yaml.Scalar && strings.ContainsAny(n.Text, `\/":<>|*?`) && !strings.Contains(n.Text, "$(") {
		c.problems.Add(n.At, `artifact name %q holds one of \ / " : < > | * ?`, n.Text)
	}
}

func (c *compiler) download(o object, s *plan.Step, key string) bool {
	source := o.needed(key)
	switch {
	case strings.EqualFold(source, "current"), strings.EqualFold(source, "none"):
		source = strings.ToLower(source)
	case source == "":
		return false
	default:
		known := []string{"current", "none"}
		for _, p := range c.resources.Pipelines {
			known = append(known, p.Alias)
		}
		if slices.Contains(c.builds, strings.ToLower(source)) {
			c.problems.Unsupported(o.get(key).At, "build %s is of another system, from which nothing can be downloaded: fetch its files in a script step", source)
			return false
		}
		if !slices.Contains(known, source) && !c.template {
			c.problems.Add(o.get(key).At, "%s is current, none or a pipeline declared under resources.pipelines, not %q%s", key, source, nearest.Suggest(source, known))
			return false
		}
	}
	s.Kind = plan.StepDownload
	s.Download = &plan.Download{Source: source, Artifact: o.text("artifact"), Patterns: o.text("patterns"), Path: o.text("path")}
	title := "Download artifacts"
	if s.Download.Artifact != "" {
		title = "Download artifact " + s.Download.Artifact
	}
	c.title(s, title)
	return true
}
