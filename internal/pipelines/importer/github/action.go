package github

import (
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// action is how a public action is carried over.
type action struct {
	// write gives the steps; none if the action is not needed, of which why tells.
	write func(s *step) []*draft.Map
	why   string
	// outputs says that the step is one whose outputs can be read.
	outputs bool
}

// actionOf finds an action by OWNER/NAME[/PATH]@VERSION.
func actionOf(uses string) *action {
	name, _, _ := strings.Cut(uses, "@")
	if a, ok := actions[strings.ToLower(name)]; ok {
		return &a
	}
	return nil
}

// uses writes a step that uses a public action.
func (s *step) uses(n *yaml.Node) []*yaml.Node {
	a := actionOf(n.Text)
	if name, _, _ := strings.Cut(strings.ToLower(n.Text), "@"); a == nil && atGitHub[name] != "" {
		s.leave("uses: "+n.Text+" is left out", atGitHub[name])
		return nil
	}
	if a == nil {
		s.leave("uses: "+n.Text+" is left out: actions of other repositories do not run here", "write what it does as a script step or a task")
		return nil
	}
	if a.write == nil {
		s.leave("uses: "+n.Text+" is left out: "+a.why, "")
		s.j.w.carried++ // nothing is missing without it
		return nil
	}
	made := a.write(s)
	var out []*yaml.Node
	for i, m := range made {
		last := &draft.Map{}
		for _, p := range m.Node().Pairs {
			last.Put(p.Key.Text, p.Value)
		}
		if i == len(made)-1 {
			s.finish(last)
		} else if c := s.condition(); c != "" && last.Node().Get("checkout") == nil {
			last.Text("condition", c)
		}
		if i == 0 {
			last.Comment(s.notes...)
		}
		out = append(out, last.Node())
	}
	return out
}

// finish adds the common keys that the step does not have yet.
func (s *step) finish(m *draft.Map) {
	var common draft.Map
	title := ""
	s.common(&common, title)
	for _, p := range common.Node().Pairs {
		if m.Node().Get(p.Key.Text) == nil {
			m.Put(p.Key.Text, p.Value)
		}
	}
}

// with is an input of the action as text.
func (s *step) with(name string) string {
	n := s.n.Get("with").Get(name)
	if n == nil {
		return ""
	}
	t := *s.t
	t.scope = t.scope.place(n.At)
	return strings.TrimSpace(t.text(n.Text, &s.notes))
}

// lines are the lines of an input that are not empty.
func (s *step) lines(name string) []string { return lines(s.with(name)) }

func lines(text string) []string {
	var list []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// unused notes inputs that have no counterpart.
func (s *step) unused(names ...string) {
	for _, name := range names {
		if n := s.n.Get("with").Get(name); n != nil && n.Text != "" {
			s.note(n, "input "+name+" is left out: it has no counterpart", "")
		}
	}
}

// task is a step of a task with its inputs, pairs of names and values; empty ones are left out.
func task(reference string, inputs ...string) *draft.Map {
	m := (&draft.Map{}).Text("task", reference)
	var list draft.Map
	for i := 0; i+1 < len(inputs); i += 2 {
		list.Text(inputs[i], inputs[i+1])
	}
	if !list.Empty() {
		m.Put("inputs", list.Node())
	}
	return m
}

func one(m *draft.Map) []*draft.Map { return []*draft.Map{m} }

const kept = "what tools download is kept on the cache volume of the project"

// actions are those that are carried over, in lower case. The map is never changed.
var actions map[string]action

func init() { //nolint:gochecknoinits // the functions find actions themselves
	actions = map[string]action{
		"actions/checkout":                         {write: checkout},
		"actions/setup-go":                         {write: setupGo},
		"actions/setup-node":                       {write: setupNode},
		"actions/setup-python":                     {write: setupPython},
		"actions/setup-java":                       {write: setupJava},
		"actions/setup-dotnet":                     {write: setupDotnet},
		"actions/cache":                            {write: cache, outputs: true},
		"actions/cache/restore":                    {write: cache, outputs: true},
		"actions/cache/save":                       {why: "the step that restores the cache saves it too"},
		"actions/upload-artifact":                  {write: upload},
		"actions/download-artifact":                {write: download},
		"docker/login-action":                      {write: dockerLogin},
		"docker/build-push-action":                 {write: dockerBuild, outputs: true},
		"docker/bake-action":                       {write: dockerBake},
		"docker/setup-buildx-action":               {why: "docker of a job builds with BuildKit already"},
		"docker/setup-qemu-action":                 {why: "images are built for the node's own platform"},
		"dtolnay/rust-toolchain":                   {write: rust},
		"actions-rs/toolchain":                     {write: rust},
		"actions-rust-lang/setup-rust-toolchain":   {write: rust},
		"swatinem/rust-cache":                      {why: kept},
		"pnpm/action-setup":                        {write: pnpm},
		"astral-sh/setup-uv":                       {write: uv},
		"golangci/golangci-lint-action":            {write: golangci},
		"goreleaser/goreleaser-action":             {write: goreleaser},
		"go-task/setup-task":                       {write: goTool("Task", "github.com/go-task/task/v3/cmd/task", "version")},
		"arduino/setup-task":                       {write: goTool("Task", "github.com/go-task/task/v3/cmd/task", "version")},
		"anchore/sbom-action/download-syft":        {write: goTool("syft", "github.com/anchore/syft/cmd/syft", "syft-version")},
		"golang/govulncheck-action":                {write: govulncheck},
		"pre-commit/action":                        {write: preCommit},
		"oven-sh/setup-bun":                        {write: bun},
		"taiki-e/install-action":                   {write: cargoTools},
		"baptiste0928/cargo-install":               {write: cargoInstall},
		"pypa/gh-action-pypi-publish":              {write: pypi},
		"coverallsapp/github-action":               {write: coverage},
		"azure/cli":                                {write: azureCLI},
		"azure/login":                              {why: "az of a job works on this server, with the job's own identity"},
		"azure/use-kubelogin":                      {why: "kubectl has the job's own access"},
		"bufbuild/buf-setup-action":                {write: goTool("buf", "github.com/bufbuild/buf/cmd/buf", "version")},
		"codespell-project/actions-codespell":      {write: codespell},
		"davidanson/markdownlint-cli2-action":      {write: markdownlint},
		"docker/metadata-action":                   {write: dockerMeta, outputs: true},
		"actions/upload-pages-artifact":            {write: pages},
		"github/codeql-action/upload-sarif":        {write: sarif},
		"nick-fields/retry":                        {write: retry},
		"nick-invision/retry":                      {write: retry},
		"pypa/cibuildwheel":                        {write: cibuildwheel},
		"sigstore/cosign-installer":                {write: goTool("cosign", "github.com/sigstore/cosign/v2/cmd/cosign", "cosign-release")},
		"softprops/action-gh-release":              {write: release},
		"stefanzweifel/git-auto-commit-action":     {write: autoCommit},
		"test-summary/action":                      {write: testReport},
		"azure/setup-helm":                         {write: setupHelm},
		"azure/setup-kubectl":                      {write: setupKubectl},
		"hashicorp/setup-terraform":                {write: setupTerraform},
		"codecov/codecov-action":                   {write: coverage},
		"dorny/test-reporter":                      {write: testReport},
		"mikepenz/action-junit-report":             {write: testReport},
		"enricomi/publish-unit-test-result-action": {write: testReport},
		"gradle/actions/setup-gradle":              {why: kept},
		"gradle/gradle-build-action":               {why: kept},
		"gradle/actions/wrapper-validation":        {why: "the wrapper is what the repository has"},
		"gradle/wrapper-validation-action":         {why: "the wrapper is what the repository has"},
		"step-security/harden-runner":              {why: "a job's pod has rules of its own for its network"},
		"jlumbroso/free-disk-space":                {why: "a job's pod has the disk of its node"},
		"styfle/cancel-workflow-action":            {why: "runs do not cancel one another"},
	}
}
