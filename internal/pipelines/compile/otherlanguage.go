package compile

import "slipway/internal/pipelines/yaml"

// otherLanguages tell files of other programs by their keys.
var otherLanguages = []struct {
	is      func(f keys) bool
	message string
}{
	{func(f keys) bool { return f.has("on") && f.isMap("jobs") }, "this is a workflow of GitHub Actions: slipway import github FILE makes a pipeline of it"},
	{keys.gitlab, "this is a file of GitLab CI: slipway import gitlab FILE makes a pipeline of it"},
	{func(f keys) bool {
		return f.firstHas("jobs", "plan") && (!f.has("resources") || f.firstHas("resources", "source"))
	},
		"this is a pipeline of Concourse, which is not read here: its tasks become steps of jobs"},
	{func(f keys) bool { return f.has("platform") && f.has("image_resource") && f.has("run") }, "this is a task of Concourse, which is not read here: what it runs becomes a script step"},
	{func(f keys) bool { return f.has("apiVersion") && f.has("kind") }, "this is a manifest of Kubernetes: name it in a step with KubernetesManifest@1"},
	{func(f keys) bool { return f.has("kind") && f.has("steps") && f.n.Get("kind").Text == "pipeline" }, "this is a pipeline of Drone, which is not read here: its commands become script steps"},
	{func(f keys) bool { return f.firstHas("steps", "name") && f.firstHas("steps", "args") }, "this is a file of Google Cloud Build, which is not read here: its commands become script steps"},
	{func(f keys) bool { return f.has("workflows") && f.isMap("jobs") }, "this is a configuration of CircleCI, which is not read here: the run steps of its jobs become script steps"},
	{func(f keys) bool { return f.isMap("pipelines") && !f.work() }, "this is a file of Bitbucket Pipelines, which is not read here: its scripts become script steps"},
	{func(f keys) bool { return f.has("language") && f.has("script") && !f.work() }, "this is a configuration of Travis CI, which is not read here: its commands become script steps"},
	{func(f keys) bool {
		return f.isMap("services") && !f.work() && f.n.Get("services").Pairs[0].Value.Kind == yaml.Map
	}, "this is a file of Docker Compose: name it in a step with DockerCompose@0"},
	{func(f keys) bool {
		return f.has("extends") && !f.work() && (f.has("rules") || f.has("parserOptions") || f.has("plugins"))
	}, "this is the configuration of a linter and no pipeline"},
}

// otherLanguage says what to do with a file that is none of Azure Pipelines but another program's; "" for others.
func otherLanguage(n *yaml.Node) string {
	if n.Kind != yaml.Map {
		return ""
	}
	for _, other := range otherLanguages {
		if other.is(keys{n}) {
			return other.message
		}
	}
	return ""
}

// keys is the root of a file.
type keys struct{ n *yaml.Node }

func (f keys) has(key string) bool { return f.n.Get(key) != nil }

// work reports what makes a pipeline, but for extends.
func (f keys) work() bool { return f.has("stages") || f.has("jobs") || f.has("steps") }

// isMap reports a map that is not empty.
func (f keys) isMap(key string) bool {
	n := f.n.Get(key)
	return n != nil && n.Kind == yaml.Map && len(n.Pairs) > 0
}

// firstHas reports a list whose first element is a map with the key inside.
func (f keys) firstHas(key, inside string) bool {
	n := f.n.Get(key)
	return n != nil && n.Kind == yaml.List && len(n.Items) > 0 && n.Items[0].Kind == yaml.Map && n.Items[0].Get(inside) != nil
}

func (f keys) gitlab() bool {
	stages := f.n.Get("stages")
	if stages == nil || stages.Kind != yaml.List || len(stages.Items) == 0 || stages.Items[0].Kind != yaml.Scalar {
		return false
	}
	for _, p := range f.n.Pairs {
		if p.Value.Kind == yaml.Map && p.Value.Get("script") != nil || p.Key.Text == "include" || p.Key.Text == "workflow" {
			return true
		}
	}
	return false
}
