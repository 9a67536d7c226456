package gitlab

import (
	"path"
	"regexp"
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// setting is a variable that tells the runner something, of the job or the file.
func (j *job) setting(name string) string {
	if v, ok := j.variables[name]; ok {
		return v
	}
	return j.f.globals[name]
}

// steps are those of the job: sources, what others made, the script, what it makes.
func (j *job) steps() []*yaml.Node {
	var list []*yaml.Node
	add := func(m ...*draft.Map) {
		for _, one := range m {
			list = append(list, one.Node())
		}
	}
	add(j.checkout())
	if j.environment() != "" {
		add((&draft.Map{}).Text("download", "none"))
	}
	script, after := lines(j.n.Get("before_script"), j.n.Get("script")), lines(j.n.Get("after_script"))
	j.f.useAll(script + after)
	if j.reads("CI_COMMIT_SHORT_SHA", script+after) {
		add((&draft.Map{}).Text("script", `echo "##vso[task.setvariable variable=CI_COMMIT_SHORT_SHA]$(echo $(Build.SourceVersion) | cut -c1-8)"`).Text("displayName", "Short commit"))
	}
	if j.reads("CI_REGISTRY", script+after) && j.f.globals["CI_REGISTRY"] == "" {
		add((&draft.Map{}).Text("script", registryScript).Text("displayName", "Registry"))
	}
	add(j.downloads()...)
	add(j.caches()...)
	m := (&draft.Map{}).Text("script", options+script).Text("displayName", "Script")
	if r := j.retries(); r != "" && r != "0" {
		m.Word("retryCountOnTaskFailure", r)
	}
	add(j.withEnv(m, script))
	j.f.carried += len(texts(j.n.Get("script")))
	if after != "" {
		add(j.withEnv((&draft.Map{}).Text("script", "trap 'exit 0' EXIT # what fails here changes nothing\n"+options+after).Text("displayName", "After the script").Text("condition", "always()"), after))
	}
	add(j.results()...)
	return list
}

// options make a script stop at the first command that fails, as GitLab's runner does; not every shell knows pipefail.
const options = "set -e; (set -o pipefail) 2>/dev/null && set -o pipefail\n"

// lines are those of scripts, one after the other in one shell.
func lines(scripts ...*yaml.Node) string {
	var b strings.Builder
	for _, s := range scripts {
		for _, item := range texts(s) {
			b.WriteString(strings.TrimRight(item.Text, "\n") + "\n")
		}
	}
	return b.String()
}

// reads reports that the job names a variable.
func (j *job) reads(name, script string) bool {
	if strings.Contains(script, name) || strings.Contains(j.image, name) {
		return true
	}
	for _, set := range []map[string]string{j.variables, j.f.globals} {
		for _, v := range set {
			if strings.Contains(v, name) {
				return true
			}
		}
	}
	return false
}

// withEnv gives a script the variables that it does not see by themselves: tokens, and names with small letters.
func (j *job) withEnv(m *draft.Map, script string) *draft.Map {
	var env draft.Map
	if strings.Contains(script, "CI_JOB_TOKEN") {
		env.Text("CI_JOB_TOKEN", "$(System.AccessToken)")
	}
	if strings.Contains(script, "CI_REGISTRY_PASSWORD") && j.f.globals["CI_REGISTRY_PASSWORD"] == "" {
		env.Text("CI_REGISTRY_PASSWORD", "$(System.AccessToken)")
	}
	seen := map[string]bool{}
	for _, set := range []map[string]string{j.f.globals, j.variables} {
		for _, name := range sortedKeys(set) {
			if name != strings.ToUpper(name) && strings.Contains(script, name) && !seen[name] {
				seen[name] = true
				env.Text(name, "$("+name+")")
			}
		}
	}
	for _, leg := range j.legs[:min(len(j.legs), 1)] {
		for _, c := range leg {
			if c.Name != strings.ToUpper(c.Name) && !seen[c.Name] {
				env.Text(c.Name, "$("+c.Name+")")
			}
		}
	}
	if env.Empty() {
		return m
	}
	return m.Put("env", env.Node())
}

func (j *job) checkout() *draft.Map {
	strategy := j.setting("GIT_STRATEGY")
	if strategy == "none" || strategy == "empty" {
		return (&draft.Map{}).Text("checkout", "none")
	}
	depth := j.setting("GIT_DEPTH")
	if depth == "" || strings.Contains(depth, "$") {
		depth = "20" // GitLab's own
	}
	m := (&draft.Map{}).Text("checkout", "self").Put("fetchDepth", draft.Scalar(depth))
	switch j.setting("GIT_SUBMODULE_STRATEGY") {
	case "normal":
		m.Word("submodules", "true")
	case "recursive":
		m.Text("submodules", "recursive")
	}
	return m
}

func (j *job) retries() string {
	r := j.n.Get("retry")
	if r == nil {
		return ""
	}
	if r.Kind == yaml.Map {
		if w := r.Get("when"); w != nil {
			j.notes = append(j.notes, j.f.note(w.At, "when of retry is left out: every failure is tried again", ""))
		}
		if m := r.Get("max"); m != nil {
			return m.Text
		}
		return ""
	}
	return r.Text
}

// artifact is the name of the job's artifact; legs have one each.
func (j *job) artifact() string {
	if j.parallel() {
		return j.id + "-$(System.JobPositionInPhase)"
	}
	return j.id
}

// publishes reports a job that leaves files to others.
func (j *job) publishes() bool {
	return j.artifacts != nil && (len(texts(j.artifacts.Get("paths"))) > 0 || j.dotenv() != "" || j.artifacts.Get("untracked") != nil)
}

func (j *job) dotenv() string {
	if list := texts(j.artifacts.Get("reports").Get("dotenv")); len(list) > 0 {
		return list[0].Text
	}
	return ""
}

// downloads fetch what jobs before this one have left.
func (j *job) downloads() []*draft.Map {
	var made []*draft.Map
	for _, other := range j.sources() {
		maybe := other.condition != "true" || other.when != "on_success" || other.allowFails
		finish := func(m *draft.Map) *draft.Map {
			if maybe {
				m.Word("continueOnError", "true") // it may not have run
			}
			return m
		}
		if !other.parallel() {
			made = append(made, finish((&draft.Map{}).Text("download", "current").Text("artifact", other.artifact()).Text("path", "$(Build.SourcesDirectory)")))
		} else {
			folder := "$(Agent.TempDirectory)/" + other.id
			made = append(made, finish((&draft.Map{}).Text("download", "current").Text("patterns", other.id+"-*/**").Text("path", folder)),
				finish((&draft.Map{}).Text("script", "for folder in \""+folder+"\"/*/; do cp -R \"$folder\". .; done").Text("displayName", "Files of all legs of "+other.name)))
		}
		if file := other.dotenv(); file != "" {
			script := "while IFS='=' read -r name value; do\n  [ -z \"$name\" ] || echo \"##vso[task.setvariable variable=$name]$value\"\ndone <" + file
			made = append(made, finish((&draft.Map{}).Text("script", script).Text("displayName", "Variables of "+other.name)))
		}
	}
	return made
}

// sources are the jobs whose files this one gets.
func (j *job) sources() []*job {
	if list := j.n.Get("dependencies"); list != nil {
		var jobs []*job
		for _, item := range texts(list) {
			if other := j.f.byName[item.Text]; other != nil && other.publishes() {
				jobs = append(jobs, other)
			}
		}
		return jobs
	}
	var jobs []*job
	if j.hasNeeds {
		for _, n := range j.needs {
			if other := j.f.byName[n.job]; other != nil && n.artifacts && other.publishes() {
				jobs = append(jobs, other)
			}
		}
		return jobs
	}
	for _, other := range j.f.jobs {
		if other.stage == j.stage {
			break
		}
		if other.publishes() {
			jobs = append(jobs, other)
		}
	}
	return jobs
}

// caches are the task Cache@2 for each folder.
func (j *job) caches() []*draft.Map {
	n := j.n.Get("cache")
	if n == nil {
		return nil
	}
	list := n.Items
	if n.Kind == yaml.Map {
		list = []*yaml.Node{n}
	}
	var made []*draft.Map
	for _, c := range list {
		key := j.cacheKey(c.Get("key"))
		if p := c.Get("policy"); p != nil && p.Text == "push" {
			j.f.note(p.At, "policy push of a cache is left out: a cache is restored first, too", "")
		}
		for _, p := range texts(c.Get("paths")) {
			folder := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(p.Text, "*"), "*"), "/")
			if folder == "" || strings.Contains(folder, "*") {
				j.notes = append(j.notes, j.f.note(p.At, "the path "+p.Text+" of a cache is left out: a cache is of a folder", "name the folder"))
				continue
			}
			folder = inSources(j.f.text(j.absolute(folder), ""))
			made = append(made, (&draft.Map{}).Text("task", "Cache@2").Put("inputs", (&draft.Map{}).Text("key", `"`+draft.Identifier(p.Text)+`" | `+key).Text("path", folder).Node()))
		}
	}
	return made
}

// leadingVariable is a path that begins with a variable.
var leadingVariable = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?(.*)$`)

// absolute is a path in which a variable at the beginning, whose value begins in the project's folder, is written out.
func (j *job) absolute(path string) string {
	m := leadingVariable.FindStringSubmatch(path)
	if m == nil {
		return path
	}
	value := j.setting(m[1])
	if inner := leadingVariable.FindStringSubmatch(value); strings.HasPrefix(value, "/") || inner != nil && inner[1] == "CI_PROJECT_DIR" {
		return value + m[2]
	}
	return path
}

// cacheKey makes a key: files count by their contents, text as it is. GitLab's own is "default".
func (j *job) cacheKey(n *yaml.Node) string {
	if n == nil || n.Kind == yaml.Scalar {
		text := "default"
		if n != nil && n.Text != "" {
			text = j.f.text(n.Text, "")
		}
		return `"` + strings.ReplaceAll(text, `"`, "") + `"`
	}
	var parts []string
	if p := n.Get("prefix"); p != nil {
		parts = append(parts, `"`+j.f.text(p.Text, "")+`"`)
	}
	for _, f := range texts(n.Get("files")) {
		name := j.f.text(f.Text, "")
		if !strings.ContainsAny(name, "./") {
			name = "./" + name
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 {
		return `"default"`
	}
	return strings.Join(parts, " | ")
}

func inSources(p string) string {
	if strings.HasPrefix(p, "/") || strings.HasPrefix(p, "$(CI_PROJECT_DIR)") {
		return strings.Replace(p, "$(CI_PROJECT_DIR)", "$(Build.SourcesDirectory)", 1)
	}
	return "$(Build.SourcesDirectory)/" + strings.TrimPrefix(p, "./")
}

// results publish artifacts and reports.
func (j *job) results() []*draft.Map {
	if j.artifacts == nil {
		return nil
	}
	condition := map[string]string{"always": "always()", "on_failure": "failed()"}[textOf(j.artifacts.Get("when"))]
	var made []*draft.Map
	if j.publishes() {
		made = append(made, j.publish(condition)...)
	}
	reports := j.artifacts.Get("reports")
	if reports == nil || reports.Kind != yaml.Map {
		return made
	}
	for _, p := range reports.Pairs {
		switch p.Key.Text {
		case "dotenv":
		case "junit":
			var files []string
			for _, item := range texts(p.Value) {
				files = append(files, j.f.text(item.Text, ""))
			}
			made = append(made, task("PublishTestResults@2", "testResultsFormat", "JUnit", "testResultsFiles", strings.Join(files, "\n")).Text("condition", "always()"))
		case "coverage_report":
			if file := p.Value.Get("path"); file != nil {
				made = append(made, task("PublishCodeCoverageResults@2", "summaryFileLocation", j.f.text(file.Text, "")).Text("condition", "always()"))
			}
		case "cobertura":
			for _, item := range texts(p.Value) {
				made = append(made, task("PublishCodeCoverageResults@2", "summaryFileLocation", j.f.text(item.Text, "")).Text("condition", "always()"))
			}
		default:
			j.notes = append(j.notes, j.f.note(p.Key.At, "report "+p.Key.Text+" is left out: runs show results of tests and coverage", "add its file to the paths of the artifact"))
		}
	}
	return made
}

func textOf(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Text
}

func task(reference string, inputs ...string) *draft.Map {
	var list draft.Map
	for i := 0; i+1 < len(inputs); i += 2 {
		list.Text(inputs[i], inputs[i+1])
	}
	return (&draft.Map{}).Text("task", reference).Put("inputs", list.Node())
}

// publish collects files with their folders, as GitLab keeps them, and publishes them.
func (j *job) publish(condition string) []*draft.Map {
	var patterns []string
	for _, item := range texts(j.artifacts.Get("paths")) {
		patterns = append(patterns, pattern("", j.f.text(item.Text, ""))...)
	}
	if file := j.dotenv(); file != "" {
		patterns = append(patterns, file)
	}
	if u := j.artifacts.Get("untracked"); u != nil && u.Text == "true" {
		j.notes = append(j.notes, j.f.note(u.At, "untracked of artifacts is left out", "name the files under paths"))
		if len(patterns) == 0 {
			return nil
		}
	}
	for _, item := range texts(j.artifacts.Get("exclude")) {
		patterns = append(patterns, pattern("!", j.f.text(item.Text, ""))...)
	}
	for key, why := range map[string]string{"expire_in": "expire_in of artifacts is left out: they are kept as long as the run", "name": "the name of artifacts is left out: it is the job's", "expose_as": "expose_as is left out: the run's page lists all artifacts"} {
		if n := j.artifacts.Get(key); n != nil {
			j.f.note(n.At, why, "")
		}
	}
	folder := "$(Build.ArtifactStagingDirectory)/" + j.id
	copies := task("CopyFiles@2", "SourceFolder", "$(Build.SourcesDirectory)", "Contents", strings.Join(patterns, "\n"), "TargetFolder", folder).Text("displayName", "Collect artifacts").Text("condition", condition)
	return []*draft.Map{copies, (&draft.Map{}).Text("publish", folder).Text("artifact", j.artifact()).Text("condition", condition)}
}

// pattern is a path of GitLab, which means a folder with all that is in it too.
func pattern(not, p string) []string {
	p = strings.TrimPrefix(strings.TrimPrefix(p, "$(CI_PROJECT_DIR)/"), "./")
	switch {
	case strings.HasSuffix(p, "/"):
		return []string{not + p + "**"}
	case strings.HasSuffix(p, "**") || strings.Contains(path.Base(p), "."):
		if ext := path.Ext(p); ext != "" && !strings.HasPrefix(path.Base(p), ".") {
			return []string{not + p}
		}
	}
	return []string{not + p, not + p + "/**"}
}
