package gitlab

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// job is a job of the file.
type job struct {
	f     *file
	n     *yaml.Node
	name  string // in GitLab
	id    string // here
	stage string
	decision
	needs      []need
	hasNeeds   bool
	legs       []draft.Leg
	slices     string // parallel: N
	variables  map[string]string
	own        []yaml.Pair // its variables
	artifacts  *yaml.Node
	image      string
	notes      []draft.Note
	allowFails bool
}

// need is an entry of needs.
type need struct {
	job       string
	artifacts bool
	optional  bool
}

// defaults are keys that a job takes from `default` and from the top of the file.
var defaults = []string{"image", "services", "before_script", "after_script", "cache", "tags", "artifacts", "retry", "timeout", "interruptible", "hooks", "id_tokens"}

func (f *file) newJob(name string, n *yaml.Node) *job {
	j := &job{f: f, n: n, name: name, id: f.names.Take(name), stage: "test", variables: map[string]string{}}
	j.inherit()
	if s := j.n.Get("stage"); s != nil {
		j.stage = s.Text
	}
	if !slices.Contains(f.stages, j.stage) {
		f.stages = slices.Insert(f.stages, len(f.stages)-1, j.stage)
	}
	if v := j.n.Get("variables"); v != nil {
		for _, p := range v.Pairs {
			if text, ok := variableText(p.Value); ok {
				j.variables[p.Key.Text] = text
				j.own = append(j.own, yaml.Pair{Key: p.Key, Value: yaml.Text(text, p.Value.At)})
			}
		}
	}
	j.decision = f.decide(j.n, &j.notes)
	j.artifacts = j.n.Get("artifacts")
	j.readNeeds()
	j.readParallel()
	allow := j.n.Get("allow_failure")
	j.allowFails = j.when == "manual" && j.n.Get("rules") == nil
	switch {
	case j.fails != "":
		j.allowFails = j.fails == "true"
	case allow != nil && allow.Kind == yaml.Map:
		j.allowFails = true
		j.notes = append(j.notes, f.note(allow.At, "exit_codes of allow_failure are left out: every failure is allowed", ""))
	case allow != nil:
		j.allowFails = allow.Text == "true"
	}
	f.steps += len(texts(j.n.Get("script")))
	return j
}

// inherit takes defaults, unless the job says that it wants none.
func (j *job) inherit() {
	wants := j.n.Get("inherit").Get("default")
	c := *j.n
	for _, key := range defaults {
		if j.n.Get(key) != nil || wants != nil && wants.Kind == yaml.Scalar && wants.Text == "false" {
			continue
		}
		if wants != nil && wants.Kind == yaml.List && !slices.ContainsFunc(wants.Items, func(n *yaml.Node) bool { return n.Text == key }) {
			continue
		}
		v := j.f.root.Get("default").Get(key)
		if v == nil {
			v = j.f.root.Get(key)
		}
		if v != nil {
			c.Pairs = append(slices.Clone(c.Pairs), yaml.Pair{Key: yaml.Text(key, v.At), Value: v})
		}
	}
	j.n = &c
}

func (j *job) readNeeds() {
	needs := j.n.Get("needs")
	if needs == nil {
		return
	}
	j.hasNeeds = true
	for _, item := range flat(needs) {
		n := need{job: item.Text, artifacts: true}
		if item.Kind == yaml.Map {
			if item.Get("project") != nil || item.Get("pipeline") != nil {
				j.notes = append(j.notes, j.f.note(item.At, "needs of another project or pipeline is left out", "declare it under resources.pipelines, and download its artifacts"))
				continue
			}
			if v := item.Get("job"); v != nil {
				n.job = v.Text
			}
			if v := item.Get("artifacts"); v != nil {
				n.artifacts = v.Text == "true"
			}
			if v := item.Get("optional"); v != nil {
				n.optional = v.Text == "true"
			}
		}
		j.needs = append(j.needs, n)
	}
}

func (j *job) readParallel() {
	p := j.n.Get("parallel")
	switch {
	case p == nil:
	case p.Kind == yaml.Scalar:
		j.slices = p.Text
	case p.Get("matrix") != nil:
		for _, entry := range p.Get("matrix").Items {
			var legs []draft.Leg
			for _, pair := range entry.Pairs {
				var values []draft.Leg
				for _, v := range texts(pair.Value) {
					values = append(values, draft.Leg{{Name: pair.Key.Text, Value: j.f.text(v.Text, pair.Key.Text)}})
				}
				legs = draft.Product(legs, values)
			}
			j.legs = append(j.legs, legs...)
		}
		if len(j.legs) > draft.MaxLegs {
			j.notes = append(j.notes, j.f.note(p.At, "only the first 256 legs of the matrix are carried over", "make it smaller"))
			j.legs = j.legs[:draft.MaxLegs]
		}
	}
}

// parallel reports a job of several legs, whose artifacts have the leg's number in their names.
func (j *job) parallel() bool { return len(j.legs) > 0 || j.slices != "" }

// write is the job.
func (j *job) write() *yaml.Node {
	out := &draft.Map{}
	environment := j.environment()
	if environment != "" {
		out.Text("deployment", j.id)
	} else {
		out.Text("job", j.id)
	}
	if j.name != j.id {
		out.Text("displayName", j.name)
	}
	if j.condition != "true" {
		if j.condition == "false" {
			out.Text("condition", "false")
		} else {
			out.Text("condition", and("succeeded()", j.condition))
		}
	}
	if environment != "" {
		out.Text("environment", environment)
	}
	if j.allowFails {
		out.Word("continueOnError", "true")
	}
	if t := j.n.Get("timeout"); t != nil {
		out.Word("timeoutInMinutes", minutes(t.Text))
	}
	if environment == "" {
		j.strategy(out)
	}
	j.machine(out)
	j.ignored()
	steps := j.steps()
	var variables []*yaml.Node
	for _, p := range j.own {
		variables = append(variables, (&draft.Map{}).Text("name", p.Key.Text).Put("value", draft.Scalar(j.f.text(p.Value.Text, p.Key.Text))).Node())
	}
	out.Put("variables", draft.List(variables...))
	if environment != "" {
		hook := (&draft.Map{}).Put("deploy", (&draft.Map{}).Put("steps", draft.List(steps...)).Node())
		out.Put("strategy", (&draft.Map{}).Put("runOnce", hook.Node()).Node())
	} else {
		out.Put("steps", draft.List(steps...))
	}
	return out.Comment(j.notes...).Node()
}

func (j *job) strategy(out *draft.Map) {
	switch {
	case len(j.legs) > 0:
		out.Put("strategy", (&draft.Map{}).Put("matrix", draft.Matrix(j.legs, "")).Node())
	case j.slices != "":
		out.Put("strategy", (&draft.Map{}).Word("parallel", j.slices).Node())
	}
}

// environment is where the job deploys, "" if it does not.
func (j *job) environment() string {
	n := j.n.Get("environment")
	if n == nil {
		return ""
	}
	name := n.Text
	if n.Kind == yaml.Map {
		name = ""
		if v := n.Get("name"); v != nil {
			name = v.Text
		}
		if a := n.Get("action"); a != nil && a.Text != "start" {
			j.notes = append(j.notes, j.f.note(a.At, "environment with action "+a.Text+" is left out: the job is none that deploys", ""))
			return ""
		}
		for _, key := range []string{"url", "on_stop", "auto_stop_in", "kubernetes", "deployment_tier"} {
			if v := n.Get(key); v != nil {
				j.f.note(v.At, key+" of an environment is left out", "")
			}
		}
	}
	if name != "" && j.parallel() {
		j.notes = append(j.notes, j.f.note(n.At, "environment of a job with several legs is left out", "write a deployment job for each"))
		return ""
	}
	return strings.ReplaceAll(j.f.text(name, ""), "/", "-")
}

var (
	durationPart = regexp.MustCompile(`(?i)([\d.]+)\s*(d|h|m|s|w)[a-z]*`)
	seconds      = map[string]float64{"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
)

// minutes reads a time such as 1h 30m or 3 hours, rounded up.
func minutes(text string) string {
	total := 0.0
	for _, m := range durationPart.FindAllStringSubmatch(text, -1) {
		if f, err := strconv.ParseFloat(m[1], 64); err == nil {
			total += f * seconds[strings.ToLower(m[2])]
		}
	}
	if f, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
		total = f
	}
	return strconv.Itoa(max(int((total+59)/60), 1))
}

// ignored notes keys that have no counterpart.
func (j *job) ignored() {
	for _, k := range []struct{ key, why, instead string }{
		{"tags", "tags of a job choose no runner: jobs run in pods", "write container for an image, or a pool"},
		{"release", "release is left out", "make the release in the script"},
		{"coverage", "coverage is left out: it is read from reports, not from the log", "write a report of Cobertura or JaCoCo, and publish it with PublishCodeCoverageResults@2"},
		{"resource_group", "resource_group is left out", "deploy to an environment with an exclusive lock"},
		{"secrets", "secrets are left out", "put them into a variable group"},
		{"id_tokens", "id_tokens are left out", ""},
		{"hooks", "hooks are left out", "put pre_get_sources_script into the script"},
		{"pages", "pages are left out", "publish the folder as an artifact"},
		{"start_in", "start_in is left out: the job runs at once", "put Delay@1 into a job with pool: server before it"},
	} {
		if n := j.n.Get(k.key); n != nil && !(n.Kind == yaml.List && len(n.Items) == 0) {
			if k.key == "tags" {
				j.f.note(n.At, k.why, k.instead)
				continue
			}
			j.notes = append(j.notes, j.f.note(n.At, k.why, k.instead))
		}
	}
}

// machine writes the image and the services.
func (j *job) machine(out *draft.Map) {
	image := j.n.Get("image")
	name := image
	if image != nil && image.Kind == yaml.Map {
		name = image.Get("name")
		if e := image.Get("entrypoint"); e != nil {
			j.f.note(e.At, "entrypoint of an image is left out: the job's agent is the program of its container", "")
		}
	}
	if name != nil && !name.IsNull() {
		j.image = j.f.text(name.Text, "")
		if base, _, _ := strings.Cut(j.image, ":"); base == "docker" || strings.HasSuffix(base, "/docker") {
			j.f.note(name.At, "image "+name.Text+" is left out: docker of a job's own image builds and pushes without a daemon", "")
			j.image = ""
		}
		if strings.Contains(j.image, "CI_REGISTRY") {
			j.notes = append(j.notes, j.f.note(name.At, "image "+name.Text+" is of a registry that is not known before the job runs", "write its host and name"))
		}
	}
	out.Text("container", j.image)
	var services draft.Map
	for _, s := range flatServices(j.n.Get("services")) {
		n := s
		if s.Kind == yaml.Map {
			n = s.Get("name")
		}
		if n == nil || n.Text == "" {
			continue
		}
		if strings.Contains(n.Text, "dind") {
			j.f.note(n.At, "service "+n.Text+" is left out: docker of a job builds and pushes without a daemon", "")
			continue
		}
		j.service(&services, s, n)
	}
	if !services.Empty() {
		out.Put("services", services.Node())
	}
}

func flatServices(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	return flat(n)
}

// service declares a container that runs beside the job, under its alias or the name of its image.
func (j *job) service(list *draft.Map, s, name *yaml.Node) {
	host, _, _ := strings.Cut(name.Text, "@")
	if i := strings.LastIndex(host, ":"); i > strings.LastIndex(host, "/") {
		host = host[:i]
	}
	host = strings.ReplaceAll(host, "/", "-")
	if a := s.Get("alias"); a != nil {
		host, _, _ = strings.Cut(a.Text, " ")
	}
	for _, key := range []string{"command", "entrypoint"} {
		if c := s.Get(key); c != nil {
			j.notes = append(j.notes, j.f.note(c.At, key+" of service "+name.Text+" is left out: a service runs as its image says", "use an image that does so by itself"))
		}
	}
	alias := j.f.aliases.Take(j.id + "_" + host)
	env := map[string]string{}
	for k, v := range j.f.globals {
		env[k] = v
	}
	for k, v := range j.variables {
		env[k] = v
	}
	if v := s.Get("variables"); v != nil {
		for _, p := range v.Pairs {
			env[p.Key.Text] = p.Value.Text
		}
	}
	var values draft.Map
	for _, k := range sortedKeys(env) {
		if !strings.HasPrefix(k, "GIT_") && !strings.HasPrefix(k, "FF_") && !strings.HasPrefix(k, "CI_") {
			values.Put(k, draft.Scalar(j.f.text(env[k], k)))
		}
	}
	resource := (&draft.Map{}).Text("container", alias).Text("image", j.f.text(name.Text, ""))
	if !values.Empty() {
		resource.Put("env", values.Node())
	}
	j.f.containers = append(j.f.containers, resource.Node())
	host = strings.ToLower(strings.NewReplacer("$", "", "{", "", "}", "", "_", "-", ".", "-").Replace(host))
	if list.Node().Get(host) == nil {
		list.Text(host, alias)
	}
}
