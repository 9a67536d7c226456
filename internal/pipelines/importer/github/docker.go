package github

import (
	"strings"

	"slipway/internal/pipelines/importer/draft"
)

// dockerLogin logs in by script, with the password in the environment.
func dockerLogin(s *step) []*draft.Map {
	s.unused("ecr")
	script := `echo "$REGISTRY_PASSWORD" | docker login ` + s.with("registry")
	script = strings.TrimSpace(script) + ` --username "$REGISTRY_USER" --password-stdin`
	env := (&draft.Map{}).Text("REGISTRY_USER", s.with("username")).Text("REGISTRY_PASSWORD", s.with("password"))
	m := (&draft.Map{}).Text("bash", script).Text("displayName", "Log in to "+orText(s.with("registry"), "docker.io"))
	if !env.Empty() {
		m.Put("env", env.Node())
	}
	return one(m)
}

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// dockerBuild builds and pushes by script.
func dockerBuild(s *step) []*draft.Map {
	args := []string{"docker build"}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag+" "+word(value))
		}
	}
	context := orText(s.with("context"), ".")
	if strings.Contains(context, "://") || strings.HasPrefix(context, "$(Build.Repository.Uri)") {
		context = "."
	}
	add("--file", s.with("file"))
	add("--target", s.with("target"))
	listed := &strings.Builder{}
	for _, tag := range strings.FieldsFunc(s.with("tags"), func(r rune) bool { return r == ',' || r == '\n' }) {
		if tag = strings.TrimSpace(tag); !s.lineByLine(listed, "--tag", tag) {
			add("--tag", tag)
		}
	}
	for _, line := range s.lines("build-args") {
		add("--build-arg", line)
	}
	for _, line := range s.lines("labels") {
		if !s.lineByLine(listed, "--label", line) {
			add("--label", line)
		}
	}
	if listed.Len() > 0 {
		args = append(args, `"${options[@]}"`)
	}
	add("--platform", s.with("platforms"))
	for _, flag := range []string{"push", "no-cache", "pull"} {
		switch v := s.with(flag); {
		case v == "true":
			args = append(args, "--"+flag)
		case strings.HasPrefix(v, "$"):
			args = append(args, "--"+flag+"="+v)
		}
	}
	s.unused("outputs", "secret-files", "ssh", "cache-from", "cache-to", "attests", "sbom", "builder", "build-contexts")
	env := &draft.Map{}
	for _, line := range s.lines("secrets") {
		if id, value, ok := strings.Cut(line, "="); ok {
			name := strings.ToUpper(draft.Identifier(id))
			args = append(args, "--secret id="+id+",env="+name)
			env.Text(name, value)
		}
	}
	after := ""
	if s.get("id") != "" {
		args = append(args, `--metadata-file "$(Agent.TempDirectory)/build.json"`)
		after = "\n" + buildOutputs
	}
	args = append(args, word(context))
	script := strings.Join(args, " \\\n  ") + after
	if listed.Len() > 0 {
		script = "options=()\n" + listed.String() + script
	}
	m := (&draft.Map{}).Text("bash", script).Text("displayName", "Build image")
	if !env.Empty() {
		m.Put("env", env.Node())
	}
	return one(m)
}

// buildOutputs sets the outputs digest and imageid of the action, from what docker writes as buildx does.
const buildOutputs = `result() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p' "$(Agent.TempDirectory)/build.json" | head -n 1; }
echo "##vso[task.setvariable variable=digest;isOutput=true]$(result containerimage.digest)"
echo "##vso[task.setvariable variable=imageid;isOutput=true]$(result containerimage.config.digest)"`

// dockerBake builds what files of bake name by script.
func dockerBake(s *step) []*draft.Map {
	args := []string{"docker buildx bake"}
	for _, file := range strings.FieldsFunc(s.with("files"), func(r rune) bool { return r == ',' || r == '\n' }) {
		args = append(args, "--file "+word(strings.TrimPrefix(strings.TrimSpace(file), "cwd://")))
	}
	for _, line := range s.lines("set") {
		args = append(args, "--set "+word(line))
	}
	for _, flag := range []string{"push", "no-cache", "pull"} {
		if v := s.with(flag); v != "" && v != "false" {
			args = append(args, "--"+flag+"="+v)
		}
	}
	for _, target := range strings.FieldsFunc(s.with("targets"), func(r rune) bool { return r == ',' || r == '\n' || r == ' ' }) {
		args = append(args, word(target))
	}
	if source := s.with("source"); strings.Contains(source, "://") {
		s.note(s.n, "source: "+source+" is left out: what the job has checked out is built", "check that repository out")
	}
	s.unused("builder", "load", "provenance", "sbom", "allow", "list", "github-token")
	return one((&draft.Map{}).Text("bash", strings.Join(args, " \\\n  ")).Text("displayName", "Build images").Text("workingDirectory", s.with("workdir")))
}

// word quotes a word for the shell if it needs to be.
func word(text string) string {
	if strings.ContainsAny(text, " \t\"'`;|&<>*?") {
		return quoted(text)
	}
	return text
}

// quoted is a word in quotes, as a macro needs them whose value may have blanks.
func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }
