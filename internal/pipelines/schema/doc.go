// Package schema is the table of the pipeline language: every map of a file with its keys, what the value of each is, and
// what it means in a sentence.
//
// It is the one place that knows them. The compiler refuses by it, the JSON schema for editors is generated from it, and the
// language server completes and explains with it. It knows neither YAML nor expressions, and checks nothing itself.
package schema
