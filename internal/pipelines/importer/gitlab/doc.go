// Package gitlab makes a pipeline of a file of GitLab CI, with the local files that it includes.
//
// It is pure: files come through an interface. Facts are those of docs.gitlab.com's reference of the CI/CD YAML syntax. Stages become
// stages, unless jobs use `needs`: then each job becomes a stage of its own, since dependencies of jobs cross stages there. A manual
// job is a stage with `trigger: manual`.
package gitlab
