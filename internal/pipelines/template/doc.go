// Package template expands the `${{ }}` of a pipeline file: parameters, conditional and repeated parts, and other files
// that it includes. What it gives is one tree without expressions, whose nodes still know the file, line and column they
// were written at.
//
// It knows where templates may stand (stages, jobs, steps, variables, extends) and nothing else of the language: unknown
// keys pass through. It is pure; files come through the Files that the caller gives. Every expansion is bounded, see the
// constants.
package template

// Limits on one expansion.
const (
	MaxFiles       = 200     // different files
	MaxInclusions  = 5000    // inclusions, counted each time
	MaxNesting     = 100     // inclusions inside inclusions
	MaxEvaluations = 100_000 // expressions evaluated
	MaxNodes       = 200_000 // nodes of the result and of what it was made of
	MaxBytes       = 16 << 20
)
