// Package diagnostic lists what a check of pipeline files found and writes it in the formats that people and programs read:
// lines of text, JSON, SARIF 2.1.0, and the commands that annotate files on GitHub and in Azure Pipelines.
//
// It finds nothing itself; package compile does.
package diagnostic

import (
	"slices"

	"slipway"
	"slipway/internal/pipelines/compile"
)

// Severity says how bad it is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the file is refused
	Warning Severity = "warning" // allowed, and most likely a mistake
)

// Diagnostic is one sentence about one place.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Severity Severity `json:"severity"`
	// Code is invalid, unsupported or limit for errors, and warning.
	Code    slipway.Code `json:"code"`
	Message string       `json:"message"`
}

// At is the place.
func (d Diagnostic) At() slipway.Position {
	return slipway.Position{File: d.File, Line: d.Line, Column: d.Column}
}

// Of are the diagnostics of a report by file, in the order in which the files were read, and line.
func Of(r compile.Report) []Diagnostic {
	list := make([]Diagnostic, 0, len(r.Problems)+len(r.Warnings))
	for _, p := range r.Problems {
		d := Diagnostic{Severity: Error, Code: p.Code, Message: p.Message, Line: 1, Column: 1}
		if p.Position != nil {
			d.File, d.Line, d.Column = p.Position.File, p.Position.Line, p.Position.Column
		}
		list = append(list, d)
	}
	for _, w := range r.Warnings {
		list = append(list, Diagnostic{File: w.At.File, Line: w.At.Line, Column: w.At.Column, Severity: Warning, Code: "warning", Message: w.Message})
	}
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		if c := slices.Index(r.Sources, a.File) - slices.Index(r.Sources, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return list
}

// Count are the errors and the warnings in a list.
func Count(list []Diagnostic) (errors, warnings int) {
	for _, d := range list {
		if d.Severity == Error {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}
