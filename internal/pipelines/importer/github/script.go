package github

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// run writes a script step.
func (s *step) run() []*yaml.Node {
	raw := s.get("run")
	shell := s.get("shell")
	if shell == "" {
		shell = s.j.defaults.shell
	}
	env := s.environment(raw)
	text := s.t.text(raw, &s.notes)
	title := ""
	if s.get("name") == "" {
		title = firstLine(text)
	}
	kind := "script"
	switch word, _, _ := strings.Cut(shell, " "); word {
	case "", "sh":
		text = s.commands(text, "set -e")
	case "bash":
		kind = "bash"
		text = s.commands(text, "set -eo pipefail")
	case "pwsh", "powershell":
		kind = "pwsh"
		text = commandWords(text)
	case "python":
		text = "python3 - <<'END_OF_SCRIPT'\n" + strings.TrimRight(text, "\n") + "\nEND_OF_SCRIPT"
	case "cmd":
		s.leave("shell: cmd is of Windows, and jobs run in Linux containers", "write the script for bash")
		return nil
	default:
		s.note(s.n.Get("shell"), "shell: "+shell+" is left out: the script runs in bash", "start the program in the script")
		text = s.commands(text, "set -e")
	}
	out := &draft.Map{}
	out.Text(kind, text)
	s.common(out, title)
	if out.Node().Get("name") == nil && strings.Contains(text, "isOutput=true") {
		out.Text("name", s.j.stepSet.Take("step"))
	}
	folder := s.get("working-directory")
	if folder == "" {
		folder = s.j.defaults.folder
	}
	if folder != "" {
		out.Text("workingDirectory", s.t.text(folder, &s.notes))
	}
	if !env.Empty() {
		out.Put("env", env.Node())
	}
	return []*yaml.Node{out.Comment(s.notes...).Node()}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.TrimSpace(strings.TrimSuffix(line, "\\"))
	if len(line) > 80 {
		line = line[:80]
		for len(line) > 0 && line[len(line)-1] >= 0x80 {
			line = line[:len(line)-1]
		}
	}
	return line
}

// named are variables of the environment that scripts read by name, and what holds them here.
var named = map[string]string{
	"GITHUB_SHA": "github.sha", "GITHUB_REF": "github.ref", "GITHUB_REF_NAME": "github.ref_name", "GITHUB_REF_TYPE": "github.ref_type", "GITHUB_HEAD_REF": "github.head_ref",
	"GITHUB_BASE_REF": "github.base_ref", "GITHUB_REPOSITORY": "github.repository", "GITHUB_REPOSITORY_OWNER": "github.repository_owner", "GITHUB_RUN_ID": "github.run_id",
	"GITHUB_RUN_NUMBER": "github.run_number", "GITHUB_RUN_ATTEMPT": "github.run_attempt", "GITHUB_ACTOR": "github.actor", "GITHUB_WORKSPACE": "github.workspace",
	"GITHUB_WORKFLOW": "github.workflow", "GITHUB_JOB": "github.job", "GITHUB_EVENT_NAME": "github.event_name", "GITHUB_SERVER_URL": "github.server_url",
	"RUNNER_OS": "runner.os", "RUNNER_ARCH": "runner.arch", "RUNNER_TEMP": "runner.temp", "RUNNER_TOOL_CACHE": "runner.tool_cache", "RUNNER_WORKSPACE": "runner.workspace",
}

var variableName = regexp.MustCompile(`\b(?:GITHUB|RUNNER)_[A-Z_]+\b`)

// environment is the step's env: its own, what the job's and workflow's env gives to each step, and GitHub's own variables that the
// script reads.
func (s *step) environment(script string) *draft.Map {
	values := map[string]string{}
	for _, name := range variableName.FindAllString(script, -1) {
		if context, ok := named[name]; ok {
			values[name] = "${{ " + context + " }}"
		}
	}
	for sc := s.t.scope; sc != nil; sc = sc.outer {
		if sc.folder != "" && strings.Contains(script, "GITHUB_ACTION_PATH") {
			values["GITHUB_ACTION_PATH"] = "${{ github.workspace }}/" + path.Clean(sc.folder)
		}
	}
	maps.Copy(values, s.j.spread)
	own := map[string]string{}
	if env := s.n.Get("env"); env != nil {
		for _, p := range env.Pairs {
			own[p.Key.Text] = p.Value.Text
		}
	}
	maps.Copy(values, own)
	out := &draft.Map{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		t := *s.t
		t.scope = t.scope.without(name)
		out.Put(name, draft.Scalar(t.text(values[name], &s.notes)))
	}
	return out
}

var (
	assignment = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^([ \t]*)echo[ \t]+(?:"([A-Za-z_][\w-]*)=([^"\n]*)"|'([A-Za-z_][\w-]*)=([^'\n]*)'|([A-Za-z_][\w-]*)=([^\s"';|&<>]*))[ \t]*>>[ \t]*"?\$\{?GITHUB_(OUTPUT|ENV)\}?"?[ \t]*$`)
	})
	pathAddition = regexp.MustCompile(`(?m)^([ \t]*)echo[ \t]+("[^"\n]*"|'[^'\n]*'|[^\s"';|&<>]+)[ \t]*>>[ \t]*"?\$\{?GITHUB_PATH\}?"?[ \t]*$`)
	commandWord  = regexp.MustCompile(`::(error|warning|notice|debug|group|endgroup|set-output|add-mask)( [^:\n]*)?::`)
	fileCommand  = regexp.MustCompile(`\$?\{?GITHUB_(OUTPUT|ENV|PATH|STEP_SUMMARY)\b`)
)

// commands writes what a script tells GitHub in the words of Azure Pipelines, and makes it stop at the first command that fails.
func (s *step) commands(text, options string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = assignment().ReplaceAllStringFunc(text, func(line string) string {
		m := assignment().FindStringSubmatch(line)
		quote, name, value := `"`, m[2]+m[6], m[3]+m[7]
		if m[4] != "" {
			quote, name, value = "'", m[4], m[5]
		}
		if m[8] == "OUTPUT" {
			return m[1] + "echo " + quote + "##vso[task.setvariable variable=" + outputName(name) + ";isOutput=true]" + value + quote
		}
		return m[1] + "echo " + quote + "##vso[task.setvariable variable=" + name + "]" + value + quote
	})
	text = pathAddition.ReplaceAllStringFunc(text, func(line string) string {
		m := pathAddition.FindStringSubmatch(line)
		quote, value := `"`, m[2]
		if value[0] == '\'' || value[0] == '"' {
			quote, value = value[:1], value[1:len(value)-1]
		}
		return m[1] + "echo " + quote + "##vso[task.prependpath]" + value + quote
	})
	text = commandWords(text)
	if fileCommand.MatchString(text) {
		return options + "\n" + carryOver + text
	}
	if strings.Contains(strings.TrimSpace(text), "\n") || strings.ContainsAny(text, "|;") && options != "set -e" {
		return options + "\n" + text
	}
	return text
}

// commandWords writes workflow commands as logging commands.
func commandWords(text string) string {
	return commandWord.ReplaceAllStringFunc(text, func(found string) string {
		m := commandWord.FindStringSubmatch(found)
		switch m[1] {
		case "error", "warning":
			return "##vso[task.logissue type=" + m[1] + strings.Join(issueProperties(m[2]), "") + "]"
		case "notice":
			return "##[section]"
		case "debug":
			return "##[debug]"
		case "group":
			return "##[group]"
		case "endgroup":
			return "##[endgroup]"
		case "set-output":
			_, name, _ := strings.Cut(m[2], "name=")
			return "##vso[task.setvariable variable=" + outputName(strings.TrimSpace(name)) + ";isOutput=true]"
		}
		return "##vso[task.setvariable variable=masked;issecret=true]"
	})
}

// issueProperties are where an error or warning is, in Azure's words.
func issueProperties(text string) []string {
	var list []string
	for _, pair := range strings.Split(strings.TrimSpace(text), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if azure, ok := map[string]string{"file": "sourcepath", "line": "linenumber", "col": "columnnumber"}[name]; ok {
			list = append(list, ";"+azure+"="+value)
		}
	}
	return list
}

// carryOver reads the files through which a script tells GitHub values when it ends, and tells them as logging commands.
const carryOver = `export GITHUB_OUTPUT="$(mktemp)" GITHUB_ENV="$(mktemp)" GITHUB_PATH="$(mktemp)" GITHUB_STEP_SUMMARY="$(mktemp)"
tell() { # FILE PROPERTIES: NAME=VALUE, and NAME<<END with lines until END
  while IFS= read -r line || [ -n "$line" ]; do
    name="${line%%=*}" value="${line#*=}"
    case "$name" in *'<<'*)
      name="${line%%<<*}" end="${line#*<<}" value="" glue=""
      while IFS= read -r line && [ "$line" != "$end" ]; do value="$value$glue$line" glue="%0A"; done ;;
    esac
    [ -z "$name" ] || echo "##vso[task.setvariable variable=$(echo "$name" | tr - _)$2]$value"
  done <"$1"
}
tell_all() {
  tell "$GITHUB_OUTPUT" ";isOutput=true"
  tell "$GITHUB_ENV" ""
  while IFS= read -r line; do echo "##vso[task.prependpath]$line"; done <"$GITHUB_PATH"
  [ ! -s "$GITHUB_STEP_SUMMARY" ] || echo "##vso[task.uploadsummary]$GITHUB_STEP_SUMMARY"
}
trap tell_all EXIT
`
