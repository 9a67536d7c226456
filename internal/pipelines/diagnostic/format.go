package diagnostic

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"slipway"
)

// Format is a way to write diagnostics.
type Format string

// The formats.
const (
	Text   Format = "text"   // file:line:column: severity: message
	JSON   Format = "json"   // a list of objects
	SARIF  Format = "sarif"  // OASIS Static Analysis Results Interchange Format 2.1.0
	GitHub Format = "github" // ::error file=…:: commands of GitHub Actions
	Azure  Format = "azure"  // ##vso[task.logissue …] commands of Azure Pipelines
)

// Formats are all formats.
var Formats = []Format{Text, JSON, SARIF, GitHub, Azure}

// ParseFormat reads a format's name.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); slices.Contains(Formats, f) {
		return f, nil
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return "", slipway.Invalid("format %q: write %s", s, strings.Join(names, ", "))
}

// Write writes the list.
func Write(w io.Writer, f Format, list []Diagnostic) error {
	switch f {
	case JSON:
		if list == nil {
			list = []Diagnostic{}
		}
		return indented(w, list)
	case SARIF:
		return indented(w, sarif(list))
	}
	for _, d := range list {
		if _, err := fmt.Fprintln(w, line(f, d)); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

func line(f Format, d Diagnostic) string {
	switch f {
	case GitHub:
		return fmt.Sprintf("::%s file=%s,line=%d,col=%d::%s", d.Severity, commandProperty.Replace(d.File), d.Line, d.Column, commandText.Replace(d.Message))
	case Azure:
		return fmt.Sprintf("##vso[task.logissue type=%s;sourcepath=%s;linenumber=%d;columnnumber=%d;]%s", d.Severity, azureProperty.Replace(d.File), d.Line, d.Column, azureText.Replace(d.Message))
	}
	return fmt.Sprintf("%s: %s: %s", d.At(), d.Severity, d.Message)
}

// How the commands of both systems escape what would end a property or a line.
var (
	commandText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	azureText       = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A")
	azureProperty   = strings.NewReplacer("%", "%AZP25", "\r", "%0D", "\n", "%0A", "]", "%5D", ";", "%3B")
)

// The parts of SARIF 2.1.0 that are written (sections 3.13 to 3.30 of the standard).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string       `json:"id"`
		ShortDescription sarifMessage `json:"shortDescription"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifMessage    `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		PhysicalLocation struct {
			ArtifactLocation struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				StartLine   int `json:"startLine"`
				StartColumn int `json:"startColumn"`
			} `json:"region"`
		} `json:"physicalLocation"`
	}
)

func sarif(list []Diagnostic) sarifLog {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: make([]sarifResult, 0, len(list))}
	run.Tool.Driver = sarifDriver{Name: "slipway", Rules: []sarifRule{
		{string(slipway.CodeInvalid), sarifMessage{"The pipeline file is wrong."}},
		{string(slipway.CodeUnsupported), sarifMessage{"Slipway does not have what the pipeline file uses."}},
		{string(slipway.CodeLimit), sarifMessage{"The pipeline file goes beyond a limit."}},
		{"warning", sarifMessage{"It is allowed and most likely a mistake."}},
	}}
	for _, d := range list {
		var l sarifLocation
		l.PhysicalLocation.ArtifactLocation.URI = d.File
		l.PhysicalLocation.Region.StartLine, l.PhysicalLocation.Region.StartColumn = max(d.Line, 1), max(d.Column, 1)
		run.Results = append(run.Results, sarifResult{RuleID: string(d.Code), Level: string(d.Severity), Message: sarifMessage{d.Message}, Locations: []sarifLocation{l}})
	}
	return sarifLog{Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}
