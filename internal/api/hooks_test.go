package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/servicehooks"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/hooks"
	"slipway/internal/identity"
	"slipway/internal/secret"
)

// hookWorld has a receiver on this machine, of whose requests the bodies arrive in got.
func hookWorld(t *testing.T) (w world, receiver string, got chan string) {
	t.Helper()
	ctx, d, logger := t.Context(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	log := must[*events.Log](t)(events.Open(ctx, d, clock.System{}, logger))
	ids := must[*identity.Service](t)(identity.Open(ctx, d, log, clock.System{}))
	box := must[*secret.Box](t)(secret.NewBox(make([]byte, 32)))
	h := must[*hooks.Service](t)(hooks.Open(ctx, d, log, box, clock.System{}, logger, hooks.Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, URL: "http://localhost"}))
	project := must[identity.Project](t)(ids.CreateProject(ctx, slipway.System, "Shop", ""))
	server := api.New(ids, logger, "http://localhost")
	server.AddHooks(h)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	got = make(chan string, 10)
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}))
	t.Cleanup(target.Close)
	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return world{t, listener.URL, ids, project}, target.URL, got
}

// Azure DevOps' own Go client makes a subscription, reads it, changes it, sees its notifications and deletes it.
func TestServiceHooksByTheirClient(t *testing.T) {
	t.Parallel()
	w, receiver, got := hookWorld(t)
	ctx, token := t.Context(), w.user("ada", true)
	client := servicehooks.NewClient(ctx, azuredevops.NewPatConnection(w.url, token))
	text := func(s string) *string { return &s }
	made := must[*servicehooks.Subscription](t)(client.CreateSubscription(ctx, servicehooks.CreateSubscriptionArgs{Subscription: &servicehooks.Subscription{
		PublisherId: text("tfs"), EventType: text("identity.project_created"), ResourceVersion: text("1.0"), ConsumerId: text("webHooks"), ConsumerActionId: text("httpRequest"),
		PublisherInputs: &map[string]string{"projectId": string(w.project.ID)},
		ConsumerInputs:  &map[string]string{"url": receiver, "basicAuthUsername": "u", "basicAuthPassword": "p", "httpHeaders": "X-Key:secret value", "resourceDetailsToSend": "all"}}}))
	if *made.Status != servicehooks.SubscriptionStatusValues.Enabled || made.Id == nil {
		t.Fatalf("made %+v", made)
	}
	want := map[string]string{"url": receiver, "format": "event", "basicAuthUsername": "u", "basicAuthPassword": "********", "httpHeaders": "X-Key:********"}
	shown := must[*servicehooks.Subscription](t)(client.GetSubscription(ctx, servicehooks.GetSubscriptionArgs{SubscriptionId: made.Id}))
	if diff := cmp.Diff(want, *shown.ConsumerInputs); diff != "" {
		t.Error(diff)
	}
	shown.EventType = text("identity.*,registry.pushed")
	(*shown.PublisherInputs)["repository"] = "shop/**"
	shown = must[*servicehooks.Subscription](t)(client.ReplaceSubscription(ctx, servicehooks.ReplaceSubscriptionArgs{Subscription: shown, SubscriptionId: made.Id}))
	if *shown.EventType != "identity.*,registry.pushed" || (*shown.PublisherInputs)["repository"] != "shop/**" || (*shown.ConsumerInputs)["basicAuthPassword"] != "********" {
		t.Errorf("replaced %+v", shown)
	}
	all := must[*[]servicehooks.Subscription](t)(client.ListSubscriptions(ctx, servicehooks.ListSubscriptionsArgs{}))
	if len(*all) != 1 || *(*all)[0].Id != *made.Id {
		t.Errorf("all %+v", *all)
	}

	var sent api.HookNotification
	w.call(token, "POST", "/_apis/slipway/hooks/"+made.Id.String()+"/test", "", 200, &sent)
	if body := <-got; !strings.Contains(body, `"eventType":"hooks.test"`) {
		t.Errorf("sent %s", body)
	}
	id := int(sent.ID)
	one := must[*servicehooks.Notification](t)(client.GetNotification(ctx, servicehooks.GetNotificationArgs{SubscriptionId: made.Id, NotificationId: &id}))
	if *one.Id != id || *one.SubscriptionId != *made.Id || !strings.Contains(*one.Details.Request, "hooks.test") {
		t.Errorf("notification %+v", one)
	}
	if list := must[*[]servicehooks.Notification](t)(client.GetNotifications(ctx, servicehooks.GetNotificationsArgs{SubscriptionId: made.Id})); len(*list) != 1 {
		t.Errorf("notifications %+v", *list)
	}
	w.call(token, "POST", "/_apis/slipway/hooks/"+made.Id.String()+"/notifications/"+strconv.Itoa(id)+"/redeliver", "", 200, &sent)
	<-got

	contributor := w.user("eve", false)
	w.call(contributor, "GET", "/_apis/hooks/subscriptions/"+made.Id.String(), "", 404, nil)
	w.call(contributor, "DELETE", "/_apis/hooks/subscriptions/"+made.Id.String(), "", 404, nil)
	var none struct{ Value []api.HookSubscription }
	if w.call(contributor, "GET", "/_apis/hooks/subscriptions", "", 200, &none); len(none.Value) != 0 {
		t.Errorf("eve sees %+v", none.Value)
	}
	if err := client.DeleteSubscription(ctx, servicehooks.DeleteSubscriptionArgs{SubscriptionId: made.Id}); err != nil {
		t.Error(err)
	}
	gone := uuid.New()
	if _, err := client.GetSubscription(ctx, servicehooks.GetSubscriptionArgs{SubscriptionId: &gone}); err == nil {
		t.Error("there is a subscription that nobody made")
	}
}

func TestServiceHooksAreRefused(t *testing.T) {
	t.Parallel()
	w, _, _ := hookWorld(t)
	admin, eve := w.user("ada", true), w.user("eve", false)
	f := func(token, body string, want int, message string) {
		t.Helper()
		var p struct{ Message string }
		w.call(token, "POST", "/_apis/hooks/subscriptions", body, want, &p)
		if !strings.Contains(p.Message, message) {
			t.Errorf("%s: %s", body, p.Message)
		}
	}
	f(admin, `{"consumerId":"slack","consumerActionId":"postMessageToChannel","eventType":"*"}`, 400, "use webHooks with httpRequest")
	f(admin, `{"consumerId":"webHooks","consumerActionId":"httpRequest","eventType":"git.push","consumerInputs":{"url":"https://a.example"}}`, 400, "subscribe to repos.pushed")
	f(admin, `{"consumerId":"webHooks","consumerActionId":"httpRequest","eventType":"*","consumerInputs":{"url":"https://a.example","color":"red"}}`, 400, `input "color" is not known`)
	f(admin, `{"consumerId":"webHooks","consumerActionId":"httpRequest","eventType":"*","consumerInputs":{"url":"https://a.example","messagesToSend":"none"}}`, 400, "always whole")
	f(admin, `{"consumerId":"webHooks","consumerActionId":"httpRequest","eventType":"*","publisherInputs":{"projectId":"none"},"consumerInputs":{"url":"https://a.example"}}`, 404, "")
	f(eve, `{"consumerId":"webHooks","consumerActionId":"httpRequest","eventType":"*","consumerInputs":{"url":"https://a.example"}}`, 403, "only an administrator of this installation")
	f(eve, `{"consumerId":"webHooks","consumerActionId":"httpRequest","eventType":"*","publisherInputs":{"projectId":"Shop"},"consumerInputs":{"url":"https://a.example"}}`, 404, "")
}
