package languageserver

import (
	"maps"
	"path"
	"slices"
	"strings"

	"slipway/internal/pipelines/compile"
	pipelines "slipway/internal/pipelines/diagnostic"
)

// diagnose checks every open pipeline file, and is what the editor is to be told: the mistakes of each file that is open or
// included, and an empty list for files that have none any more.
func (s *Server) diagnose() []diagnosticsParams {
	documents := s.snapshot()
	found := map[string][]pipelines.Diagnostic{}
	texts := map[string]*document{}
	for _, uri := range slices.Sorted(maps.Keys(documents)) {
		d := documents[uri]
		texts[uri] = d
		if !d.isPipeline() {
			continue
		}
		o, relative, ok := s.overlay(uri, documents)
		if !ok {
			o, relative = overlay{open: map[string]*document{unsaved: d}}, unsaved
		}
		for _, f := range pipelines.Of(compile.Check(compile.Input{Path: relative, Files: o, Tasks: s.Tasks})) {
			file := d
			if f.File != relative {
				if file = o.document(f.File); file == nil {
					continue // a file of another repository
				}
			}
			texts[file.uri] = file
			f.File = ""
			if !slices.Contains(found[file.uri], f) { // another open file may include it too
				found[file.uri] = append(found[file.uri], f)
			}
		}
	}
	told := map[string]bool{}
	for uri := range documents {
		told[uri] = true
	}
	for uri := range found {
		told[uri] = true
	}
	for uri := range s.published {
		told[uri] = true // it may have to be emptied
	}
	var list []diagnosticsParams
	for _, uri := range slices.Sorted(maps.Keys(told)) {
		p := diagnosticsParams{URI: uri, Diagnostics: []diagnostic{}}
		if d := documents[uri]; d != nil {
			p.Version = &d.version
		}
		for _, f := range found[uri] {
			p.Diagnostics = append(p.Diagnostics, texts[uri].diagnostic(f))
		}
		if delete(s.published, uri); len(p.Diagnostics) > 0 {
			s.published[uri] = true
		}
		list = append(list, p)
	}
	return list
}

// unsaved is the name of a file that is nowhere on the disk.
const unsaved = "azure-pipelines.yml"

func (d *document) diagnostic(f pipelines.Diagnostic) diagnostic {
	severity := 1
	if f.Severity == pipelines.Warning {
		severity = 2
	}
	return diagnostic{Range: d.token(max(f.Line-1, 0), f.Column), Severity: severity, Code: string(f.Code), Source: "slipway", Message: f.Message}
}

// isPipeline tells pipelines and templates from other YAML files, of which editors give all.
func (d *document) isPipeline() bool {
	if strings.Contains(strings.ToLower(path.Base(d.uri)), "azure-pipelines") {
		return true
	}
	root := d.outline.root
	for _, key := range []string{"on", "apiVersion", "kind", "services"} {
		if root.has(key) && !root.has("steps") {
			return false
		}
	}
	for _, key := range []string{"stages", "jobs", "phases", "steps"} {
		if len(root.get(key).items()) > 0 {
			return true
		}
	}
	return root.get("extends").get("template") != nil || root.has("trigger") && root.has("pool") || root.has("parameters") && root.has("variables")
}
