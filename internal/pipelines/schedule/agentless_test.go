package schedule

import "testing"

// Agentless jobs wait, start, skip and stop as others do; only who runs them differs.
func TestAgentlessJobs(t *testing.T) {
	t.Parallel()
	const text = `
jobs:
- job: Build
  steps: [{script: x}]
- job: Ask
  dependsOn: Build
  pool: server
  variables: {who: $(Build.SourceBranch)}
  strategy: {maxParallel: 1, matrix: {a: {v: 1}, b: {v: 2}}}
  steps: [{task: ManualValidation@1, inputs: {notifyUsers: ''}}]
- job: Ship
  dependsOn: Ask
  steps: [{script: x}]
- job: Tell
  dependsOn: Ask
  condition: failed()
  pool: server
  steps: [{task: InvokeRESTAPI@1, inputs: {serviceConnection: 'https://example.com'}}]
`
	begun := func() *world { return newWorld(t, text).settle().isRunning("__default.Build") }
	w := begun().end("__default.Build", Succeeded).isRunning("__default.Ask.a").sees("__default.Ask.a", "who", "$(Build.SourceBranch)").sees("__default.Ask.a", "v", "1")
	w.end("__default.Ask.a", Succeeded).isRunning("__default.Ask.b").end("__default.Ask.b", Succeeded).isRunning("__default.Ship").job("__default.Tell", Skipped)
	begun().end("__default.Build", Succeeded).end("__default.Ask.a", Failed).end("__default.Ask.b", Succeeded).isRunning("__default.Tell").job("__default.Ship", Skipped)
	w = begun().end("__default.Build", Succeeded).cancel().isRunning("__default.Ask.a")
	if !w.facts.Jobs["__default.Ask.a"].CancelRequested {
		t.Error("the cancel does not reach the agentless job")
	}
	w.job("__default.Ask.b", Canceled).end("__default.Ask.a", Canceled).result(Canceled)
}
