// Package plan is what an Azure Pipelines YAML file means, once templates are expanded and every name is resolved: an
// immutable tree of stages, jobs and steps.
//
// A plan is data. It is made once by package compile, stored as JSON with its version, and read by the scheduler
// (package schedule) and by the agent, which runs its steps. The set of node kinds is closed: what the language can say
// and a plan cannot is refused at compile time, so whoever reads a plan never meets something unknown.
//
// Text in a plan may still hold `$(macros)`, which the agent expands just before a step, and some places hold an
// expression for the server (`$[ ]` or a condition), which the scheduler evaluates; each field says which.
//
// The package knows no YAML, does no I/O and evaluates nothing.
package plan
