// Package compile reads an Azure Pipelines file and its templates and makes a plan of it, or says everything that is
// wrong with it, each with its place in its file.
//
// It is pure: files come through an interface that the caller gives. It goes in three steps: package template expands
// `${{ }}`, this package checks the tree key by key against the language and makes the plan, and at last looks for what is
// allowed and most likely a mistake (plan.Warning).
//
// What the language has and Slipway does not do yet is refused where it is written, with what to write instead, and never
// ignored: numbers of namespaces in environments, types of containers but ACR, and of their volumes and options those that a pod does not
// have, counters that read dependencies, and tasks that are neither built in nor uploaded.
//
// What can only have no effect here is checked and warned of: builds under resources, triggers of containers whose
// images are of other registries, demands of pools that nobody made, and keys of pools that others manage.
package compile
