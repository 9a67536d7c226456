// Package languageserver is the door for editors: the Language Server Protocol 3.17 for pipeline files over one stream.
//
// It tells mistakes while somebody types, completes keys, tasks, inputs, variables and names, explains them, and finds where
// templates, parameters, jobs, stages and variables are declared. What the language is, it reads from package schema, and
// what is wrong from package compile: it has no rule of its own.
//
// An outline of the file (outline.go) says where the cursor is. It goes by indentation and needs no valid YAML, since a file
// is rarely valid while it is typed.
//
//	editor -> Server.handle -> document   (text, synchronised in parts)
//	                        -> outline    (where the cursor is)
//	                        -> complete, hover, definition
//	          Server.watch  -> compile.Check -> diagnostics, a moment after the last change
package languageserver
