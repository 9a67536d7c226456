package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// obey does what a logging command asks for and returns the lines to show for it.
func (t *task) obey(c command) []string {
	if target := t.step.Target; target != nil && target.Restricted && !slices.Contains(restrictedCommands, c.name) {
		return []string{"##[warning]" + c.name + " is not obeyed, since the step's target restricts its commands."}
	}
	switch c.name {
	case "task.setvariable":
		return t.setVariable(c)
	case "task.setsecret":
		t.mask.Add(c.text)
	case "task.setendpoint":
		return t.setEndpoint(c)
	case "results.publish":
		return t.publishResults(c)
	case "codecoverage.publish":
		return t.publishCoverageFor(c)
	case "task.settaskvariable":
		return t.setTaskVariable(c)
	case "task.logissue", "task.issue": // the second is what Azure's library writes
		return t.logIssue(c)
	case "task.complete":
		return t.completeWith(c)
	case "task.setprogress":
		t.setProgress(c)
	case "task.prependpath":
		t.mu.Lock()
		t.path = append([]string{c.text}, t.path...)
		t.mu.Unlock()
	case "task.logdetail":
		return t.logDetail(c)
	case "telemetry.publish": // for Azure's own statistics
	case "task.debug":
		if strings.EqualFold(t.vars.Text(variable.SystemDebug), "true") {
			return []string{"##[debug]" + c.text}
		}
	case "task.addattachment":
		return t.attach(c, c.properties["type"], c.properties["name"])
	case "task.uploadfile", "build.uploadlog":
		return t.attach(c, job.FileAttachment, "")
	case "task.uploadsummary":
		return t.uploadSummary(c.text)
	case "build.updatebuildnumber":
		t.reports.setNumber(c.text)
		t.mu.Lock()
		t.runner.vars.PutText(variable.BuildBuildNumber, c.text)
		t.mu.Unlock()
	case "build.addbuildtag":
		t.reports.addTag(c.text)
	case "artifact.upload":
		return t.publishing(c, func(t *task, _ inputs) error { return t.add(c.properties["artifactname"], t.absolute(c.text)) }, nil)
	default:
		if instead, ok := notObeyed[c.name]; ok {
			return []string{"##[warning]" + c.name + " is not obeyed: " + instead + "."}
		}
		return []string{"##[warning]" + c.name + " is not a logging command that Slipway obeys."}
	}
	return nil
}

// setProgress tells how far the step is, in per cent.
func (t *task) setProgress(c command) {
	n, err := strconv.Atoi(c.properties["value"])
	if err != nil || n < 0 || n > 100 {
		return
	}
	t.mu.Lock()
	t.record.Percent = n
	record := *t.record
	t.mu.Unlock()
	t.reports.put(record)
}

// notObeyed are the commands of Azure Pipelines that have no effect here, with what to do instead.
var notObeyed = map[string]string{
	"artifact.associate":        "an artifact lies on this server; publish files with artifact.upload or a publish step",
	"codecoverage.enable":       "measure coverage in the build and publish it with PublishCodeCoverageResults@2",
	"release.updatereleasename": "there are no classic releases; build.updatebuildnumber names the run",
}

// restrictedCommands are those that `commands: restricted` leaves.
var restrictedCommands = []string{"task.complete", "task.debug", "task.issue", "task.logdetail", "task.logissue", "task.prependpath", "task.setprogress",
	"task.setsecret", "task.settaskvariable", "task.setvariable", "telemetry.publish"}

// settable reports whether the step may set a variable.
func (t *task) settable(name string) bool {
	target := t.step.Target
	return target == nil || !target.LimitsVariables ||
		slices.ContainsFunc(target.Settable, func(allowed string) bool { return strings.EqualFold(allowed, name) })
}

// fail makes the step fail though its program may end well.
func (t *task) fail() {
	t.mu.Lock()
	t.result = schedule.Failed
	t.mu.Unlock()
}

func (t *task) setVariable(c command) []string {
	name := strings.TrimSpace(c.properties["variable"])
	if name == "" {
		return []string{"##[warning]task.setvariable names no variable."}
	}
	if !t.settable(name) {
		return []string{"##[warning]Variable " + name + " keeps its value, since it is not among settableVariables of the step's target."}
	}
	secret, output := c.flag("issecret"), c.flag("isoutput")
	// As in Azure, outputs that a task declares are such; without a name of the step nobody could read them.
	output = output || t.step.Name != "" && slices.ContainsFunc(t.outputs, func(declared string) bool { return strings.EqualFold(declared, name) })
	if secret {
		t.mask.Add(c.text)
	}
	if len(c.text) > job.MaxOutputLength {
		t.fail()
		return []string{"##[error]The value of variable " + name + " is longer than " + strconv.Itoa(job.MaxOutputLength) + " bytes."}
	}
	full := name
	if output {
		if t.step.Name == "" {
			return []string{"##[warning]Output variable " + name + " is set by a step without a name, so nobody can read it: give the step a name."}
		}
		full = t.step.Name + "." + name
	}
	value := variable.Value{Text: c.text, Secret: secret, ReadOnly: c.flag("isreadonly")}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.runner.vars.Get(full); ok && old.ReadOnly {
		return []string{"##[warning]Variable " + full + " is read-only and keeps its value."}
	}
	t.runner.vars.Put(full, value)
	if !output {
		return nil
	}
	if secret {
		return []string{"##[warning]Output variable " + full + " is secret: it is known in this job and not given to others."}
	}
	if !t.reports.output(full, c.text) {
		return []string{"##[warning]The job has too many output variables; " + full + " is not given to others."}
	}
	return nil
}

// setTaskVariable sets a variable that only the other parts of the same task see.
func (t *task) setTaskVariable(c command) []string {
	name := strings.TrimSpace(c.properties["variable"])
	if name == "" || len(c.text) > job.MaxOutputLength {
		return []string{"##[warning]task.settaskvariable names no variable, or its value is longer than " + strconv.Itoa(job.MaxOutputLength) + " bytes."}
	}
	secret := c.flag("issecret")
	if secret {
		t.mask.Add(c.text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	set := t.taskVariables[t.of]
	set.Put(name, variable.Value{Text: c.text, Secret: secret})
	t.taskVariables[t.of] = set
	return nil
}

func (t *task) logIssue(c command) []string {
	kind := job.IssueWarning
	if strings.EqualFold(c.properties["type"], "error") {
		kind = job.IssueError
	}
	issue := job.Issue{Kind: kind, Message: t.mask.Mask(cut(c.text, job.MaxIssueLength)), Code: c.properties["code"]}
	if path := c.properties["sourcepath"]; path != "" {
		line, _ := strconv.Atoi(c.properties["linenumber"])
		column, _ := strconv.Atoi(c.properties["columnnumber"])
		if rel, err := filepath.Rel(t.folders.sources, path); err == nil && filepath.IsAbs(path) && !strings.HasPrefix(rel, "..") {
			path = rel
		}
		issue.At = &slipway.Position{File: path, Line: line, Column: column}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if kind == job.IssueError {
		t.record.Errors++
	} else {
		t.record.Warnings++
	}
	if len(t.record.Issues) < job.MaxIssues {
		t.record.Issues = append(t.record.Issues, issue)
	}
	return []string{"##[" + string(kind) + "]" + c.text}
}

func (t *task) completeWith(c command) []string {
	for _, result := range []schedule.Result{schedule.Succeeded, schedule.SucceededWithIssues, schedule.Failed, schedule.Skipped} {
		if strings.EqualFold(c.properties["result"], string(result)) {
			t.mu.Lock()
			t.result = result
			t.mu.Unlock()
		}
	}
	return nil
}

func (t *task) uploadSummary(path string) []string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.folders.sources, path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > job.MaxSummary {
		err = slipway.Limit("a summary has at most %d bytes", job.MaxSummary)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err == nil {
		summary := job.Summary{Step: t.step.ID, Name: filepath.Base(path), Text: t.mask.Mask(string(text))}
		err = t.client.again(t.ctx, func() error { return t.client.call(t.ctx, "POST", "/summaries", summary, nil) })
	}
	if err != nil {
		return []string{"##[warning]The summary was not taken: " + err.Error()}
	}
	return nil
}
