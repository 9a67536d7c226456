// Package progress is what a build of an image tells while it runs: its steps, its log and its end, for people and for the server's list of builds.
//
// It does not build and knows no BuildKit, since the agent takes it, which lists the builds of a job.
package progress
