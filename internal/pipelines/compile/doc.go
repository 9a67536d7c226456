// Package compile reads an Azure Pipelines file and its templates and makes a plan of it, or says everything that is
// wrong with it, each with its place in its file.
//
// It is pure: files come through an interface that the caller gives. It goes in three steps: package template expands
// `${{ }}`, this package checks the tree key by key against the language and makes the plan, and at last looks for what is
// allowed and most likely a mistake (plan.Warning).
//
// What the language has and Slipway does not do yet is refused where it is written, with what to write instead, and never
// ignored: agentless jobs (pool: server), rolling and canary deployments, virtual machines in environments, step targets,
// getPackage, downloadBuild and reviewApp steps, builds, packages and webhooks under resources, container triggers, types,
// volumes and options, repositories of other hosts, `$[ ]` in numbers and booleans, counter() outside of the root's variables,
// the resources and pipeline values of run-time expressions, and tasks that package task does not describe.
package compile
