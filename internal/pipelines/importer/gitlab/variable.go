package gitlab

import (
	"regexp"
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// predefinedVariables are those of GitLab that have a counterpart: text with macros, or a run-time expression in $[ ].
var predefinedVariables = map[string]string{
	"CI": "true", "GITLAB_CI": "false", "CI_SERVER": "yes", "CI_SERVER_NAME": "Slipway",
	"CI_COMMIT_SHA": "$(Build.SourceVersion)", "CI_COMMIT_MESSAGE": "$(Build.SourceVersionMessage)", "CI_COMMIT_TITLE": "$(Build.SourceVersionMessage)", "CI_COMMIT_AUTHOR": "$(Build.SourceVersionAuthor)",
	"CI_COMMIT_REF_NAME": "$[ replace(replace(coalesce(variables['System.PullRequest.SourceBranch'], variables['Build.SourceBranch']), 'refs/heads/', ''), 'refs/tags/', '') ]",
	"CI_COMMIT_REF_SLUG": "$[ lower(replace(replace(replace(replace(replace(variables['Build.SourceBranch'], 'refs/heads/', ''), 'refs/tags/', ''), '/', '-'), '_', '-'), '.', '-')) ]",
	"CI_COMMIT_BRANCH":   "$[ iif(startsWith(variables['Build.SourceBranch'], 'refs/heads/'), replace(variables['Build.SourceBranch'], 'refs/heads/', ''), '') ]",
	"CI_COMMIT_TAG":      "$[ iif(startsWith(variables['Build.SourceBranch'], 'refs/tags/'), replace(variables['Build.SourceBranch'], 'refs/tags/', ''), '') ]",
	"CI_DEFAULT_BRANCH":  "main",
	"CI_PIPELINE_SOURCE": "$[ iif(eq(variables['Build.Reason'], 'PullRequest'), 'merge_request_event', iif(eq(variables['Build.Reason'], 'Schedule'), 'schedule', iif(eq(variables['Build.Reason'], 'Manual'), 'web', iif(eq(variables['Build.Reason'], 'ResourceTrigger'), 'pipeline', 'push')))) ]",
	"CI_PIPELINE_ID":     "$(Build.BuildId)", "CI_PIPELINE_IID": "$(Build.BuildId)", "CI_PIPELINE_URL": "$(System.CollectionUri)$(System.TeamProject)/_build/results?buildId=$(Build.BuildId)",
	"CI_JOB_ID": "$(System.JobId)", "CI_JOB_NAME": "$(System.PhaseDisplayName)", "CI_JOB_TOKEN": "$(System.AccessToken)", "CI_JOB_STAGE": "$(System.StageName)", "CI_JOB_STATUS": "$(Agent.JobStatus)",
	"CI_PROJECT_DIR": "$(Build.SourcesDirectory)", "CI_BUILDS_DIR": "$(Pipeline.Workspace)", "CI_PROJECT_NAME": "$(Build.Repository.Name)", "CI_PROJECT_PATH": "$(System.TeamProject)/$(Build.Repository.Name)",
	"CI_PROJECT_TITLE": "$(Build.Repository.Name)", "CI_PROJECT_ID": "$(Build.Repository.ID)", "CI_PROJECT_PATH_SLUG": "$(Build.Repository.Name)", "CI_PROJECT_NAMESPACE": "$(System.TeamProject)",
	"CI_PROJECT_URL": "$(Build.Repository.Uri)", "CI_REPOSITORY_URL": "$(Build.Repository.Uri)", "CI_SERVER_URL": "$(System.CollectionUri)", "CI_ENVIRONMENT_NAME": "$(Environment.Name)",
	"CI_MERGE_REQUEST_IID":                "$[ coalesce(variables['System.PullRequest.PullRequestId'], '') ]",
	"CI_MERGE_REQUEST_ID":                 "$[ coalesce(variables['System.PullRequest.PullRequestId'], '') ]",
	"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "$[ replace(coalesce(variables['System.PullRequest.SourceBranch'], ''), 'refs/heads/', '') ]",
	"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "$[ replace(coalesce(variables['System.PullRequest.TargetBranch'], ''), 'refs/heads/', '') ]",
	"CI_OPEN_MERGE_REQUESTS":              "", "CI_COMMIT_BEFORE_SHA": "0000000000000000000000000000000000000000",
	"CI_NODE_INDEX": "$(System.JobPositionInPhase)", "CI_NODE_TOTAL": "$(System.TotalJobsInPhase)", "GITLAB_USER_NAME": "$(Build.RequestedFor)", "GITLAB_USER_LOGIN": "$(Build.RequestedFor)",
	"CI_CONCURRENT_ID": "1", "CI_CONCURRENT_PROJECT_ID": "1", "CI_PAGES_URL": "",
}

var (
	variableReference = regexp.MustCompile(`\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
	gitlabName        = regexp.MustCompile(`\b(?:CI|GITLAB)_[A-Z_]+\b`)
)

// readVariables makes variables of those of the file.
func (f *file) readVariables() {
	list := f.root.Get("variables")
	if list == nil {
		list = f.root.Get("default").Get("variables")
	}
	if list == nil || list.Kind != yaml.Map {
		return
	}
	for _, p := range list.Pairs {
		if v, ok := variableText(p.Value); ok {
			f.globals[p.Key.Text] = v
		}
	}
	for _, p := range list.Pairs {
		v, ok := variableText(p.Value)
		if !ok {
			continue
		}
		f.variables = append(f.variables, (&draft.Map{}).Text("name", p.Key.Text).Put("value", draft.Scalar(f.text(v, p.Key.Text))).Node())
	}
}

// variableText is the value of a variable, which may be a map with a description.
func variableText(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind == yaml.Scalar:
		if n.IsNull() {
			return "", true
		}
		return n.Text, true
	case n.Kind == yaml.Map && n.Get("value") != nil:
		return n.Get("value").Text, true
	case n.Kind == yaml.Map:
		return "", true
	}
	return "", false
}

// text is text with variables as macros. self is the variable whose value it is: it does not mean itself.
func (f *file) text(raw, self string) string {
	return variableReference.ReplaceAllStringFunc(raw, func(found string) string {
		if found == "$$" {
			return "$"
		}
		name := strings.Trim(found, "${}")
		if name == self {
			return ""
		}
		f.use(name)
		return "$(" + name + ")"
	})
}

// use remembers that something reads a variable.
func (f *file) use(name string) { f.used[name] = true }

// useAll remembers the variables that a script reads by their names.
func (f *file) useAll(script string) {
	for _, name := range gitlabName.FindAllString(script, -1) {
		f.use(name)
	}
}

// ofRegistry reports a variable that says where images of the project are and how one signs in there.
func ofRegistry(name string) bool {
	switch name {
	case "CI_REGISTRY", "CI_REGISTRY_IMAGE", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD":
		return true
	}
	return false
}

// registryScript sets GitLab's variables of the registry to this server's, whose host a job knows when it runs. Names of images have
// small letters; the user may be any with the job's token.
const registryScript = `image=$(echo "$(System.TeamProject)/$(Build.Repository.Name)" | tr 'A-Z ' 'a-z-')
echo "##vso[task.setvariable variable=CI_REGISTRY]$SLIPWAY_REGISTRY_HOST"
echo "##vso[task.setvariable variable=CI_REGISTRY_IMAGE]$SLIPWAY_REGISTRY_HOST/$image"
echo "##vso[task.setvariable variable=CI_REGISTRY_USER]gitlab-ci-token"`

// predefined are those of GitLab's variables that the file reads. Which have no counterpart is told once.
func (f *file) predefined() []*yaml.Node {
	list := []*yaml.Node{(&draft.Map{}).Text("name", "CI").Put("value", draft.Scalar("true")).Node()}
	for _, name := range sortedKeys(f.used) {
		value, ok := predefinedVariables[name]
		if name == "CI_COMMIT_SHORT_SHA" || name == "CI_JOB_TOKEN" || name == "CI" || f.globals[name] != "" || ofRegistry(name) {
			continue // each job makes it, or it is there
		}
		if !ok {
			if strings.HasPrefix(name, "CI_") {
				f.say(f.root.At, "the variable "+name+" has no counterpart", "add it to the variables if something needs it")
			}
			continue
		}
		if name == "CI_DEFAULT_BRANCH" {
			f.note(f.root.At, "CI_DEFAULT_BRANCH is taken to be main", "write the name of the default branch if it is another")
		}
		list = append(list, (&draft.Map{}).Text("name", name).Put("value", draft.Scalar(value)).Node())
	}
	return list
}
