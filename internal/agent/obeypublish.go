package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/job"
)

// publishing does what a task of this agent does for a logging command, and gives the lines to show. A failure fails the step, as the
// task would.
func (t *task) publishing(c command, do func(*task, inputs) error, given map[string]string) []string {
	quiet := *t
	var shown []string
	quiet.log = &stepLog{mask: t.mask, held: &shown} // the step's own is locked while a command in it is obeyed
	if err := do(&quiet, inputs{&quiet, given}); err != nil {
		t.fail()
		shown = append(shown, "##[error]"+c.name+": "+sentence(err))
	}
	return shown
}

// publishResults is results.publish. The properties are those of ResultsCommandExtension in microsoft/azure-pipelines-agent.
func (t *task) publishResults(c command) []string {
	p := c.properties
	if p["type"] == "" || p["resultfiles"] == "" {
		t.fail()
		return []string{"##[error]results.publish needs type (JUnit, NUnit, VSTest, XUnit, CTest) and resultFiles, the paths parted by commas."}
	}
	return t.publishing(c, (*task).publishTestResults, map[string]string{"testresultsformat": p["type"], "testresultsfiles": strings.ReplaceAll(p["resultfiles"], ",", "\n"),
		"mergetestresults": cmp.Or(p["mergeresults"], "true"), "testruntitle": p["runtitle"], "failtaskonfailedtests": p["failtaskonfailedtests"],
		"buildplatform": p["platform"], "buildconfiguration": p["config"], "publishrunattachments": p["publishrunattachments"]})
}

// publishCoverageFor is codecoverage.publish. The properties are those of CodeCoverageCommandExtension in
// microsoft/azure-pipelines-agent.
func (t *task) publishCoverageFor(c command) []string {
	p := c.properties
	if p["summaryfile"] == "" {
		t.fail()
		return []string{"##[error]codecoverage.publish needs summaryfile, the path of the report."}
	}
	return t.publishing(c, (*task).publishCoverage1, map[string]string{"summaryfilelocation": p["summaryfile"], "reportdirectory": p["reportdirectory"],
		"additionalcodecoveragefiles": strings.ReplaceAll(p["additionalcodecoveragefiles"], ",", "\n")})
}

// endpointChange is what task.setendpoint changes of a service connection for the steps that follow in this job.
type endpointChange struct{ field, key, value string }

// maxEndpointChanges bounds those of a job.
const maxEndpointChanges = 500

// setEndpoint is task.setendpoint: the connection itself stays as it is.
func (t *task) setEndpoint(c command) []string {
	change := endpointChange{strings.ToLower(c.properties["field"]), c.properties["key"], c.text}
	id := strings.ToLower(c.properties["id"])
	switch {
	case id == "":
		return []string{"##[warning]task.setendpoint names no service connection: give its id."}
	case change.field != "authparameter" && change.field != "dataparameter" && change.field != "url":
		return []string{"##[warning]task.setendpoint: field is authParameter, dataParameter or url."}
	case change.field != "url" && change.key == "":
		return []string{"##[warning]task.setendpoint needs the key of what it sets."}
	}
	if change.field == "authparameter" {
		t.mask.Add(c.text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.endpoints[id]) >= maxEndpointChanges {
		return []string{fmt.Sprintf("##[warning]task.setendpoint: the job has changed the connection %d times already.", maxEndpointChanges)}
	}
	t.endpoints[id] = append(t.endpoints[id], change)
	return nil
}

// changed is a connection as steps of this job have changed it.
func (t *task) changed(c job.Connection) job.Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	changes := slices.Concat(t.endpoints[strings.ToLower(c.ID)], t.endpoints[strings.ToLower(c.Name)])
	if len(changes) == 0 {
		return c
	}
	c.Parameters, c.Data = maps.Clone(c.Parameters), maps.Clone(c.Data)
	for _, change := range changes {
		switch change.field {
		case "url":
			c.URL = change.value
		case "authparameter":
			c.Parameters = withKey(c.Parameters, change.key, change.value)
		case "dataparameter":
			c.Data = withKey(c.Data, change.key, change.value)
		}
	}
	return c
}

// withKey sets an entry, under the name that it has already in whatever case.
func withKey(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	for name := range m {
		if strings.EqualFold(name, key) {
			key = name
		}
	}
	m[key] = value
	return m
}
