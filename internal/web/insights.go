package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/insights"
)

type insightsPages struct {
	*Server
	insights *insights.Service
}

// AddInsights serves telemetry's pages: health, performance, usage, logs, one trace, alerts and their rules.
func (s *Server) AddInsights(i *insights.Service) {
	p := insightsPages{s, i}
	s.Project("GET", "/_insights", identity.Read, p.health)
	s.Project("GET", "/_insights/performance", identity.Read, p.performance)
	s.Project("GET", "/_insights/usage", identity.Read, p.usage)
	s.Project("GET", "/_insights/logs", identity.Read, p.logs)
	s.Project("GET", "/_insights/operation/{operation}", identity.Read, p.operation)
	s.Project("GET", "/_insights/alerts", identity.Read, p.alerts)
	s.Project("GET", "/_insights/alerts/{alert}", identity.Read, p.alert)
	s.Project("POST", "/_insights/rules/{rule}", identity.Administer, p.changeRule)
}

// insightsBar is the tabs and the filter above every page of telemetry.
type insightsBar struct {
	Project      View
	Tab          string
	Path         string // of the page, for the form
	Range        string
	Environment  slipway.EnvironmentID
	Deployment   slipway.DeploymentID
	Service      string
	Environments []insights.EnvironmentName
	Services     []string
	Filter       insights.Filter
}

var insightRanges = []struct {
	Name string
	Span time.Duration
}{{"30m", 30 * time.Minute}, {"1h", time.Hour}, {"6h", 6 * time.Hour}, {"24h", 24 * time.Hour}, {"7d", 7 * 24 * time.Hour}, {"30d", 30 * 24 * time.Hour}}

// bar reads the filter of a request: ?range=1h&environment=2&deployment=7&service=shop.
func (p insightsPages) bar(r *http.Request, v View, tab string) (insightsBar, error) {
	q := r.URL.Query()
	b := insightsBar{Project: v, Tab: tab, Path: r.URL.Path, Range: "1h", Service: q.Get("service"), Environment: slipway.EnvironmentID(idOf(q.Get("environment"))),
		Deployment: slipway.DeploymentID(idOf(q.Get("deployment")))}
	now := p.insights.Now()
	b.Filter = insights.Filter{Project: v.Project.ID, Environment: b.Environment, Deployment: b.Deployment, Service: b.Service, From: now.Add(-time.Hour), To: now.Add(time.Second)}
	for _, one := range insightRanges {
		if one.Name == q.Get("range") {
			b.Range, b.Filter.From = one.Name, now.Add(-one.Span)
		}
	}
	var err error
	if b.Environments, err = p.insights.Environments(r.Context(), v.Project.ID); err != nil {
		return b, err
	}
	all := b.Filter
	all.Service = ""
	b.Services, err = p.insights.Services(r.Context(), all)
	return b, err
}

// URL is a page of telemetry with the same filter; more are names and values.
func (b insightsBar) URL(elements []any, more ...string) string {
	q := url.Values{"range": {b.Range}}
	if b.Environment != 0 {
		q.Set("environment", fmt.Sprint(b.Environment))
	}
	if b.Deployment != 0 {
		q.Set("deployment", fmt.Sprint(b.Deployment))
	}
	if b.Service != "" {
		q.Set("service", b.Service)
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return b.Project.URL(append([]any{"_insights"}, elements...)...) + "?" + q.Encode()
}

// idOf reads a positive number of a query, 0 for anything else.
func idOf(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

type healthView struct {
	Bar         insightsBar
	Health      insights.Health
	Requests    chart
	CPU, Memory chart
	Pods        []insights.Pod // those that are there
	Gone        []insights.Pod
	Deployments []insights.Deployment
	Comparison  *insights.Comparison
	Firing      []insights.Alert
	Exceptions  []insights.ExceptionGroup
	Events      []insights.ClusterEvent
}

func (p insightsPages) health(w http.ResponseWriter, r *http.Request, v View) error {
	ctx := r.Context()
	bar, err := p.bar(r, v, "health")
	if err != nil {
		return err
	}
	view := healthView{Bar: bar}
	if view.Health, err = p.insights.Health(ctx, bar.Filter); err != nil {
		return err
	}
	pods, err := p.insights.Pods(ctx, bar.Filter)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if pod.Gone {
			view.Gone = append(view.Gone, pod)
		} else {
			view.Pods = append(view.Pods, pod)
		}
	}
	if view.Deployments, err = p.insights.Deployments(ctx, bar.Filter); err != nil {
		return err
	}
	if view.Firing, err = p.insights.Alerts(ctx, insights.AlertFilter{Project: v.Project.ID, Firing: true}); err != nil {
		return err
	}
	if view.Exceptions, err = p.insights.Exceptions(ctx, bar.Filter, 10); err != nil {
		return err
	}
	if view.Events, err = p.insights.ClusterEvents(ctx, bar.Filter, 20); err != nil {
		return err
	}
	if view.Comparison, err = p.comparison(ctx, bar, view.Deployments); err != nil {
		return err
	}
	marks := markers(bar, view.Deployments)
	if view.Requests, err = p.requestChart(ctx, bar.Filter, "", marks); err != nil {
		return err
	}
	points, err := p.insights.ContainerSeries(ctx, bar.Filter, 0)
	if err != nil {
		return err
	}
	var times []time.Time
	var cpu, memory []float64
	for _, one := range points {
		times, cpu, memory = append(times, one.Time), append(cpu, one.CPU), append(memory, one.Memory)
	}
	view.CPU = drawChart("CPU, cores", times, []series{{"cores", colourMain, cpu}}, marks, numbers)
	view.Memory = drawChart("Memory", times, []series{{"working set", colourMain, memory}}, marks, byteSizes)
	return p.Render(w, r, v.Titled("Health", "insights"), healthPage(view))
}

// comparison is that of the newest deployment with the one before it, nil where there are not two.
func (p insightsPages) comparison(ctx context.Context, b insightsBar, list []insights.Deployment) (*insights.Comparison, error) {
	id := b.Deployment
	if id == 0 && b.Environment != 0 && len(list) > 0 {
		id = list[0].ID
	}
	if id == 0 {
		return nil, nil
	}
	c, err := p.insights.Compare(ctx, id, time.Hour)
	if slipway.CodeOf(err) == slipway.CodeNotFound || c.Now.Deployment.Project != b.Filter.Project {
		return nil, nil
	}
	return &c, err
}

func markers(b insightsBar, list []insights.Deployment) []marker {
	var out []marker
	for _, d := range list {
		m := marker{Time: d.Completed, Label: fmt.Sprintf("deployment %d to %s (%s)", d.ID, d.EnvironmentName, d.Commit.Short()),
			URL: b.URL(nil, "deployment", fmt.Sprint(d.ID))}
		if m.Time.IsZero() {
			m.Time = d.Started
		}
		out = append(out, m)
	}
	return out
}

func (p insightsPages) requestChart(ctx context.Context, f insights.Filter, operation string, marks []marker) (chart, error) {
	s, err := p.insights.RequestSeries(ctx, f, operation, 0)
	if err != nil {
		return chart{}, err
	}
	times, all, failed := make([]time.Time, 0, len(s.Points)), []float64{}, []float64{}
	for _, one := range s.Points {
		times = append(times, one.Time)
		all, failed = append(all, float64(one.Count)), append(failed, float64(one.Failed))
	}
	return drawChart("Requests per "+binName(s.Bin), times, []series{{"requests", colourMain, all}, {"failed", colourBad, failed}}, marks, numbers), nil
}

func (p insightsPages) latencyChart(ctx context.Context, f insights.Filter, operation string, marks []marker) (chart, error) {
	s, err := p.insights.RequestSeries(ctx, f, operation, 0)
	if err != nil {
		return chart{}, err
	}
	var times []time.Time
	var p50, p95, p99 []float64
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	for _, one := range s.Points {
		times = append(times, one.Time)
		p50, p95, p99 = append(p50, ms(one.P50)), append(p95, ms(one.P95)), append(p99, ms(one.P99))
	}
	return drawChart("Duration", times, []series{{"p50", colourGood, p50}, {"p95", colourMain, p95}, {"p99", colourSecond, p99}}, marks, milliseconds), nil
}

type performanceView struct {
	Bar          insightsBar
	Operation    string
	Requests     chart
	Latency      chart
	Operations   []insights.OperationLatency
	Dependencies []insights.DependencyLatency
	Samples      []insights.RequestRow
	Order        insights.RequestOrder
}

func (p insightsPages) performance(w http.ResponseWriter, r *http.Request, v View) error {
	ctx := r.Context()
	bar, err := p.bar(r, v, "performance")
	if err != nil {
		return err
	}
	view := performanceView{Bar: bar, Operation: r.URL.Query().Get("operation"), Order: insights.Slowest}
	if order := r.URL.Query().Get("order"); order != "" {
		view.Order = insights.RequestOrder(order)
	}
	deployments, err := p.insights.Deployments(ctx, bar.Filter)
	if err != nil {
		return err
	}
	marks := markers(bar, deployments)
	if view.Requests, err = p.requestChart(ctx, bar.Filter, view.Operation, marks); err != nil {
		return err
	}
	if view.Latency, err = p.latencyChart(ctx, bar.Filter, view.Operation, marks); err != nil {
		return err
	}
	if view.Operations, err = p.insights.Operations(ctx, bar.Filter, 50); err != nil {
		return err
	}
	if view.Dependencies, err = p.insights.Dependencies(ctx, bar.Filter, 50); err != nil {
		return err
	}
	if view.Samples, err = p.insights.Requests(ctx, bar.Filter, view.Operation, view.Order, 25); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Performance", "insights"), performancePage(view))
}

type usageView struct {
	Bar   insightsBar
	Usage insights.Usage
	Chart chart
}

func (p insightsPages) usage(w http.ResponseWriter, r *http.Request, v View) error {
	bar, err := p.bar(r, v, "usage")
	if err != nil {
		return err
	}
	view := usageView{Bar: bar}
	if view.Usage, err = p.insights.Usage(r.Context(), bar.Filter, 0); err != nil {
		return err
	}
	deployments, err := p.insights.Deployments(r.Context(), bar.Filter)
	if err != nil {
		return err
	}
	var times []time.Time
	var users, sessions, views []float64
	for _, one := range view.Usage.Series {
		times = append(times, one.Time)
		users, sessions, views = append(users, float64(one.Users)), append(sessions, float64(one.Sessions)), append(views, float64(one.PageViews))
	}
	view.Chart = drawChart("Users, sessions and page views per "+Duration(view.Usage.Bin), times, []series{{"users", colourMain, users}, {"sessions", colourGood, sessions},
		{"page views", colourSecond, views}}, markers(bar, deployments), numbers)
	return p.Render(w, r, v.Titled("Usage", "insights"), usagePage(view))
}

// binName is a bin's width as a rate's unit.
func binName(bin time.Duration) string {
	switch bin {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case 24 * time.Hour:
		return "day"
	}
	return strings.TrimSuffix(Duration(bin), " 0 s")
}
