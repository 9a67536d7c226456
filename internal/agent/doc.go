// Package agent runs one attempt of one job: it asks the server for the work, runs the steps as processes of its own
// machine or container, and reports what happens.
//
// The server may go away and come back at any time. Logs are first written to a file for each step and sent from there
// by offset; the state of steps is sent whole; both are sent again until they are answered, with growing waits. Steps do
// not wait for the server, unless they need it themselves (artifacts, checkout, deployments). Only when it stays away
// longer than Config.Patience does the job stop.
//
// Secrets are masked before a line reaches the file, so that they never leave the machine in a log.
//
// The package is part of a small static program: it must not import the server, a database or Kubernetes; a test checks.
package agent
