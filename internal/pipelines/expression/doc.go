// Package expression is the expression language of Azure Pipelines: what stands inside `${{ }}` and `$[ ]` and in
// conditions.
//
// It has literals (null, booleans, numbers, 'strings', versions), named values with properties, indexes and filters (*),
// and functions; no operators. Names ignore case. Which named values and functions exist depends on where an expression
// stands: its Scope. Parsing checks both, so that a misspelt name is found before a run exists.
//
//	e, err := expression.Parse("and(succeeded(), eq(variables['a'], 1))", expression.Scope{Names: []string{"variables"}, Status: true})
//	v, err := e.Evaluate(environment)
//
// The package is pure and bounds the size, depth and steps of what it is given.
package expression
