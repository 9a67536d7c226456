package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

type logsView struct {
	Bar      insightsBar
	Text     string
	Severity telemetry.Severity
	Pod      string
	Rows     []insights.LogRow
	Older    string // URL of the rows before these, empty at the end
}

const logRows = 200

func (p insightsPages) logs(w http.ResponseWriter, r *http.Request, v View) error {
	bar, err := p.bar(r, v, "logs")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	view := logsView{Bar: bar, Text: q.Get("text"), Severity: telemetry.Severity(idOf(q.Get("severity"))), Pod: q.Get("pod")}
	query := insights.LogQuery{Filter: bar.Filter, Text: view.Text, Severity: view.Severity, Pod: view.Pod, Limit: logRows}
	if before := idOf(q.Get("before")); before != 0 {
		query.To = time.UnixMicro(before)
		if !query.From.Before(query.To) {
			return slipway.Invalid("there is nothing before the beginning of the time range")
		}
	}
	if view.Rows, err = p.insights.Logs(r.Context(), query); err != nil {
		return err
	}
	if n := len(view.Rows); n == logRows {
		view.Older = bar.URL([]any{"logs"}, "text", view.Text, "severity", fmt.Sprint(int(view.Severity)), "pod", view.Pod,
			"before", strconv.FormatInt(view.Rows[n-1].Time.UnixMicro(), 10))
	}
	return p.Render(w, r, v.Titled("Logs", "insights"), logsPage(view))
}

// operationURL is the page of a trace; at is a time in it, which makes finding it quick.
func operationURL(v View, operation string, at time.Time) string {
	u := v.URL("_insights", "operation", operation)
	if !at.IsZero() {
		u += "?at=" + url.QueryEscape(at.UTC().Format(time.RFC3339))
	}
	return u
}

type operationView struct {
	Project   View
	Operation string
	Start     time.Time
	Length    time.Duration
	Rows      []waterfallRow
	Origins   []insights.OperationRow // one row of each deployment that took part
}

type waterfallRow struct {
	insights.OperationRow
	Left, Width float64 // per cent of the whole
	Moment      bool
	Indent      int // pixels
}

const maxIndent = 12

func (p insightsPages) operation(w http.ResponseWriter, r *http.Request, v View) error {
	id := chi.URLParam(r, "operation")
	var from, to time.Time
	if at, err := time.Parse(time.RFC3339, r.URL.Query().Get("at")); err == nil {
		from, to = at.Add(-time.Hour), at.Add(time.Hour)
	}
	rows, err := p.insights.Operation(r.Context(), v.Project.ID, id, from, to)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Trace "+shortened(id, 12), "insights"), operationPage(waterfall(v, id, rows)))
}

// waterfall places rows on the time line of the whole.
func waterfall(v View, id string, rows []insights.OperationRow) operationView {
	view := operationView{Project: v, Operation: id, Start: rows[0].Time}
	end := rows[0].Time
	for _, r := range rows {
		view.Start = minTime(view.Start, r.Time)
		if e := r.Time.Add(r.Duration); e.After(end) {
			end = e
		}
	}
	view.Length = max(end.Sub(view.Start), time.Microsecond)
	seen := map[slipway.DeploymentID]bool{}
	for _, r := range rows {
		row := waterfallRow{OperationRow: r, Left: 100 * float64(r.Time.Sub(view.Start)) / float64(view.Length), Indent: 14 * min(r.Depth, maxIndent)}
		row.Width = max(0.4, 100*float64(r.Duration)/float64(view.Length))
		row.Left = min(row.Left, 100-row.Width)
		row.Moment = r.Kind == telemetry.KindTrace || r.Kind == telemetry.KindException || r.Kind == telemetry.KindEvent
		view.Rows = append(view.Rows, row)
		if !seen[r.Resource.Deployment] {
			seen[r.Resource.Deployment] = true
			view.Origins = append(view.Origins, r)
		}
	}
	return view
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

type alertsView struct {
	Bar       insightsBar
	Alerts    []insights.Alert
	Rules     []insights.Rule
	MayChange bool
}

func (p insightsPages) alerts(w http.ResponseWriter, r *http.Request, v View) error {
	bar, err := p.bar(r, v, "alerts")
	if err != nil {
		return err
	}
	view := alertsView{Bar: bar, MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	if view.Alerts, err = p.insights.Alerts(r.Context(), insights.AlertFilter{Project: v.Project.ID, Deployment: bar.Deployment}); err != nil {
		return err
	}
	if view.Rules, err = p.insights.Rules(r.Context(), v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Alerts", "insights"), alertsPage(view))
}

type alertView struct {
	Project View
	Alert   insights.Alert
	Trace   string // its page of the lineage
	Health  string // the health of its deployment
}

func (p insightsPages) alert(w http.ResponseWriter, r *http.Request, v View) error {
	a, err := p.insights.Alert(r.Context(), v.Project.ID, idOf(chi.URLParam(r, "alert")))
	if err != nil {
		return err
	}
	view := alertView{Project: v, Alert: a, Trace: traceURL(v, slipway.Ref(slipway.RefAlert, a.ID)),
		Health: v.URL("_insights") + "?" + url.Values{"deployment": {fmt.Sprint(a.Deployment)}, "range": {"24h"}}.Encode()}
	return p.Render(w, r, v.Titled(a.Rule.Name, "insights"), alertPage(view))
}

// changeRule writes the threshold, window, minimum and switch of a rule.
func (p insightsPages) changeRule(w http.ResponseWriter, r *http.Request, v View) error {
	rule, err := p.insights.Rule(r.Context(), v.Project.ID, idOf(chi.URLParam(r, "rule")))
	if err != nil {
		return err
	}
	threshold, err := strconv.ParseFloat(r.FormValue("threshold"), 64)
	if err != nil {
		return slipway.Invalid("the threshold must be a number")
	}
	rule.Threshold = threshold
	rule.Window = time.Duration(idOf(r.FormValue("window"))) * time.Second
	rule.Minimum = idOf(r.FormValue("minimum"))
	rule.Enabled = r.FormValue("enabled") == "on"
	if err := p.insights.UpdateRule(r.Context(), rule); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_insights", "alerts"))
}
