package github

import (
	"regexp"
	"strconv"
	"strings"

	"slipway/internal/pipelines/importer/draft"
)

// atGitHub are actions that work on what GitHub alone has, with what to do instead. The map is never changed.
var atGitHub = map[string]string{
	"actions/add-to-project":                 keepThere,
	"actions/create-github-app-token":        "give a service connection to GitHub, or a token as a secret variable",
	"actions/dependency-review-action":       "the packages of an image that the job pushes are compared with known vulnerabilities, on the image's page and as a policy",
	"actions/deploy-pages":                   "deploy the artifact github-pages with a deployment job",
	"actions/first-interaction":              keepThere,
	"actions/github-script":                  "call GitHub's REST API with curl in a bash step, with a token as a secret variable in env",
	"actions/labeler":                        keepThere,
	"actions/stale":                          keepThere,
	"actions-ecosystem/action-add-labels":    keepThere,
	"actions-ecosystem/action-remove-labels": keepThere,
	"amannn/action-semantic-pull-request":    keepThere,
	"dependabot/fetch-metadata":              keepThere,
	"dessant/lock-threads":                   keepThere,
	"github/codeql-action/analyze":           keepCodeQL,
	"github/codeql-action/autobuild":         keepCodeQL,
	"github/codeql-action/init":              keepCodeQL,
	"mshick/add-pr-comment":                  keepThere,
	"ossf/scorecard-action":                  keepThere,
	"peter-evans/create-or-update-comment":   keepThere,
	"peter-evans/create-pull-request":        "push a branch in a bash step, and open a pull request by REST",
	"peter-evans/find-comment":               keepThere,
	"peter-evans/repository-dispatch":        "queue the other pipeline with slipway queue, or let it start by resources.pipelines",
	"release-drafter/release-drafter":        "GitHubRelease@1 lists the changes of a release",
}

const (
	keepThere  = "it works on what lies at GitHub: leave it in a workflow there"
	keepCodeQL = "run the program codeql in a bash step, and publish its SARIF file as the artifact CodeAnalysisLogs"
)

// sarif publishes a file of findings under the name by which Azure DevOps shows them.
func sarif(s *step) []*draft.Map {
	s.unused("category", "checkout_path", "ref", "sha", "token", "wait-for-processing")
	m := (&draft.Map{}).Text("publish", inSources(orText(s.with("sarif_file"), "../results"))).Text("artifact", "CodeAnalysisLogs")
	return one(m.Text("condition", s.condition()))
}

// pages publishes the site that deploy-pages would take.
func pages(s *step) []*draft.Map {
	s.unused("retention-days")
	m := (&draft.Map{}).Text("publish", inSources(orText(s.with("path"), "_site/"))).Text("artifact", artifactName(orText(s.with("name"), "github-pages")))
	return one(m.Text("condition", s.condition()))
}

// retry is a script that is tried again, with the keys that a step has for it.
func retry(s *step) []*draft.Map {
	s.unused("polling_interval_seconds", "retry_on", "on_retry_command", "warning_on_retry", "new_command_on_retry", "retry_on_exit_code", "retry_wait_seconds")
	kind := "bash"
	switch s.with("shell") {
	case "pwsh", "powershell":
		kind = "pwsh"
	}
	m := (&draft.Map{}).Text(kind, s.commands(s.with("command"), "set -e"))
	m.Text("displayName", firstLine(s.with("command")))
	if n, err := strconv.Atoi(s.with("max_attempts")); err == nil && n > 1 {
		m.Word("retryCountOnTaskFailure", strconv.Itoa(min(n-1, 10)))
	}
	minutes := s.with("timeout_minutes")
	if seconds, err := strconv.Atoi(s.with("timeout_seconds")); err == nil {
		minutes = strconv.Itoa((seconds + 59) / 60)
	}
	if _, err := strconv.Atoi(minutes); err == nil {
		m.Word("timeoutInMinutes", minutes)
	}
	return one(m)
}

// autoCommit commits what the job has changed, and pushes it.
func autoCommit(s *step) []*draft.Map {
	s.unused("status_options", "add_options", "push_options", "skip_dirty_check", "skip_fetch", "skip_checkout", "disable_globbing", "create_branch", "file_pattern_exclude", "tagging_message", "internal_git_binary")
	pattern := orText(s.with("file_pattern"), ".")
	branch := s.with("branch")
	if branch == "" || strings.Contains(branch, "github.") {
		branch = "$(Build.SourceBranchName)"
	}
	script := "set -e\ngit add -A " + pattern + "\nif ! git diff --cached --quiet; then\n" +
		"  git -c user.name=" + quoted(orText(s.with("commit_user_name"), "$(Build.RequestedFor)")) + " -c user.email=" + word(orText(s.with("commit_user_email"), "$(Build.RequestedForId)@localhost")) +
		" commit -m " + word(orText(s.with("commit_message"), "Apply automatic changes")) + " " + s.with("commit_options")
	script = strings.TrimRight(script, " ") + "\n  git push origin HEAD:refs/heads/" + branch + "\nfi"
	return one(bash("Commit changes", script).Text("workingDirectory", s.with("repository")))
}

// release makes a release at GitHub.
func release(s *step) []*draft.Map {
	s.unused("token", "append_body", "discussion_category_name", "fail_on_unmatched_files", "preserve_order", "working_directory", "overwrite_files")
	connection := "github"
	repository := s.with("repository")
	s.note(s.n, "the release is made with the service connection "+connection, "make one of type GitHub with this name, and write the repository at GitHub as repositoryName")
	if !strings.Contains(repository, "/") {
		repository = "$(Build.Repository.Name)"
	}
	tag := strings.TrimPrefix(s.with("tag_name"), "refs/tags/")
	inputs := []string{"gitHubConnection", connection, "repositoryName", repository, "action", "edit"}
	if tag == "" {
		tag = "$(Build.SourceBranchName)"
	}
	inputs = append(inputs, "tag", tag)
	if target := s.with("target_commitish"); target != "" {
		inputs = append(inputs, "target", target)
	}
	inputs = append(inputs, "title", s.with("name"))
	switch {
	case s.with("body_path") != "":
		inputs = append(inputs, "releaseNotesSource", "filePath", "releaseNotesFilePath", s.with("body_path"))
	default:
		inputs = append(inputs, "releaseNotesSource", "inline", "releaseNotesInline", s.with("body"))
	}
	files := strings.Join(s.lines("files"), "\n")
	if files == "" {
		files = "$(Build.ArtifactStagingDirectory)/none/*" // the task's own default takes what is staged
	}
	inputs = append(inputs, "assets", files, "assetUploadMode", "replace", "isDraft", s.with("draft"), "isPreRelease", s.with("prerelease"), "makeLatest", s.with("make_latest"))
	if s.with("generate_release_notes") != "true" {
		inputs = append(inputs, "addChangeLog", "false")
	}
	return one(task("GitHubRelease@1", inputs...))
}

// cibuildwheel builds Python wheels.
func cibuildwheel(s *step) []*draft.Map {
	s.unused("config-file", "extras")
	version := ""
	if _, v, _ := strings.Cut(s.get("uses"), "@"); regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(v) {
		version = "==" + v[1:]
	}
	script := "set -e\npython3 -m pip install cibuildwheel" + version + "\npython3 -m cibuildwheel " + orText(s.with("package-dir"), ".") + " --output-dir " + orText(s.with("output-dir"), "wheelhouse")
	if only := s.with("only"); only != "" {
		script += " --only " + only
	}
	m := bash("Build wheels", script)
	if env := s.environment(""); !env.Empty() {
		m.Put("env", env.Node())
	}
	return one(m)
}

func codespell(s *step) []*draft.Map {
	s.unused("only_warn", "builtin", "check_hidden", "check_filenames")
	script := "set -e\npython3 -m pip install codespell\ncodespell"
	for _, o := range []struct{ input, flag string }{{"skip", "--skip"}, {"exclude_file", "--exclude-file"}, {"ignore_words_list", "--ignore-words-list"}, {"ignore_words_file", "--ignore-words"}} {
		if v := s.with(o.input); v != "" {
			script += " " + o.flag + " " + word(v)
		}
	}
	return one(bash("codespell", strings.TrimSpace(script+" "+s.with("path"))))
}

func markdownlint(s *step) []*draft.Map {
	script := "npx --yes markdownlint-cli2"
	if s.with("fix") == "true" {
		script += " --fix"
	}
	if config := s.with("config"); config != "" {
		script += " --config " + word(config)
	}
	globs := s.lines("globs")
	if len(globs) == 0 {
		globs = []string{"*.{md,markdown}"}
	}
	for _, glob := range globs {
		script += " '" + glob + "'"
	}
	return one(bash("markdownlint", script))
}

// azureCLI runs the script: az in a job works on this server.
func azureCLI(s *step) []*draft.Map {
	s.unused("azcliversion")
	if s.with("inlineScript") == "" {
		s.leave("uses: azure/cli is left out: it has no inlineScript", "")
		return nil
	}
	return one(bash("Azure CLI", s.commands(s.with("inlineScript"), "set -e")))
}
