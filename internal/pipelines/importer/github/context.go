package github

import (
	"fmt"
	"strings"
)

// predefined are contexts that a variable of Azure Pipelines holds in every run.
var predefined = map[string]string{
	"github.sha": "Build.SourceVersion", "github.ref": "Build.SourceBranch", "github.run_id": "Build.BuildId", "github.run_number": "Build.BuildId",
	"github.run_attempt": "System.JobAttempt", "github.actor": "Build.RequestedFor", "github.triggering_actor": "Build.RequestedFor",
	"github.workspace": "Build.SourcesDirectory", "github.workflow": "Build.DefinitionName", "github.job": "System.PhaseName",
	"github.repository": "Build.Repository.Name", "github.event.repository.name": "Build.Repository.Name", "github.event.repository.full_name": "Build.Repository.Name",
	"github.repository_owner": "System.TeamProject", "github.event.repository.owner.login": "System.TeamProject", "github.server_url": "System.CollectionUri",
	"github.repositoryurl": "Build.Repository.Uri", "github.event.repository.html_url": "Build.Repository.Uri", "github.event.repository.clone_url": "Build.Repository.Uri",
	"github.event.head_commit.message": "Build.SourceVersionMessage", "github.event.head_commit.id": "Build.SourceVersion", "github.event.after": "Build.SourceVersion",
	"github.event.head_commit.author.name": "Build.SourceVersionAuthor", "github.token": "System.AccessToken",
	"runner.temp": "Agent.TempDirectory", "runner.tool_cache": "Agent.ToolsDirectory", "runner.name": "Agent.Name", "runner.workspace": "Pipeline.Workspace",
	"strategy.job-total": "System.TotalJobsInPhase",
}

// computed are contexts whose value is made of predefined variables, which may be absent: variables of the root.
var computed = map[string]string{
	"github.ref_name":                       "replace(replace(variables['Build.SourceBranch'], 'refs/heads/', ''), 'refs/tags/', '')",
	"github.ref_type":                       "iif(startsWith(variables['Build.SourceBranch'], 'refs/tags/'), 'tag', 'branch')",
	"github.event_name":                     "iif(eq(variables['Build.Reason'], 'PullRequest'), 'pull_request', iif(eq(variables['Build.Reason'], 'Schedule'), 'schedule', iif(eq(variables['Build.Reason'], 'Manual'), 'workflow_dispatch', iif(eq(variables['Build.Reason'], 'ResourceTrigger'), 'workflow_run', 'push'))))",
	"github.head_ref":                       "replace(coalesce(variables['System.PullRequest.SourceBranch'], ''), 'refs/heads/', '')",
	"github.base_ref":                       "replace(coalesce(variables['System.PullRequest.TargetBranch'], ''), 'refs/heads/', '')",
	"github.event.pull_request.number":      "coalesce(variables['System.PullRequest.PullRequestId'], '')",
	"github.event.pull_request.head.sha":    "coalesce(variables['System.PullRequest.SourceCommitId'], '')",
	"github.event.schedule":                 "coalesce(variables['Build.CronSchedule.DisplayName'], '')",
	"github.event.workflow_run.head_branch": "replace(variables['Build.SourceBranch'], 'refs/heads/', '')",
}

// sameAs are other names of contexts.
var sameAs = map[string]string{
	"github.event.number": "github.event.pull_request.number", "github.event.pull_request.head.ref": "github.head_ref", "github.event.pull_request.base.ref": "github.base_ref",
	"github.event.ref": "github.ref", "github.event.release.tag_name": "github.ref_name", "github.event.issue.number": "github.event.pull_request.number",
	"github.event.workflow_run.head_sha": "github.sha", "github.event.sender.login": "github.actor", "github.event.pusher.name": "github.actor", "github.event.pull_request.user.login": "github.actor",
}

// fixed are contexts with one value here.
var fixed = map[string]string{
	"runner.os": "Linux", "runner.arch": "X64", "runner.environment": "self-hosted", "github.api_url": "", "github.event.repository.fork": "false",
	"github.event.repository.private": "true", "github.event.deleted": "false", "github.event.pull_request.merged": "false", "github.event.workflow_run.conclusion": "success",
	"github.event.repository.default_branch": "main",
}

// reasons are the values of Build.Reason of events.
var reasons = map[string][]string{
	"push": {"IndividualCI", "BatchedCI"}, "pull_request": {"PullRequest"}, "pull_request_target": {"PullRequest"}, "schedule": {"Schedule"},
	"workflow_dispatch": {"Manual"}, "workflow_run": {"ResourceTrigger"},
}

// results are the results of jobs.
var results = map[string]string{"success": "Succeeded", "failure": "Failed", "cancelled": "Canceled", "skipped": "Skipped"}

func variableValue(name string) value {
	return value{expr: "variables['" + name + "']", macro: "$(" + name + ")"}
}

// context is what a context's key is here.
func (t *translator) context(keys []string) (value, error) {
	name := strings.Join(keys, ".")
	low := strings.ToLower(name)
	if other, ok := sameAs[low]; ok {
		low = other
	}
	if text, ok := fixed[low]; ok {
		if text == "true" || text == "false" {
			return knownBool(text == "true"), nil
		}
		if low == "github.event.repository.default_branch" {
			t.w.note(t.scope.at, name+" is taken to be main", "write the name of the default branch if it is another")
		}
		return known(text), nil
	}
	if low == "github.event.pull_request.head.repo.fork" {
		return boolean(fromFork), nil
	}
	if variable, ok := predefined[low]; ok {
		return variableValue(variable), nil
	}
	if expr, ok := computed[low]; ok {
		v := variableValue(t.w.rootVariable(low, expr))
		if low == "github.event_name" {
			v.equals = event
		}
		return v, nil
	}
	if len(keys) < 2 {
		return value{}, fmt.Errorf("the whole context %s has no counterpart", name)
	}
	switch keys[0] {
	case "matrix":
		return t.matrix(keys), nil
	case "env":
		return t.env(keys[1])
	case "secrets":
		return t.secret(keys[1]), nil
	case "vars":
		return variableValue(t.w.needed(keys[1], false)), nil
	case "inputs":
		return t.input(keys[1])
	case "github":
		if len(keys) == 4 && keys[1] == "event" && keys[2] == "inputs" {
			return t.input(keys[3])
		}
	case "steps":
		return t.stepOutput(keys)
	case "needs", "jobs":
		return t.need(keys)
	case "job":
		return t.jobContext(keys)
	}
	return value{}, fmt.Errorf("%s is not known here", name)
}

// event compares the event with one of GitHub's.
func event(name string) string {
	list := reasons[name]
	switch len(list) {
	case 0:
		return "false"
	case 1:
		return "eq(variables['Build.Reason'], " + quote(list[0]) + ")"
	}
	quoted := make([]string, len(list))
	for i, r := range list {
		quoted[i] = quote(r)
	}
	return "in(variables['Build.Reason'], " + strings.Join(quoted, ", ") + ")"
}

func (t *translator) matrix(keys []string) value {
	name := strings.Join(keys, ".")
	if t.j == nil || !t.j.matrixNames[name] {
		return known("")
	}
	if t.j.singleValue != nil {
		if text, ok := t.j.singleValue[name]; ok {
			return known(text)
		}
	}
	return variableValue(name)
}

func (t *translator) secret(name string) value {
	if strings.EqualFold(name, "GITHUB_TOKEN") {
		return variableValue("System.AccessToken")
	}
	if raw, ok := t.scope.secrets[name]; ok { // a reusable workflow's, with the name that its caller has
		if v, err := t.outer().textValue(raw); err == nil {
			return v
		}
	}
	return variableValue(t.w.needed(name, true))
}

// outer translates what the caller of an action or workflow has written.
func (t *translator) outer() *translator {
	o := *t
	if t.scope.outer != nil {
		o.scope = t.scope.outer
	}
	return &o
}

// env is a variable of the environment: that of the step, of the job, or of the workflow, or one that a step has set.
func (t *translator) env(name string) (value, error) {
	for s := t.scope; s != nil; s = s.outer {
		if raw, ok := s.env[name]; ok {
			inner := *t
			inner.scope = s.without(name)
			return inner.textValue(raw)
		}
	}
	return variableValue(name), nil
}

// input is an input of an action or a reusable workflow, as its caller gives it, or a parameter of the run.
func (t *translator) input(name string) (value, error) {
	if t.scope.inputs != nil {
		if raw, ok := t.scope.inputs[strings.ToLower(name)]; ok {
			return t.outer().textValue(raw)
		}
		return known(""), nil
	}
	p, ok := t.w.parameters[strings.ToLower(name)]
	if !ok {
		return known(""), nil
	}
	if p.boolean {
		return value{expr: "eq('${{ parameters." + p.name + " }}', 'True')", macro: "${{ lower(parameters." + p.name + ") }}", boolean: true}, nil
	}
	return value{expr: "'${{ parameters." + p.name + " }}'", macro: "${{ parameters." + p.name + " }}"}, nil
}

func (t *translator) stepOutput(keys []string) (value, error) {
	if t.j == nil || len(keys) < 4 || keys[2] != "outputs" {
		return value{}, fmt.Errorf("%s: how single steps ended has no counterpart", strings.Join(keys, "."))
	}
	id, output := keys[1], strings.Join(keys[3:], ".")
	s := t.j.stepIDs[t.scope.prefix+id]
	switch {
	case s == nil:
		return value{}, fmt.Errorf("steps.%s.outputs.%s is of a step that could not be carried over", id, output)
	case t.place != inStep:
		return value{}, fmt.Errorf("steps.%s.outputs.%s is not known before the job has begun", id, output)
	case len(s.composite) > 0:
		raw, ok := s.composite[output]
		if !ok {
			return known(""), nil
		}
		inner := *t
		inner.scope = s.inside
		return inner.textValue(raw)
	}
	return variableValue(s.name + "." + outputName(output)), nil
}

// outputName is an output as the name of a variable.
func outputName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// need is an output or the result of a job that this one depends on.
func (t *translator) need(keys []string) (value, error) {
	if t.j == nil || len(keys) < 3 {
		return value{}, fmt.Errorf("%s is not known here", strings.Join(keys, "."))
	}
	id := t.scope.jobPrefix + keys[1]
	other := t.w.jobs[id]
	if called := t.w.called[id]; called != nil && len(keys) == 4 {
		return called.output(t, keys[3])
	}
	if other == nil || other.dropped {
		return value{}, fmt.Errorf("job %s could not be carried over", keys[1])
	}
	var expr string
	switch {
	case keys[2] == "result":
		expr = "dependencies." + other.name + ".result"
	case keys[2] == "outputs" && len(keys) == 4:
		if len(other.legs) > 0 {
			return value{}, fmt.Errorf("needs.%s.outputs of a job with a matrix is not known: each leg has outputs of its own", keys[1])
		}
		source, err := other.output(keys[3])
		if err != nil {
			return value{}, err
		}
		if source.isLit() {
			return source, nil
		}
		expr = "dependencies." + other.name + ".outputs['" + source.expr + "']"
	default:
		return value{}, fmt.Errorf("%s is not known", strings.Join(keys, "."))
	}
	v := value{expr: expr}
	if t.place == inStep {
		v = variableValue(t.j.variable(strings.Join(keys, "."), expr))
	}
	if keys[2] == "result" {
		compared := v.expr
		v.equals = func(text string) string {
			if r, ok := results[text]; ok && r == "Succeeded" {
				return "in(" + compared + ", 'Succeeded', 'SucceededWithIssues')"
			} else if ok {
				return "eq(" + compared + ", " + quote(r) + ")"
			}
			return "false"
		}
	}
	return v, nil
}

func (t *translator) jobContext(keys []string) (value, error) {
	if len(keys) == 2 && keys[1] == "status" && t.place == inStep {
		v := variableValue("Agent.JobStatus")
		v.equals = func(text string) string {
			if r, ok := results[text]; ok && r == "Succeeded" {
				return "in(variables['Agent.JobStatus'], 'Succeeded', 'SucceededWithIssues')"
			} else if ok {
				return "eq(variables['Agent.JobStatus'], " + quote(r) + ")"
			}
			return "false"
		}
		return v, nil
	}
	if len(keys) == 5 && keys[1] == "services" && keys[3] == "ports" {
		return known(keys[4]), nil // all containers of a job share one network
	}
	return value{}, fmt.Errorf("%s is not known here", strings.Join(keys, "."))
}
