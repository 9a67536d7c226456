package api

import (
	"net/url"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// runFilter reads which runs are wanted: definitions, branchName, buildNumber (with * at its end for those that begin so), buildIds, statusFilter,
// resultFilter, reasonFilter, tagFilters, $top and continuationToken, as Azure DevOps has them. Of several filters all hold.
func runFilter(q url.Values) (pipelines.RunFilter, error) {
	f := pipelines.RunFilter{Ref: q.Get("branchName"), Number: q.Get("buildNumber"), Limit: defaultTop}
	f.Tags = listed(q, "tagFilters")
	if text := q.Get("$top"); text != "" {
		var err error
		if f.Limit, err = strconv.Atoi(text); err != nil || f.Limit < 1 {
			return f, slipway.Invalid("$top %q is not a positive number", text)
		}
	}
	for _, text := range listed(q, "definitions") {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return f, slipway.Invalid("definitions %q is not the number of a pipeline", text)
		}
		f.Pipelines = append(f.Pipelines, slipway.PipelineID(id))
	}
	for _, text := range append(listed(q, "buildIds"), listed(q, "continuationToken")...) {
		id, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return f, slipway.Invalid("%q is not the number of a run", text)
		case text == q.Get("continuationToken"):
			f.Before = slipway.RunID(id)
		default:
			f.IDs = append(f.IDs, slipway.RunID(id))
		}
	}
	return f, chooseRuns(q, &f)
}

// chooseRuns reads the filters that are lists of words.
func chooseRuns(q url.Values, f *pipelines.RunFilter) error {
	for _, text := range listed(q, "statusFilter") {
		switch strings.ToLower(text) {
		case "all":
		case "notstarted":
			f.States = append(f.States, pipelines.RunQueued)
		case "inprogress", "cancelling":
			f.States = append(f.States, pipelines.RunRunning)
		case "completed":
			f.States = append(f.States, pipelines.RunCompleted)
		default:
			return slipway.Invalid("statusFilter %q: write notStarted, inProgress, cancelling, completed or all", text)
		}
	}
	for _, text := range listed(q, "resultFilter") {
		results := []schedule.Result{schedule.Succeeded, schedule.SucceededWithIssues, schedule.Failed, schedule.Canceled, schedule.Skipped}
		before := len(f.Results)
		for _, one := range results {
			if strings.EqualFold(buildResult(one), text) {
				f.Results = append(f.Results, one)
			}
		}
		if len(f.Results) == before {
			return slipway.Invalid("resultFilter %q: write succeeded, partiallySucceeded, failed or canceled", text)
		}
	}
	for _, text := range listed(q, "reasonFilter") {
		if !strings.EqualFold(text, "all") {
			f.Reasons = append(f.Reasons, text)
		}
	}
	return nil
}

// listed are the words of a parameter that are parted by commas.
func listed(q url.Values, name string) (words []string) {
	for word := range strings.SplitSeq(q.Get(name), ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}
