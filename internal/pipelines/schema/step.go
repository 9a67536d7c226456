package schema

import (
	"math"
	"slices"
)

// Steps is a list of steps.
var Steps = list(object(append(slices.Clone(StepObjects), TemplateReference)...))

// StepObjects are the kinds of steps; the mark of each is the key that makes a step one.
var StepObjects = []*Object{
	step("script", "Runs a script in the shell.", scriptValue, workingDirectory, failOnStderr),
	step("bash", "Runs a script in Bash.", scriptValue, workingDirectory, failOnStderr),
	step("pwsh", "Runs a script in PowerShell (pwsh), which the job's image must have.", scriptValue, workingDirectory, failOnStderr, errorAction, ignoreExit),
	step("powershell", "Runs a script in PowerShell (pwsh), which the job's image must have.", scriptValue, workingDirectory, failOnStderr, errorAction, ignoreExit),
	step("checkout", "Fetches a repository: self, none, an alias under resources.repositories, or git://PROJECT/REPOSITORY@REF of this server.", refers(Repository),
		Key{Name: "clean", Value: flag(), Doc: "Whether files that git does not know are removed first."},
		Key{Name: "fetchDepth", Value: Value{Integer: true, Most: math.MaxInt32, Macro: true}, Doc: "How many commits are fetched; 0 is all of them."},
		Key{Name: "fetchFilter", Value: text(), Doc: "Which objects are fetched, as git's --filter: blob:none."},
		Key{Name: "fetchTags", Value: flag(), Doc: "Whether tags are fetched."},
		Key{Name: "lfs", Value: flag(), Doc: "Whether large files are fetched."},
		Key{Name: "path", Value: text(), Doc: "The folder, below $(Pipeline.Workspace); s by default."},
		Key{Name: "persistCredentials", Value: flag(), Doc: "Whether git's credentials stay for the steps that follow."},
		Key{Name: "submodules", Value: Value{Boolean: true, Macro: true, Options: []string{"recursive"}}, Doc: "Whether submodules are fetched: true, or recursive for theirs too."},
		Key{Name: "workspaceRepo", Value: flag(), Doc: "Whether steps begin in this repository's folder ($(System.DefaultWorkingDirectory)) from then on; false by default."},
		Key{Name: "sparseCheckoutDirectories", Value: text(), Doc: "The only folders that are checked out."},
		Key{Name: "sparseCheckoutPatterns", Value: text(), Doc: "Patterns of the only files that are checked out."},
	),
	step("publish", "Stores a file or folder as an artifact of the run.", text(), artifactName, artifactProperties),
	step("upload", "Stores a file or folder as an artifact of the run.", text(), artifactName, artifactProperties),
	step("download", "Fetches artifacts: of the current run, none, or of a pipeline under resources.pipelines.", refers(Pipeline),
		Key{Name: "artifact", Value: text(), Doc: "The artifact; without it, all of them."},
		Key{Name: "patterns", Value: text(), Doc: "Patterns of the files that are fetched, one a line; ** by default."},
		Key{Name: "path", Value: text(), Doc: "The folder; $(Pipeline.Workspace) by default."},
	),
	step("downloadBuild", "Fetches artifacts, as download does; builds of other systems are not there.", refers(Pipeline),
		Key{Name: "artifact", Value: text(), Doc: "The artifact; without it, all of them."},
		Key{Name: "patterns", Value: text(), Doc: "Patterns of the files that are fetched, one a line; ** by default."},
		Key{Name: "path", Value: text(), Doc: "The folder; $(Pipeline.Workspace) by default."},
	),
	step("getPackage", "Fetches a package of resources.packages and unpacks it.", refers(Package),
		Key{Name: "path", Value: text(), Doc: "The folder, below $(Pipeline.Workspace); the package's alias by default."},
	),
	step("reviewApp", "Lets a deployment job of a pull request's run deploy to a review app: an environment of its own, made of the job's.", text()),
	step("task", "Runs a task, NAME@MAJOR.", refers(Task), Key{Name: "inputs", Value: Value{Names: &Value{Text: true}, Refers: Inputs}, Doc: "The task's inputs, under their names in any case."}),
}

// The keys that several kinds of steps have.
var (
	scriptValue        = text()
	workingDirectory   = Key{Name: "workingDirectory", Value: text(), Doc: "Where the script runs; $(System.DefaultWorkingDirectory) by default."}
	failOnStderr       = Key{Name: "failOnStderr", Value: flag(), Doc: "Whether the step fails if the script writes to standard error; false by default."}
	errorAction        = Key{Name: "errorActionPreference", Value: Value{Options: []string{"default", "stop", "continue", "silentlyContinue"}, Macro: true}, Doc: "What PowerShell does at an error; stop by default."}
	ignoreExit         = Key{Name: "ignoreLASTEXITCODE", Value: flag(), Doc: "Whether the last program's exit code is ignored."}
	artifactName       = Key{Name: "artifact", Value: text(), Doc: "The artifact's name, unique in the run; the job's name by default."}
	artifactProperties = Key{Name: "properties", Value: text(), Doc: "A JSON object that is stored with the artifact."}
)

func step(mark, doc string, value Value, own ...Key) *Object {
	return &Object{
		Name: "a " + mark + " step", Mark: mark, Doc: doc,
		Keys: slices.Concat([]Key{{Name: mark, Required: true, Value: value, Doc: doc}}, own, []Key{
			{Name: "name", Value: text(), Doc: "The name of the step's outputs, in dependencies.JOB.outputs['NAME.VARIABLE']."},
			{Name: "displayName", Value: text(), Doc: "What people see."},
			{Name: "condition", Value: condition(), Doc: "When the step runs; succeeded() by default."},
			{Name: "continueOnError", Value: whenQueued(boolean()), Doc: "Whether the job goes on if the step fails; false by default."},
			{Name: "enabled", Value: whenQueued(boolean()), Doc: "Whether the step runs at all; true by default."},
			{Name: "env", Value: names(text()), Doc: "Environment variables of the step; secrets come to a script only this way."},
			{Name: "timeoutInMinutes", Value: whenQueued(integer(0, MostMinutes)), Doc: "How long the step may take; without a limit of its own by default."},
			{Name: "target", Value: Value{Text: true, Refers: Container, Maps: []*Object{StepTarget}}, Doc: "The container that the step runs in, or host, and which logging commands its output may give."},
			{Name: "retryCountOnTaskFailure", Value: whenQueued(integer(0, MostRetries)), Doc: "How often the step is tried again if it fails."},
		}),
		Elsewhere: foreignStepKeys,
	}
}

// foreignStepKeys are keys of a step in other languages, and of jobs and tasks in this.
var foreignStepKeys = map[string]string{
	"retryCountOnError": "write retryCountOnTaskFailure",
	"pool":              "write it in the job", "dependsOn": "write it in the job", "strategy": "write it in the job", "services": "write it in the job",
	"container": "write target, or container in the job", "variables": "write env here, or variables in the job", "environment": "write it in a deployment job",
	"if": "write condition", "when": "write condition", "timeout": "write timeoutInMinutes", "timeout-minutes": "write timeoutInMinutes",
	"continue-on-error": "write continueOnError", "working-directory": "write workingDirectory", "cwd": "write workingDirectory",
	"with": "a task has inputs", "run": "write script", "uses": "write task", "shell": "write bash, pwsh or powershell in place of script", "id": "write name",
	"retries": "write retryCountOnTaskFailure", "steps": "a step holds no steps: write them below each other",
}

// StepTarget says where a step runs and what it may do.
var StepTarget = &Object{Name: "target of a step", Doc: "Where the step runs, and what its output may do.", Keys: []Key{
	{Name: "container", Value: refers(Container), Doc: "A container under resources.containers, or host: the pool's image, also in a job with a container."},
	{Name: "commands", Value: option("any", "restricted"), Doc: "Which logging commands are obeyed; restricted leaves those that concern the step itself."},
	{Name: "settableVariables", Value: Value{Options: []string{"none"}, List: &Value{Text: true}}, Doc: "The only variables that the step may set, or none."},
}}

// StepObject is the kind of step that a key makes, nil for other keys.
func StepObject(mark string) *Object {
	for _, o := range StepObjects {
		if o.Mark == mark {
			return o
		}
	}
	return nil
}

// StepMarks are the keys that make a step what it is.
func StepMarks() []string {
	list := make([]string, len(StepObjects))
	for i, o := range StepObjects {
		list[i] = o.Mark
	}
	return list
}

// RefusedStep says what to write instead of a step of the language that is not there.
func RefusedStep(mark string) (instead string, ok bool) {
	instead, ok = refusedSteps[mark]
	return instead, ok
}

// refusedSteps is never changed.
var refusedSteps = map[string]string{
	"restoreCache": "leave it out", "saveCache": "leave it out",
}
