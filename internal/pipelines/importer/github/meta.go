package github

import (
	"regexp"
	"strings"

	"slipway/internal/pipelines/importer/draft"
)

// listMacro is an output of docker/metadata-action, which has several lines.
var listMacro = regexp.MustCompile(`^\$\([\w.-]+\.(tags|labels|annotations)\)$`)

// lineByLine writes a loop that makes options of the lines of a macro, if text is one that has lines.
func (s *step) lineByLine(out *strings.Builder, flag, text string) bool {
	if !listMacro.MatchString(text) {
		return false
	}
	out.WriteString("while IFS= read -r line; do [ -z \"$line\" ] || options+=(" + flag + " \"$line\"); done <<'END'\n" + text + "\nEND\n")
	return true
}

// dockerMeta names an image as docker/metadata-action does: its outputs are tags, labels and version.
func dockerMeta(s *step) []*draft.Map {
	s.unused("context", "annotations", "bake-target", "sep-labels", "sep-annotations", "github-token")
	rules := s.lines("tags")
	if len(rules) == 0 {
		rules = []string{"type=schedule", "type=ref,event=branch", "type=ref,event=tag", "type=ref,event=pr"}
	}
	var b strings.Builder
	b.WriteString(metaFunctions)
	for _, line := range s.lines("flavor") {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "latest", "prefix", "suffix":
			b.WriteString("flavor_" + key + "=" + word(value) + "\n")
		}
	}
	for _, line := range rules {
		if call := s.metaRule(line); call != "" {
			b.WriteString(call + "\n")
		}
	}
	b.WriteString("images=(")
	for i, image := range s.lines("images") {
		if i > 0 {
			b.WriteString(" ")
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(image, "name="), ",")
		b.WriteString(`"` + strings.ReplaceAll(name, `"`, "") + `"`)
	}
	b.WriteString(")\nlabels=()\n")
	for _, line := range s.lines("labels") {
		b.WriteString("labels+=(" + word(line) + ")\n")
	}
	b.WriteString("tell_meta")
	return one(bash("Names of the image", b.String()))
}

// metaRule is the call for one rule, type=KIND,KEY=VALUE…; "" for one that has no counterpart.
func (s *step) metaRule(line string) string {
	set := map[string]string{}
	for _, part := range strings.Split(line, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			key, value = "value", key
			if set["type"] == "" {
				set["type"] = "raw"
			}
		}
		set[key] = strings.Trim(value, `'"`)
	}
	condition := ""
	switch enable := strings.ToLower(set["enable"]); {
	case enable == "", enable == "true":
	case enable == "false":
		return ""
	case enable == "{{is_default_branch}}":
		condition = "is_default && "
	default:
		condition = `[ ` + word(set["enable"]) + ` != False ] && [ ` + word(set["enable"]) + ` != false ] && `
	}
	around := " " + word("prefix="+set["prefix"]) + " " + word("suffix="+set["suffix"])
	call := ""
	switch set["type"] {
	case "ref":
		call = map[string]string{"branch": "of_branch", "tag": "of_tag", "pr": "of_pull_request"}[set["event"]]
		if set["event"] == "pr" && set["prefix"] == "" {
			around = " prefix=pr- " + word("suffix="+set["suffix"])
		}
	case "semver", "pep440":
		call = "of_version " + "'" + orText(set["pattern"], "{{version}}") + "'"
	case "raw":
		call = "add " + word(set["value"])
	case "sha":
		length := "7"
		if set["format"] == "long" {
			length = "40"
		}
		call = "of_commit " + length
		if _, given := set["prefix"]; !given {
			around = " prefix=sha- " + word("suffix="+set["suffix"])
		}
	case "schedule":
		call = "of_schedule " + word(orText(set["pattern"], "nightly"))
	case "edge":
		call = "of_edge " + word(orText(set["branch"], "main"))
	}
	if call == "" {
		s.note(s.n.Get("with").Get("tags"), "tags: "+line+" is left out: it has no counterpart", "add the tag in the script")
		return ""
	}
	return condition + call + around + " || true"
}

// metaFunctions are the rules in the words of a shell.
const metaFunctions = `set -e
ref='$(Build.SourceBranch)' commit='$(Build.SourceVersion)' reason='$(Build.Reason)'
names=() latest= version= flavor_latest=auto flavor_prefix= flavor_suffix=
add() { # NAME prefix=TEXT suffix=TEXT
  local name; name="$flavor_prefix${2#prefix=}$1${3#suffix=}$flavor_suffix"
  name="$(printf %s "$name" | tr -c 'A-Za-z0-9_.-' -)"
  names+=("$name"); version="${version:-$name}"
}
is_default() { case "$ref" in refs/heads/main|refs/heads/master) ;; *) return 1;; esac; }
of_branch() { case "$ref" in refs/heads/*) add "${ref#refs/heads/}" "$@";; esac; }
of_tag() { case "$ref" in refs/tags/*) latest=1; add "${ref#refs/tags/}" "$@";; esac; }
of_pull_request() { case "$ref" in refs/pull/*) local n="${ref#refs/pull/}"; add "${n%%/*}" "$@";; esac; }
of_commit() { add "${commit:0:$1}" "$2" "$3"; }
of_schedule() { [ "$reason" != Schedule ] || add "$@"; }
of_edge() { [ "$ref" != "refs/heads/$1" ] || add edge "$2" "$3"; }
of_version() { # PATTERN
  local tag="${ref#refs/tags/}" pattern="$1"
  [[ "$ref" == refs/tags/* && "${tag#v}" =~ ^([0-9]+)\.([0-9]+)\.([0-9]+)(-[0-9A-Za-z.-]+)?(\+.*)?$ ]] || return 0
  if [ -n "${BASH_REMATCH[4]}" ]; then pattern='{{version}}'; else latest=1; fi
  pattern="${pattern//'{{raw}}'/$tag}" pattern="${pattern//'{{version}}'/${BASH_REMATCH[1]}.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}${BASH_REMATCH[4]}}"
  pattern="${pattern//'{{major}}'/${BASH_REMATCH[1]}}" pattern="${pattern//'{{minor}}'/${BASH_REMATCH[2]}}" pattern="${pattern//'{{patch}}'/${BASH_REMATCH[3]}}"
  add "$pattern" "$2" "$3"
}
tell_meta() {
  if [ "$flavor_latest" = true ] || [ "$flavor_latest" = auto ] && [ -n "$latest" ]; then names+=(latest); version="${version:-latest}"; fi
  local tags= all= seen= label
  for image in "${images[@]}"; do for name in "${names[@]}"; do
    case "$seen" in *"|$image:$name|"*) continue;; esac
    seen="$seen|$image:$name|" tags="$tags${tags:+%0A}$image:$name"
  done; done
  for label in "org.opencontainers.image.revision=$commit" "org.opencontainers.image.version=$version" "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${labels[@]}"; do
    all="$all${all:+%0A}$label"
  done
  echo "Tags: ${tags//%0A/ }"
  echo "##vso[task.setvariable variable=tags;isOutput=true]$tags"
  echo "##vso[task.setvariable variable=labels;isOutput=true]$all"
  echo "##vso[task.setvariable variable=version;isOutput=true]$version"
}
`
