package agent

import (
	"fmt"
	"maps"
	"slices"

	"slipway/internal/pipelines/variable"
)

// annotations say of an object which run has applied it: pipelineAnnotations in kubernetesconstants.ts of Microsoft's package
// azure-pipelines-tasks-kubernetes-common, with the quotes that three of them have there. What a job does not know is left out.
func (t *task) annotations() map[string]string {
	v := t.vars.Text
	server, project, run := v(variable.SystemCollectionURI), v(variable.SystemTeamProject), v(variable.BuildBuildID)
	all := map[string]string{}
	put := func(name, text, format string) {
		if text != "" {
			all["azure-pipelines/"+name] = fmt.Sprintf(format, text)
		}
	}
	put("run", v(variable.BuildBuildNumber), "%s")
	put("pipeline", v(variable.BuildDefinitionName), `"%s"`)
	put("pipelineId", v(variable.BuildDefinitionID), `"%s"`)
	put("jobName", v(variable.AgentJobName), `"%s"`)
	put("runuri", run, server+project+"/_build/results?buildId=%s")
	put("project", project, "%s")
	put("org", server, "%s")
	return all
}

// annotate marks an object that an action has changed. As in the task, a failure is a warning.
func (t clusterProgram) annotate(kind, name string, namespace []string) {
	all := t.annotations()
	if len(all) == 0 {
		return
	}
	args := []string{"annotate", kind, name}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		args = append(args, key+"="+all[key])
	}
	if _, _, err := t.call(append(append(args, "--overwrite"), namespace...)...); err != nil {
		t.warn(fmt.Sprintf("%s %s is not annotated with its run: %v", kind, name, err))
	}
}

// withAnnotations puts annotations on objects.
func withAnnotations(objects []map[string]any, annotations map[string]string) {
	for _, o := range objects {
		for key, text := range annotations {
			child(child(o, "metadata"), "annotations")[key] = text
		}
	}
}
