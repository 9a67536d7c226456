package github

import (
	"path"
	"strings"

	"slipway/internal/pipelines/importer/draft"
)

// checkout writes actions/checkout.
func checkout(s *step) []*draft.Map {
	repository := s.with("repository")
	if repository != "" && !strings.Contains(repository, "$(Build.Repository.Name)") {
		s.leave("the checkout of "+repository+" is left out: it is another repository", "declare it under resources.repositories, and check its alias out")
		return nil
	}
	m := (&draft.Map{}).Text("checkout", "self")
	if ref := s.n.Get("with").Get("ref"); ref != nil && ref.Text != "" {
		switch text := s.with("ref"); text {
		case "$(Build.SourceVersion)", "$(Build.SourceBranch)", "$(github.ref_name)", "$(github.head_ref)", "$(github.event.pull_request.head.sha)":
		default:
			s.note(ref, "ref: "+ref.Text+" is left out: a run checks its own commit out", "run git checkout in a script step, with fetchDepth: 0 before it")
		}
	}
	m.Word("fetchDepth", s.with("fetch-depth"))
	for azure, name := range map[string]string{"fetchTags": "fetch-tags", "lfs": "lfs", "persistCredentials": "persist-credentials"} {
		if v := s.with(name); v == "true" {
			m.Word(azure, v)
		}
	}
	if s.n.Get("with").Get("persist-credentials") == nil && s.pushes() {
		m.Word("persistCredentials", "true")
	}
	if v := s.with("submodules"); v != "" && v != "false" {
		m.Word("submodules", v)
	}
	if v := s.with("filter"); v != "" {
		m.Text("fetchFilter", v)
	}
	if v := s.with("sparse-checkout"); v != "" {
		key := "sparseCheckoutDirectories"
		if s.with("sparse-checkout-cone-mode") == "false" {
			key = "sparseCheckoutPatterns"
		}
		m.Text(key, strings.Join(lines(v), " "))
	}
	if v := s.with("path"); v != "" && v != "." {
		m.Text("path", path.Join("s", v))
	}
	s.unused("ssh-key", "github-server-url")
	return one(m)
}

// pushes reports that a later script of the job pushes with git, for which GitHub's checkout leaves the token behind.
func (s *step) pushes() bool {
	for _, n := range items(s.j.n.Get("steps")) {
		if run := n.Get("run"); run != nil && strings.Contains(run.Text, "git push") {
			return true
		}
		if uses := n.Get("uses"); uses != nil && strings.HasPrefix(strings.ToLower(uses.Text), "stefanzweifel/git-auto-commit-action@") {
			return true
		}
	}
	return false
}

// upload writes actions/upload-artifact.
func upload(s *step) []*draft.Map {
	name := s.with("name")
	if name == "" {
		name = "artifact"
	}
	s.unused("retention-days", "compression-level", "overwrite", "include-hidden-files")
	paths := s.lines("path")
	condition := s.condition()
	publish := func(from string) *draft.Map {
		m := (&draft.Map{}).Text("publish", from).Text("artifact", artifactName(name))
		return m.Text("condition", condition)
	}
	if len(paths) == 1 && !strings.ContainsAny(paths[0], "*?[!") {
		return one(publish(inSources(paths[0])))
	}
	folder, patterns := common(paths)
	staged := "$(Build.ArtifactStagingDirectory)/" + draft.Identifier(name)
	copy := task("CopyFiles@2", "SourceFolder", inSources(folder), "Contents", strings.Join(patterns, "\n"), "TargetFolder", staged)
	return []*draft.Map{copy.Text("displayName", "Collect artifact "+name), publish(staged)}
}

// artifactName is a name without what stands for folders.
func artifactName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`\/:"<>|*?`, r) {
			return '-'
		}
		return r
	}, name)
}

// inSources is a path of the workspace.
func inSources(p string) string {
	p = strings.TrimPrefix(p, "./")
	switch {
	case p == "" || p == ".":
		return "$(Build.SourcesDirectory)"
	case strings.HasPrefix(p, "/") || strings.HasPrefix(p, "$(") || strings.HasPrefix(p, "~"):
		return p
	}
	return "$(Build.SourcesDirectory)/" + p
}

// common parts paths into the folder that all are in and patterns below it. A path may be a folder, and then means what is in it.
func common(paths []string) (folder string, patterns []string) {
	var parts [][]string
	for _, p := range paths {
		p = strings.TrimPrefix(strings.TrimPrefix(p, "!"), "./")
		list := strings.Split(strings.TrimSuffix(p, "/"), "/")
		for i, part := range list {
			if strings.ContainsAny(part, "*?[") {
				list = list[:i]
				break
			}
		}
		parts = append(parts, list)
	}
	shared := parts[0]
	for _, list := range parts[1:] {
		n := 0
		for n < len(shared) && n < len(list) && shared[n] == list[n] {
			n++
		}
		shared = shared[:n]
	}
	folder = strings.Join(shared, "/")
	for _, p := range paths {
		not := ""
		if strings.HasPrefix(p, "!") {
			not, p = "!", p[1:]
		}
		p = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(p, "./"), folder), "/")
		switch {
		case p == "":
			patterns = append(patterns, not+"**")
		case strings.HasSuffix(p, "/"):
			patterns = append(patterns, not+p+"**")
		default:
			patterns = append(patterns, not+p)
			if !strings.ContainsAny(path.Base(p), "*?[.") {
				patterns = append(patterns, not+p+"/**")
			}
		}
	}
	return folder, patterns
}

// download writes actions/download-artifact.
func download(s *step) []*draft.Map {
	s.unused("github-token", "repository", "run-id")
	m := (&draft.Map{}).Text("download", "current").Text("artifact", artifactName(s.with("name")))
	if pattern := s.with("pattern"); pattern != "" {
		m.Text("patterns", pattern+"/**")
	}
	if merge := s.n.Get("with").Get("merge-multiple"); merge != nil && merge.Text == "true" {
		s.note(merge, "merge-multiple is left out: each artifact has a folder of its own", "copy their files together in a script step")
	}
	return one(m.Text("path", inSources(s.with("path"))))
}

// cache writes actions/cache: hashFiles() in the key becomes files, whose contents count.
func cache(s *step) []*draft.Map {
	key := s.cacheKey("key")
	if key == "" {
		key = `"cache"`
	}
	restore := []string{}
	for _, line := range strings.Split(s.get2("restore-keys"), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			restore = append(restore, s.keyOf(line))
		}
	}
	hit := ""
	if ref := s.j.stepIDs[s.t.scope.prefix+s.get("id")]; s.get("id") != "" && ref != nil {
		hit = ref.name + ".cache_hit"
	}
	var folders []string
	for _, p := range s.lines("path") {
		if p = strings.TrimSuffix(strings.TrimSuffix(p, "/**"), "/*"); !strings.HasPrefix(p, "!") {
			folders = append(folders, strings.Replace(p, "~", "$(HOME)", 1))
		}
	}
	s.unused("fail-on-cache-miss", "lookup-only", "enableCrossOsArchive")
	made := []*draft.Map{}
	for i, folder := range folders {
		first := ""
		if len(folders) > 1 {
			first = `"` + draft.Identifier(folder) + `" | `
		}
		part := first + key
		keys := make([]string, len(restore))
		for k, r := range restore {
			keys[k] = first + r
		}
		variable := ""
		if i == 0 {
			variable = hit
		}
		made = append(made, task("Cache@2", "key", part, "restoreKeys", strings.Join(keys, "\n"), "path", folder, "cacheHitVar", variable))
	}
	return made
}

// get2 is an input as it is written.
func (s *step) get2(name string) string {
	if n := s.n.Get("with").Get(name); n != nil {
		return n.Text
	}
	return ""
}

func (s *step) cacheKey(name string) string { return s.keyOf(s.get2(name)) }

// keyOf makes a key of a text: each hashFiles() is parts of its own, files or patterns, and so is the text between.
func (s *step) keyOf(raw string) string {
	list, err := pieces(strings.TrimSpace(raw))
	if err != nil {
		return ""
	}
	var parts []string
	text := ""
	flush := func() {
		if text = strings.Trim(text, "- "); text != "" {
			parts = append(parts, `"`+strings.ReplaceAll(text, `"`, "")+`"`)
		}
		text = ""
	}
	for _, p := range list {
		if p.expr != nil && p.expr.kind == call && p.expr.name == "hashfiles" {
			flush()
			var files []string
			for _, arg := range p.expr.args {
				if arg.isText() {
					files = append(files, arg.text)
				}
			}
			if len(files) > 0 {
				parts = append(parts, strings.Join(files, ", "))
			}
			continue
		}
		if p.expr == nil {
			text += p.text
			continue
		}
		text += s.t.text("${{ "+p.raw+" }}", &s.notes)
	}
	flush()
	return strings.Join(parts, " | ")
}
