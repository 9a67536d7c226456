package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// jobsOnPage is how many jobs the page of a run shows at once. The page is drawn anew while the run runs, and a run may have thousands.
const jobsOnPage = 100

// jobList is the jobs that the page of a run shows.
type jobList struct {
	Rows []jobRow
	// First and Last are the places of the rows among Total jobs, from 1.
	First, Last, Total int
	Stage              string // whose jobs these are alone, "" for those of all stages
	All, Before, After string // pages: the jobs of all stages, those before these, and those after; "" for none
}

// stageJob is a job of a run with its stage.
type stageJob struct {
	stage *pipelines.TimelineStage
	job   *pipelines.TimelineJob
}

// rank puts first what people look for in a long list: the job whose log is shown, what failed, and what runs.
func (j stageJob) rank(chosen string) int {
	switch {
	case j.job.ID.String() == chosen:
		return 0
	case j.job.Result == schedule.Failed:
		return 1
	case j.job.State == schedule.Running:
		return 2
	}
	return 3
}

// jobList is the page's share of the run's jobs, as the request asks for it.
func (p pipelinesPages) jobList(r *http.Request, v View, t *pipelines.Timeline, mayRerun bool) jobList {
	query := r.URL.Query()
	var list jobList
	var all []stageJob
	jobs := 0
	for i := range t.Stages {
		st := &t.Stages[i]
		jobs += len(st.Jobs)
		if wanted := query.Get("stage"); wanted != "" && wanted != st.Name {
			continue
		}
		for k := range st.Jobs {
			all = append(all, stageJob{st, &st.Jobs[k]})
		}
		if query.Get("stage") == st.Name {
			list.Stage = stageTitle(st)
		}
	}
	if jobs > jobsOnPage {
		slices.SortStableFunc(all, func(a, b stageJob) int { return cmp.Compare(a.rank(query.Get("j")), b.rank(query.Get("j"))) })
	}
	page := func(stage string, from int) string {
		values := url.Values{"buildId": {t.Run.ID.String()}}
		if stage != "" {
			values.Set("stage", stage)
		}
		if from > 1 {
			values.Set("from", strconv.Itoa(from))
		}
		return v.URL("_build", "results") + "?" + values.Encode()
	}
	from, _ := strconv.Atoi(query.Get("from")) // what is no number is the first page
	list.Total = len(all)
	list.First = min(max(from, 1), max(list.Total, 1))
	list.Last = min(list.First+jobsOnPage-1, list.Total)
	if list.First > 1 {
		list.Before = page(query.Get("stage"), max(list.First-jobsOnPage, 1))
	}
	if list.Last < list.Total {
		list.After = page(query.Get("stage"), list.Last+1)
	}
	if query.Get("stage") != "" {
		list.All = page("", 1)
	}
	for _, j := range all[list.First-1 : list.Last] {
		row := p.jobRow(v, j.stage, j.job, query)
		row.MayRerun = mayRerun && j.stage.State == schedule.Completed && (len(row.Steps) > 0 || j.job.Result == schedule.Failed)
		list.Rows = append(list.Rows, row)
	}
	return list
}

// linkStages lets the stages lead to their jobs when the page does not show all of them.
func linkStages(view *runView, v View, stages []pipelines.TimelineStage) {
	jobs := 0
	for _, st := range stages {
		jobs += len(st.Jobs)
	}
	if jobs <= jobsOnPage {
		return
	}
	for _, column := range view.Columns {
		for i := range column {
			column[i].URL = v.URL("_build", "results") + "?" + url.Values{"buildId": {view.ID.String()}, "stage": {column[i].Name}}.Encode()
		}
	}
}
