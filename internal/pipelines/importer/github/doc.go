// Package github makes a pipeline of a GitHub Actions workflow, with the actions and reusable workflows of its own repository.
//
// It is pure: files come through an interface. Facts are those of docs.github.com's reference of workflow syntax, contexts and
// expressions. `${{ }}` becomes a macro where it names a variable, a condition where it stands in `if`, and else a variable of the
// job whose value is a run-time expression.
package github
