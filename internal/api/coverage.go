package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/coverage"
)

// CoverageStatistics counts lines, or branches, as Azure DevOps' code coverage summary does.
type CoverageStatistics struct {
	Label            string  `json:"label"` // Lines or Branches
	Position         int     `json:"position"`
	Total            int     `json:"total"`
	Covered          int     `json:"covered"`
	IsDeltaAvailable bool    `json:"isDeltaAvailable"`
	Delta            float64 `json:"delta"` // in points of the share
}

// CoverageModule is one file, as Azure DevOps' modules.
type CoverageModule struct {
	Name       string `json:"name"`
	Statistics struct {
		LinesCovered    int `json:"linesCovered"`
		LinesNotCovered int `json:"linesNotCovered"`
		Branches        int `json:"branches"`
		BranchesCovered int `json:"branchesCovered"`
	} `json:"statistics"`
}

// coverage answers with the summary of ?buildId=, or with ?flags= with the files.
func (b buildRoutes) coverage(w http.ResponseWriter, r request) error {
	id, err := strconv.ParseInt(r.URL.Query().Get("buildId"), 10, 64)
	if err != nil {
		return slipway.Invalid("buildId %q is not a number", r.URL.Query().Get("buildId"))
	}
	run, err := b.pipelines.Get(r.Context(), slipway.RunID(id))
	if err == nil && run.Project != r.project.ID {
		err = slipway.NotFound("there is no run %d", id)
	}
	if err != nil {
		return err
	}
	c, err := b.pipelines.Coverage(r.Context(), &run)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("flags") != "" {
		return b.coverageModules(w, r, &run)
	}
	data := []any{}
	data = append(data, map[string]any{"buildFlavor": "", "buildPlatform": "", "coverageStats": []CoverageStatistics{
		statistics("Lines", 4, c.Lines, c.Covered, c.BeforeRun != 0, coverage.Sum.Percent, c),
		statistics("Branches", 5, c.Branches, c.Taken, c.BeforeRun != 0 && c.Before.Branches > 0, coverage.Sum.BranchPercent, c),
	}})
	out := map[string]any{"build": b.buildLink(r, run.ID), "coverageData": data}
	if c.BeforeRun != 0 {
		out["deltaBuild"] = b.buildLink(r, c.BeforeRun)
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func statistics(label string, position, total, covered int, delta bool, share func(coverage.Sum) float64, c pipelines.Coverage) CoverageStatistics {
	s := CoverageStatistics{Label: label, Position: position, Total: total, Covered: covered, IsDeltaAvailable: delta}
	if delta {
		s.Delta = share(c.Sum) - share(c.Before)
	}
	return s
}

func (b buildRoutes) buildLink(r request, id slipway.RunID) map[string]string {
	return map[string]string{"id": id.String(), "url": fmt.Sprintf("%s/%s/_apis/build/builds/%d", b.url, url.PathEscape(r.project.Name), id)}
}

func (b buildRoutes) coverageModules(w http.ResponseWriter, r request, run *pipelines.Run) error {
	files, err := b.pipelines.CoverageFiles(r.Context(), run.ID, 0)
	if err != nil {
		return err
	}
	modules := make([]CoverageModule, len(files))
	for i, f := range files {
		m := &modules[i]
		m.Name = f.Name
		m.Statistics.LinesCovered, m.Statistics.LinesNotCovered = f.Covered, f.Lines-f.Covered
		m.Statistics.Branches, m.Statistics.BranchesCovered = f.Branches, f.Taken
	}
	return list(w, []map[string]any{{"configuration": map[string]any{"id": 1}, "state": "completed", "modules": modules}})
}
