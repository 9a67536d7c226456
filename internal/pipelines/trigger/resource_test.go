package trigger

import (
	"encoding/json"
	"strings"
	"testing"

	"slipway/internal/pipelines/plan"
)

func TestImageRepository(t *testing.T) {
	t.Parallel()
	f := func(image, want string, own bool) {
		t.Helper()
		if got, ok := ImageRepository(image, "localhost:8080"); got != want || ok != own {
			t.Errorf("%s: %q %t, want %q %t", image, got, ok, want, own)
		}
	}
	f("localhost:8080/Shop/web:latest", "shop/web", true)
	f("shop/web", "shop/web", true)
	f("shop/web:1.2@sha256:abc", "shop/web", true)
	f("mcr.microsoft.com/dotnet/sdk:8.0", "", false)
	f("localhost:9999/shop/web", "", false)
	f("$(registry)/shop/web", "", false)
}

func TestMatchImage(t *testing.T) {
	t.Parallel()
	f := func(tags plan.Filter, tag string, want bool) {
		t.Helper()
		if got, why := MatchImage(plan.ResourceTrigger{Tags: tags}, tag); got != want {
			t.Errorf("%+v, %s: %t, %s", tags, tag, got, why)
		}
	}
	f(plan.Filter{}, "latest", true)
	f(plan.Filter{}, "", false)
	f(plan.Filter{Include: []string{"production*"}}, "production-7", true) // the example of the language's reference
	f(plan.Filter{Include: []string{"production*"}}, "latest", false)
	f(plan.Filter{Include: []string{"*"}, Exclude: []string{"latest"}}, "latest", false)
	f(plan.Filter{Exclude: []string{"latest"}}, "1", true)
}

func TestMatchWebhook(t *testing.T) {
	t.Parallel()
	const body = `{"action":"opened","number":7,"draft":false,"none":null,"pull_request":{"base":{"ref":"main"},"labels":[{"name":"bug"},{"name":"a.b"}]},"odd.name":{"x":"y"}}`
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var payload any
	if err := decoder.Decode(&payload); err != nil {
		t.Fatal(err)
	}
	f := func(want bool, pairs ...string) {
		t.Helper()
		var r plan.ResourceTrigger
		for i := 0; i < len(pairs); i += 2 {
			r.Filters = append(r.Filters, plan.WebhookFilter{Path: pairs[i], Value: pairs[i+1]})
		}
		if got, why := MatchWebhook(r, payload); got != want {
			t.Errorf("%v: %t, %s", pairs, got, why)
		}
	}
	f(true)
	f(true, "action", "opened")
	f(false, "action", "Opened")
	f(true, "number", "7", "draft", "false", "none", "")
	f(true, "pull_request.base.ref", "main", "$.pull_request.labels[1].name", "a.b")
	f(false, "pull_request.labels[2].name", "")
	f(true, "['odd.name'].x", "y")
	f(false, "action.deeper", "opened")
	f(true, "pull_request.base", `{"ref":"main"}`)
	f(false, "action", "opened", "number", "8")
	for _, path := range []string{"", ".", "a..b", "a[", "a[x]", "a['b", "a]"} {
		if CheckWebhookPath(path) == nil && path != "a]" {
			t.Errorf("path %q is taken", path)
		}
	}
}
