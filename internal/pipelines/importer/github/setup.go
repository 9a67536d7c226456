package github

import (
	"strings"

	"slipway/internal/pipelines/importer/draft"
)

// fromFile writes a step that reads a version from a file into a variable, and the variable's macro.
func (s *step) fromFile(tool, file, command string) (*draft.Map, string) {
	name := tool + ".version"
	script := `echo "##vso[task.setvariable variable=` + name + `]$(` + command + ` ` + file + `)"`
	return (&draft.Map{}).Text("bash", script).Text("displayName", "Version of "+tool), "$(" + name + ")"
}

func setupGo(s *step) []*draft.Map {
	s.unused("architecture", "go-version-input")
	version := strings.TrimPrefix(s.with("go-version"), "^")
	if file := s.with("go-version-file"); file != "" && version == "" {
		read, macro := s.fromFile("go", file, `sed -nE 's/^(go )?([0-9][0-9.]*).*/\2/p'`)
		return []*draft.Map{read, task("GoTool@0", "version", macro)}
	}
	switch version {
	case "", "stable", "oldstable":
		version = "1.x"
	}
	return one(task("GoTool@0", "version", version))
}

func setupNode(s *step) []*draft.Map {
	s.unused("registry-url", "scope", "architecture", "always-auth")
	if file := s.with("node-version-file"); file != "" && s.with("node-version") == "" {
		return one(task("NodeTool@0", "versionSource", "fromFile", "versionFilePath", inSources(file)))
	}
	version := s.with("node-version")
	switch {
	case version == "":
		version = "lts"
	case strings.HasPrefix(version, "lts/"):
		version = "lts"
	case version == "node" || version == "current":
		version = "latest"
	}
	return one(task("UseNode@1", "version", version))
}

func setupPython(s *step) []*draft.Map {
	s.unused("architecture", "allow-prereleases")
	version := s.lines("python-version")
	if file := s.with("python-version-file"); file != "" && len(version) == 0 {
		read, macro := s.fromFile("python", file, `sed -nE 's/^(requires-python *= *")?[^0-9]*([0-9][0-9.]*).*/\2/p'`)
		return []*draft.Map{read, task("UsePythonVersion@0", "versionSpec", macro)}
	}
	if len(version) == 0 {
		version = []string{"3.x"}
	}
	var made []*draft.Map
	for _, v := range version {
		made = append(made, task("UsePythonVersion@0", "versionSpec", v))
	}
	return made
}

func setupJava(s *step) []*draft.Map {
	s.unused("java-package", "architecture", "server-id", "gpg-private-key", "settings-path")
	version := s.with("java-version")
	if file := s.with("java-version-file"); file != "" && version == "" {
		read, macro := s.fromFile("java", file, `sed -nE 's/^(java )?[^0-9]*([0-9]+).*/\2/p'`)
		return []*draft.Map{read, task("JavaToolInstaller@1", "versionSpec", macro, "jdkArchitectureOption", "x64", "jdkSourceOption", "PreInstalled")}
	}
	var made []*draft.Map
	for _, v := range lines(version) {
		made = append(made, task("JavaToolInstaller@1", "versionSpec", v, "jdkArchitectureOption", "x64", "jdkSourceOption", "PreInstalled"))
	}
	if len(made) == 0 {
		made = one(task("JavaToolInstaller@1", "versionSpec", "17", "jdkArchitectureOption", "x64", "jdkSourceOption", "PreInstalled"))
	}
	return made
}

func setupDotnet(s *step) []*draft.Map {
	s.unused("dotnet-quality", "source-url", "owner", "config-file")
	var made []*draft.Map
	for _, v := range s.lines("dotnet-version") {
		made = append(made, task("UseDotNet@2", "version", v))
	}
	if len(made) == 0 {
		made = one(task("UseDotNet@2", "useGlobalJson", "true"))
	}
	return made
}

func setupHelm(s *step) []*draft.Map {
	version := strings.TrimPrefix(s.with("version"), "v")
	if version == "" {
		version = "latest"
	}
	return one(task("HelmInstaller@1", "helmVersionToInstall", version))
}

func setupKubectl(s *step) []*draft.Map {
	version := strings.TrimPrefix(s.with("version"), "v")
	if version == "" {
		version = "latest"
	}
	return one(task("KubectlInstaller@0", "kubectlVersion", version))
}

func setupTerraform(s *step) []*draft.Map {
	s.unused("terraform_wrapper", "cli_config_credentials_token")
	version := s.with("terraform_version")
	if version == "" {
		version = "latest"
	}
	return one(task("TerraformInstaller@1", "terraformVersion", version))
}

// rust installs a toolchain with rustup, as the actions do.
func rust(s *step) []*draft.Map {
	toolchain := s.with("toolchain")
	if toolchain == "" {
		_, version, _ := strings.Cut(s.get("uses"), "@")
		toolchain = strings.TrimPrefix(version, "v")
		if s.get("uses")[:3] == "act" || toolchain == "master" || toolchain == "main" || len(toolchain) == 40 {
			toolchain = "stable"
		}
	}
	script := "set -e\ncommand -v rustup >/dev/null || curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain none\n" +
		"export PATH=\"$HOME/.cargo/bin:$PATH\"\nrustup toolchain install " + toolchain + " --profile minimal"
	for _, name := range []string{"components", "target", "targets"} {
		for _, item := range strings.FieldsFunc(s.with(name), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
			flag := "--component "
			if name != "components" {
				flag = "--target "
			}
			script += " " + flag + item
		}
	}
	script += "\nrustup default " + toolchain + "\necho \"##vso[task.prependpath]$HOME/.cargo/bin\""
	return one((&draft.Map{}).Text("bash", script).Text("displayName", "Rust "+toolchain))
}

func pnpm(s *step) []*draft.Map {
	version := s.with("version")
	if version == "" {
		version = "latest"
	}
	return one((&draft.Map{}).Text("script", "npm install -g pnpm@"+version).Text("displayName", "pnpm "+version))
}

func uv(s *step) []*draft.Map {
	script := "set -e\npython3 -m pip install --user uv"
	if v := s.with("version"); v != "" && v != "latest" {
		script += "==" + v
	}
	script += "\necho \"##vso[task.prependpath]$HOME/.local/bin\""
	if v := s.with("python-version"); v != "" {
		script += "\necho \"##vso[task.setvariable variable=UV_PYTHON]" + v + "\""
	}
	return one((&draft.Map{}).Text("bash", script).Text("displayName", "uv"))
}

func golangci(s *step) []*draft.Map {
	version := s.with("version")
	if version == "" || !strings.HasPrefix(version, "v") {
		version = "latest"
	}
	module := "github.com/golangci/golangci-lint/v2/cmd/golangci-lint"
	if strings.HasPrefix(version, "v1") {
		module = "github.com/golangci/golangci-lint/cmd/golangci-lint"
	}
	s.unused("only-new-issues", "github-token", "install-mode")
	m := (&draft.Map{}).Text("script", strings.TrimSpace("go run "+module+"@"+version+" run "+s.with("args"))).Text("displayName", "golangci-lint")
	return one(m.Text("workingDirectory", s.with("working-directory")))
}

// coverage publishes reports here instead of at codecov.
func coverage(s *step) []*draft.Map {
	files := s.with("files")
	if files == "" {
		files = s.with("file")
	}
	var patterns []string
	for _, f := range strings.FieldsFunc(files, func(r rune) bool { return r == ',' || r == '\n' }) {
		if f = strings.TrimSpace(f); strings.HasSuffix(f, ".xml") {
			patterns = append(patterns, "**/"+strings.TrimPrefix(f, "./"))
		}
	}
	if len(patterns) == 0 {
		patterns = []string{"**/coverage.xml"}
		if files != "" {
			s.note(s.n, "the report "+files+" is published here if it is one of Cobertura or JaCoCo", "write such a report, and name it")
		}
	}
	return one(task("PublishCodeCoverageResults@2", "summaryFileLocation", strings.Join(patterns, "\n")))
}

// testReport publishes results of tests here instead of as a check.
func testReport(s *step) []*draft.Map {
	files := s.with("path")
	for _, name := range []string{"report_paths", "files", "junit_files", "paths"} {
		if files == "" {
			files = s.with(name)
		}
	}
	files = strings.Join(strings.FieldsFunc(files, func(r rune) bool { return r == ',' || r == '\n' }), "\n")
	return one(task("PublishTestResults@2", "testResultsFormat", "JUnit", "testResultsFiles", files))
}
