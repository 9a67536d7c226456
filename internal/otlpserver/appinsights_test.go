package otlpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/ApplicationInsights-Go/appinsights"

	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

func (w *world) key(t *testing.T) string {
	t.Helper()
	key, err := w.insights.IssueKey(context.Background(), telemetry.Origin{Project: w.project.ID, Environment: 3, Deployment: 7, Commit: "c0ffee"})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheGoClientOfApplicationInsights(t *testing.T) {
	t.Parallel()
	w := setup(t)
	config := appinsights.NewTelemetryConfiguration(w.key(t))
	config.EndpointUrl = w.url + "/v2/track"
	client := appinsights.NewTelemetryClientFromConfig(config)
	client.Context().Tags.Cloud().SetRole("pay")
	client.Context().Tags.Cloud().SetRoleInstance("pay-1")
	client.Context().Tags.Operation().SetId("4bf92f3577b34da6a3ce929d0e0e4736")
	client.Context().Tags.User().SetId("ada")
	client.Context().Tags.Session().SetId("s1")
	request := appinsights.NewRequestTelemetry("POST", "http://pay/charge", 1250*time.Millisecond, "500")
	request.Success = false
	client.Track(request)
	dependency := appinsights.NewRemoteDependencyTelemetry("SELECT", "SQL", "db", true)
	dependency.Duration, dependency.Data = 17*time.Millisecond, "SELECT 1"
	client.Track(dependency)
	client.TrackException(io.ErrUnexpectedEOF)
	client.TrackTrace("charging", appinsights.Warning)
	client.TrackEvent("charged")
	client.TrackMetric("amount", 12.5)
	client.Track(appinsights.NewPageViewTelemetry("home", "http://pay/"))
	client.TrackAvailability("ping", time.Second, true)
	select {
	case <-client.Channel().Close(20 * time.Second):
	case <-time.After(30 * time.Second):
		t.Fatal("the client did not get rid of its telemetry")
	}
	rows, err := w.insights.Operation(context.Background(), w.project.ID, "4bf92f3577b34da6a3ce929d0e0e4736", time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range rows {
		got[r.Kind.String()] = strings.Join([]string{r.Name, r.Target, r.ResultCode, r.Duration.String()}, "|")
		if r.Resource.Deployment != 7 || r.Resource.Environment != 3 || r.Resource.Commit != "c0ffee" || r.Resource.Service != "pay" || r.Resource.Pod != "pay-1" {
			t.Errorf("%s: resource %+v", r.Kind, r.Resource)
		}
	}
	want := map[string]string{"requests": "POST http://pay/charge||500|1.25s", "dependencies": "SELECT|db||17ms", "exceptions": "*errors.errorString: unexpected EOF||" + "|0s",
		"traces": "charging|||0s", "customEvents": "charged|||0s", "pageViews": "home|||0s", "availabilityResults": "ping|||1s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	metrics, err := w.insights.Metrics(context.Background(), insights.Filter{Project: w.project.ID}, "amount", 0)
	if err != nil || len(metrics) != 1 || metrics[0].Value != 12.5 || metrics[0].Min != 12.5 {
		t.Errorf("metrics %+v, %v", metrics, err)
	}
	usage, err := w.insights.Usage(context.Background(), insights.Filter{Project: w.project.ID}, 0)
	if err != nil || usage.Users != 1 || usage.Sessions != 1 || usage.PageViews != 1 {
		t.Errorf("usage %+v, %v", usage, err)
	}
}

func TestTrackAnswers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key(t)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	good := func(key string) string {
		return `{"name":"n","time":"` + now + `","iKey":"` + key + `","tags":{},"data":{"baseType":"EventData","baseData":{"ver":2,"name":"e"}}}`
	}
	type answer struct {
		Status, Received, Accepted int
		Errors                     []int // indexes
	}
	f := func(name, body string, want answer) {
		t.Helper()
		response, err := http.Post(w.url+"/v2.1/track", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var a struct {
			Received int `json:"itemsReceived"`
			Accepted int `json:"itemsAccepted"`
			Errors   []struct {
				Index, StatusCode int
				Message           string
			}
		}
		if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := answer{Status: response.StatusCode, Received: a.Received, Accepted: a.Accepted}
		for _, e := range a.Errors {
			got.Errors = append(got.Errors, e.Index)
			if e.StatusCode != 400 || e.Message == "" {
				t.Errorf("%s: error %+v", name, e)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%+v", name, diff, a.Errors)
		}
	}
	f("one object", good(key), answer{200, 1, 1, nil})
	f("lines", good(key)+"\n"+good(strings.ReplaceAll(strings.ToUpper(key), "-", ""))+"\n", answer{200, 2, 2, nil})
	f("an array", "["+good(key)+","+good(key)+","+good(key)+"]", answer{200, 3, 3, nil})
	f("a part", good(key)+"\nnonsense\n"+strings.Replace(good(key), "EventData", "OddData", 1)+"\n"+good(key), answer{206, 4, 2, []int{1, 2}})
	f("a broken array", "["+good(key)+", oops]", answer{206, 2, 1, []int{1}})
	f("an old time", strings.Replace(good(key), now, "2001-01-01T00:00:00Z", 1), answer{400, 1, 0, []int{0}})
	f("an unknown key", good("11111111-2222-4333-8444-555555555555"), answer{400, 1, 0, []int{0}})
	f("no key", good(""), answer{400, 1, 0, []int{0}})
	f("nothing", "", answer{400, 0, 0, nil})
	usage, err := w.insights.Usage(context.Background(), insights.Filter{Project: w.project.ID}, 0)
	if err != nil || usage.Events != 9 {
		t.Errorf("%d events were kept, want 9 (%v)", usage.Events, err)
	}
}

func TestBrowsersMayPost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request, err := http.NewRequest(http.MethodOptions, w.url+"/v2/track", bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent || response.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(response.Header.Get("Access-Control-Allow-Headers"), "Content-Type") {
		t.Errorf("preflight: %d %v", response.StatusCode, response.Header)
	}
}
