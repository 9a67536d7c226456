package github

import (
	"strings"

	"slipway/internal/pipelines/importer/draft"
)

// Actions that fetch one program and run it are a script that does the same.

// versionOf is the input version as the tool's own module has it: v2.1.0, or latest for none and for a range of versions.
func (s *step) versionOf(name string) string {
	version := s.with(name)
	if version == "" || strings.ContainsAny(version, "~^<>*x ") || version == "latest" || version == "nightly" {
		return "latest"
	}
	return "v" + strings.TrimPrefix(version, "v")
}

func bash(title, script string) *draft.Map {
	return (&draft.Map{}).Text("bash", script).Text("displayName", title)
}

func goreleaser(s *step) []*draft.Map {
	s.unused("distribution")
	version, module := s.versionOf("version"), "github.com/goreleaser/goreleaser/v2"
	if strings.HasPrefix(version, "v1.") {
		module = "github.com/goreleaser/goreleaser"
	}
	script := strings.TrimSpace("go run " + module + "@" + version + " " + s.with("args"))
	if s.with("install-only") == "true" {
		script = "set -e\ngo install " + module + "@" + version + "\necho \"##vso[task.prependpath]$(go env GOPATH)/bin\""
	}
	return one(bash("GoReleaser", script).Text("workingDirectory", s.with("workdir")))
}

func govulncheck(s *step) []*draft.Map {
	s.unused("cache", "cache-dependency-path", "repo-checkout", "output-format", "output-file", "check-latest")
	var made []*draft.Map
	switch {
	case s.n.Get("with").Get("go-version-file") != nil, s.n.Get("with").Get("go-version-input") == nil:
		made = setupGo(s)
	default:
		made = one(task("GoTool@0", "version", s.with("go-version-input")))
	}
	packages := s.with("go-package")
	if packages == "" {
		packages = "./..."
	}
	return append(made, bash("govulncheck", "go run golang.org/x/vuln/cmd/govulncheck@latest "+packages).Text("workingDirectory", s.with("work-dir")))
}

func preCommit(s *step) []*draft.Map {
	args := s.with("extra_args")
	if args == "" {
		args = "--all-files"
	}
	return one(bash("pre-commit", "set -e\npython3 -m pip install pre-commit\npython3 -m pre_commit run --show-diff-on-failure --color=always "+args))
}

func bun(s *step) []*draft.Map {
	s.unused("bun-version-file", "registry-url", "scope", "no-cache", "registries")
	version := s.with("bun-version")
	if version == "" {
		version = "latest"
	}
	return one((&draft.Map{}).Text("script", "npm install -g bun@"+version).Text("displayName", "bun "+version))
}

// cargoTools installs programs from crates, TOOL[@VERSION] with commas or lines between them.
func cargoTools(s *step) []*draft.Map {
	s.unused("checksum", "fallback")
	list := s.with("tool")
	if list == "" { // the action's own name for it: taiki-e/install-action@nextest
		_, list, _ = strings.Cut(s.get("uses"), "@")
	}
	script := "set -e"
	for _, one := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' }) {
		name, version, _ := strings.Cut(one, "@")
		if crate, ok := crates[name]; ok {
			name = crate
		}
		script += "\ncargo install --locked " + name
		if version != "" {
			script += " --version " + version
		}
	}
	return one(bash("Install "+strings.Join(strings.Fields(list), " "), script))
}

// crates are those whose names are not the tools'. The map is never changed.
var crates = map[string]string{"nextest": "cargo-nextest"}

func cargoInstall(s *step) []*draft.Map {
	s.unused("cache-key", "commit", "tag")
	script := "cargo install " + s.with("crate")
	for _, one := range []struct{ input, flag string }{{"version", " --version "}, {"git", " --git "}, {"branch", " --branch "}, {"features", " --features "}} {
		if v := s.with(one.input); v != "" && v != "latest" {
			script += one.flag + "'" + v + "'"
		}
	}
	if s.with("locked") != "false" {
		script += " --locked"
	}
	return one(bash("Install "+s.with("crate"), strings.TrimSpace(script+" "+s.with("args"))))
}

// pypi uploads packages with twine, as the action does.
func pypi(s *step) []*draft.Map {
	s.unused("attestations", "verify-metadata", "print-hash", "user")
	folder := s.with("packages-dir")
	if folder == "" {
		folder = "dist"
	}
	script := "set -e\npython3 -m pip install twine\npython3 -m twine upload"
	if s.with("skip-existing") == "true" {
		script += " --skip-existing"
	}
	for _, name := range []string{"repository-url", "repository_url"} {
		if url := s.with(name); url != "" {
			script += " --repository-url " + url
		}
	}
	password := s.with("password")
	if password == "" {
		password = "$(PYPI_TOKEN)"
		s.note(s.n, "the packages are uploaded without a token: PyPI trusts no identity of this server", "make a token at PyPI and give it as the secret variable PYPI_TOKEN")
	}
	env := (&draft.Map{}).Text("TWINE_USERNAME", "__token__").Text("TWINE_PASSWORD", password)
	m := bash("Upload to PyPI", script+" "+strings.TrimSuffix(folder, "/")+"/*")
	m.Put("env", env.Node())
	return one(m)
}

// goTool installs a program that is a module of Go, in the version that an input names.
func goTool(title, module, input string) func(s *step) []*draft.Map {
	return func(s *step) []*draft.Map {
		version := s.versionOf(input)
		return one(bash(title+" "+version, "set -e\ngo install "+module+"@"+version+"\necho \"##vso[task.prependpath]$(go env GOPATH)/bin\""))
	}
}
