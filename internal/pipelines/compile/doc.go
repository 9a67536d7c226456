// Package compile reads an Azure Pipelines file and its templates and makes a plan of it, or says everything that is
// wrong with it, each with its place in its file.
//
// It is pure: files come through an interface that the caller gives.
package compile
