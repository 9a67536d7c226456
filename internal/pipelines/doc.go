// Package pipelines owns pipelines: their definitions, runs, the timeline of stages, jobs and steps, logs, artifacts,
// test results and variable groups.
//
// The rules are in pure packages below: compile makes a plan of the files, schedule.Next decides from the plan and the
// facts what is next. This package is the shell around them. Facts are rows; whoever changes one calls advance in the
// same transaction, which records what schedule.Next decides, with its events, until there is nothing more to decide. What
// reaches outside, the pods of jobs, is done by Run: it compares rows with pods, again and again, so that a server which
// was killed goes on where it was.
//
//	run:  queued -> running -> completed
//	job:  queued (a pod is wanted) -> running (its agent asked for the work) -> completed (the agent said so, or is lost: lost.go)
//	pod:  wanted -> started -> to be removed -> removed
//
// What is decided is also kept as it was decided (journal), and replayed on request; which jobs get a pod next, schedule.Admit
// decides over the queue (limits.go).
//
// Runs start because somebody asks (ask.go), by pushes (push.go, batch.go), by schedules (schedules.go), and for images, other
// repositories and webhooks (resources.go, webhook.go). What waits or is
// due are rows too, which Run looks at; whether it starts a run is decided again in the transaction that creates the run.
//
// The package knows no HTTP and no Kubernetes: agents come in through internal/jobserver, pods are an Executor's, for
// example that of package pod. What other domains give comes through the interfaces of source.go.
package pipelines
