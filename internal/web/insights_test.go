package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
	"slipway/internal/web"
)

// telemetryPages are the pages over a project with two deployments, of which the second fails.
type telemetryPages struct {
	*testing.T
	url     string
	ids     *identity.Service
	service *insights.Service
	project identity.Project
}

const failingTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

func openTelemetryPages(t *testing.T) *telemetryPages {
	t.Helper()
	ctx, logger, d := context.Background(), slog.New(slog.DiscardHandler), dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	p := &telemetryPages{T: t}
	p.ids, err = identity.Open(ctx, d, log, clock.System{})
	must(err)
	st, err := store.Open(ctx, store.Options{Folder: t.TempDir(), MemoryLimit: "512MB", BatchWait: 2 * time.Millisecond})
	must(err)
	t.Cleanup(func() { must(st.Close()) })
	p.service, err = insights.Open(ctx, insights.Options{DB: d, Log: log, Clock: clock.System{}, Store: st, Logger: logger})
	must(err)
	for _, name := range []string{"ada", "bob"} {
		u, err := p.ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "correct horse"})
		must(err)
		actor := slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: name}
		if name == "ada" {
			p.project, err = p.ids.CreateProject(ctx, actor, "Shop", "")
		} else {
			err = p.ids.SetRole(ctx, slipway.System, p.project.ID, u.ID, identity.RoleReader)
		}
		must(err)
	}
	must(p.service.CreateDefaultRules(ctx, p.project.ID))
	p.fill(must)
	server := web.New(p.ids, log, logger, "http://localhost")
	server.AddInsights(p.service)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	p.url = listener.URL
	return p
}

func (p *telemetryPages) fill(must func(error)) {
	ctx, now := context.Background(), time.Now()
	for i, ago := range []time.Duration{40 * time.Minute, 10 * time.Minute} {
		must(p.service.Announce(ctx, insights.Deployment{ID: slipway.DeploymentID(i + 1), Project: p.project.ID, Environment: 3, EnvironmentName: "dev",
			Commit: slipway.CommitID(strings.Repeat(fmt.Sprint(i+1), 40)), Started: now.Add(-ago), Completed: now.Add(-ago), Succeeded: true}))
	}
	b := &telemetry.Batch{}
	for deployment, ago := range []time.Duration{0, 30 * time.Minute, 3 * time.Minute} {
		if deployment == 0 {
			continue
		}
		r := &telemetry.Resource{Project: p.project.ID, Environment: 3, EnvironmentName: "dev", Deployment: slipway.DeploymentID(deployment), Service: "cart", Namespace: "ns",
			Pod: fmt.Sprintf("cart-%d", deployment), Container: "main"}
		for i := range 40 {
			item := telemetry.Item{Resource: r, Time: now.Add(-ago).Add(time.Duration(i) * time.Second), OperationID: failingTrace, SessionID: "s", UserID: "u"}
			b.Add(&telemetry.Request{Item: item, ID: fmt.Sprintf("%d-%d", deployment, i), Name: "GET /cart/<id>", ResultCode: "200", Duration: 20 * time.Millisecond, Success: deployment == 1})
		}
		b.Add(&telemetry.Exception{Item: telemetry.Item{Resource: r, Time: now.Add(-ago), OperationID: failingTrace, ParentID: "2-0"}, Type: "CartError", Message: "<b>no cart</b>", Severity: telemetry.SeverityError})
		b.Add(&telemetry.Trace{Item: telemetry.Item{Resource: r, Time: now.Add(-ago)}, Message: "cart service started", Severity: telemetry.SeverityInformation, Source: telemetry.SourceContainer})
		b.Add(&telemetry.PageView{Item: telemetry.Item{Resource: r, Time: now.Add(-ago), UserID: "u", SessionID: "s"}, Name: "cart page"})
		b.Add(&telemetry.Container{Item: telemetry.Item{Resource: r, Time: now.Add(-10 * time.Second)}, CPU: 0.25, Memory: 32 << 20, Measured: true, Ready: deployment == 2, State: "running"})
	}
	must(p.service.Ingest(ctx, b))
	must(p.service.Evaluate(ctx))
}

func (p *telemetryPages) do(name, method, path string, form url.Values) (int, string) {
	p.Helper()
	secret, _, err := p.ids.SignIn(context.Background(), name, "correct horse")
	if err != nil {
		p.Fatal(err)
	}
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.Fatal(err)
	}
	r.AddCookie(identity.SessionCookie(secret, false))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestTelemetryPages(t *testing.T) {
	t.Parallel()
	p := openTelemetryPages(t)
	alerts, err := p.service.Alerts(context.Background(), insights.AlertFilter{Project: p.project.ID})
	if err != nil || len(alerts) != 1 {
		t.Fatalf("alerts %+v, %v", alerts, err)
	}
	f := func(path string, want ...string) {
		t.Helper()
		status, body := p.do("bob", http.MethodGet, path, nil)
		if status != http.StatusOK {
			t.Errorf("%s: %d\n%s", path, status, body)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: without %q", path, w)
			}
		}
		if strings.Contains(body, "<b>no cart</b>") {
			t.Errorf("%s: text from outside is not escaped", path)
		}
	}
	f("/Shop/_insights", "1 of 2", "pods up", "cart-2", "50.0 %", "CartError", "Failed requests", "deployment 2 to dev", "<svg class=\"chart\"")
	f("/Shop/_insights?environment=3", "Deployment 2 against 1", "100.0 % (before 0.0 %)")
	f("/Shop/_insights/performance?range=6h&service=cart", "GET /cart/&lt;id&gt;", "p99", "deployment 1 to dev", "/Shop/_insights/operation/"+failingTrace)
	f("/Shop/_insights/performance?order=failed&operation=GET+%2Fcart%2F%3Cid%3E", "failed")
	f("/Shop/_insights/usage", "cart page", "sessions")
	f("/Shop/_insights/logs?text=STARTED", "cart service started")
	f("/Shop/_insights/logs?severity=3", "CartError: &lt;b&gt;no cart&lt;/b&gt;")
	f("/Shop/_insights/operation/"+failingTrace, "CartError", "GET /cart/&lt;id&gt;", "<rect")
	f("/Shop/_insights/alerts", "40 of 40 requests failed", "Slow requests")
	f(fmt.Sprintf("/Shop/_insights/alerts/%d", alerts[0].ID), "40 failed", "/Shop/_insights/operation/"+failingTrace)
	for _, path := range []string{"/Shop/_insights/operation/none", "/Shop/_insights/alerts/999", "/Other/_insights"} {
		if status, _ := p.do("bob", http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, status)
		}
	}
}

func TestOnlyAdministratorsChangeRules(t *testing.T) {
	t.Parallel()
	p := openTelemetryPages(t)
	rules, err := p.service.Rules(context.Background(), p.project.ID)
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/Shop/_insights/rules/%d", rules[0].ID)
	form := url.Values{"threshold": {"0.25"}, "window": {"120"}, "minimum": {"7"}, "enabled": {"on"}}
	if status, _ := p.do("bob", http.MethodPost, path, form); status != http.StatusForbidden {
		t.Errorf("a reader: %d, want 403", status)
	}
	if status, body := p.do("ada", http.MethodPost, path, form); status != http.StatusOK {
		t.Errorf("an administrator: %d\n%s", status, body)
	}
	got, err := p.service.Rule(context.Background(), p.project.ID, rules[0].ID)
	if err != nil || got.Threshold != 0.25 || got.Window != 2*time.Minute || got.Minimum != 7 || !got.Enabled {
		t.Errorf("rule %+v, %v", got, err)
	}
	if status, _ := p.do("ada", http.MethodPost, path, url.Values{"threshold": {"7"}, "window": {"120"}, "minimum": {"7"}}); status != http.StatusBadRequest {
		t.Errorf("a threshold of 7: %d, want 400", status)
	}
}
