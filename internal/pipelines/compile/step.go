package compile

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// steps reads the steps of a job or hook and adds those that the language implies.
func (c *compiler) steps(n *yaml.Node, j *plan.Job, pool plan.Pool, hook plan.HookName) []plan.Step {
	items := c.items(n, "steps")
	list := make([]plan.Step, 0, len(items)+1)
	checkout, download := false, false
	names := map[string]int{}
	for _, item := range items {
		if item.Kind != yaml.Map {
			c.object(item, schema.StepObject("script")) // which says that it is no map
			continue
		}
		if c.misplaced(item, stepList, &pool) {
			continue
		}
		if item.Get("template") != nil {
			continue // what is wrong with it is reported already
		}
		s, item, ok := c.step(item, j)
		if !ok {
			continue
		}
		c.place(item, &s, j, pool)
		c.literals(item)
		if slices.ContainsFunc(list, func(before plan.Step) bool { return before.Kind != plan.StepCheckout }) {
			c.dropsSucceeded(object{n: item}, stepScope, s.Condition, "the step")
		}
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
	c.macros(items, j, hook)
	if (len(list) > 0 || checkout || download) && !pool.Server {
		list = slices.Insert(list, 0, c.implied(j, hook, checkout, download)...)
	}
	preJobFirst(list)
	for i := range list {
		list[i].ID = i + 1
	}
	return list
}

// preJobFirst puts steps that are to run before the job (RunAsPreJob of AzureKeyVault, and InstallSSHKey) before the others.
func preJobFirst(list []plan.Step) {
	preJob := func(s plan.Step) bool {
		t := s.Task
		return t != nil && (t.Name == "AzureKeyVault" && strings.EqualFold(t.Inputs["RunAsPreJob"], "true") || t.Name == "InstallSSHKey")
	}
	if !slices.ContainsFunc(list, preJob) {
		return
	}
	slices.SortStableFunc(list, func(a, b plan.Step) int {
		switch {
		case preJob(a) == preJob(b):
			return 0
		case preJob(a):
			return -1
		}
		return 1
	})
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

// step reads a step. read is its map with the slips in its keys read as what they mean.
func (c *compiler) step(n *yaml.Node, j *plan.Job) (s plan.Step, read *yaml.Node, ok bool) {
	n = c.inputsBeside(n)
	var kind *schema.Object
	for _, p := range n.Pairs {
		if instead, ok := schema.RefusedStep(p.Key.Text); ok {
			c.problems.Unsupported(p.Key.At, "%s steps are not taken: %s", p.Key.Text, instead)
			return s, n, false
		}
		own := schema.StepObject(p.Key.Text)
		if own == nil {
			continue
		}
		if kind != nil {
			c.problems.Add(p.Key.At, "a step is one thing, this is both %s and %s", kind.Mark, p.Key.Text)
			return s, n, false
		}
		kind = own
	}
	if kind == nil {
		c.unknownStep(n)
		return s, n, false
	}
	o, ok := c.object(n, kind)
	if !ok {
		return s, n, false
	}
	s = c.stepOf(o)
	s.Target = c.target(o, j)
	ok = c.stepPart(kind.Mark, o, &s, j)
	return s, o.n, ok
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
	if s.Task != nil && s.Task.Package == nil && (s.Task.Name == "PowerShell" || s.Task.Name == "AzurePowerShell") {
		c.warnPowerShell(o.at("task"), s.Task, j)
	}
	return ok
}

// unknownStep says which key a step without a kind most likely means, and what is wrong with the others then.
func (c *compiler) unknownStep(n *yaml.Node) {
	marks := schema.StepMarks()
	at, hint := n.At, ""
	for _, p := range n.Pairs {
		if meant, ok := foreignSteps[p.Key.Text]; ok {
			at, hint = p.Key.At, ": "+meant
			break
		}
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

// foreignSteps are keys that make a step elsewhere, with what to write here. The map is never changed.
var foreignSteps = map[string]string{
	"run": "write script in place of run", "include": "write template in place of include", "uses": "actions of GitHub do not run here: write a task, or a script that does the same",
	"command": "write script in place of command", "cmd": "write script in place of cmd", "sh": "write bash in place of sh", "shell": "write bash or script in place of shell",
	"inputs": "inputs belong to a task: write task: NAME@MAJOR beside them",
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

var stepIdentifier = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`) })

// stepName checks the name of a step, which may hold dashes.
func (c *compiler) stepName(n *yaml.Node) string {
	if n == nil || n.IsNull() || n.Kind == yaml.Scalar && n.Text == "" {
		return ""
	}
	if n.Kind != yaml.Scalar || !stepIdentifier().MatchString(n.Text) {
		c.problems.Add(n.At, "%s is no name for a step: names are letters, digits, dashes and underscores, at most 100", describe(n))
		return ""
	}
	return n.Text
}

func (c *compiler) title(s *plan.Step, title string) {
	if s.DisplayName == "" {
		s.DisplayName = title
	}
}
