package web

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines"
)

// An administrator makes, changes and deletes pools on the page.
func TestPoolsPage(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	post := func(want int, form url.Values) string {
		t.Helper()
		resp, err := s.client.PostForm(s.server.URL+"/_pools", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%v: %s, %v\n%s", form, resp.Status, err, b)
		}
		return string(b)
	}
	body := post(http.StatusOK, url.Values{"name": {"Big"}, "description": {"for <builds>"}, "cpu": {"2"}, "memoryLimit": {"16Gi"}, "warm": {"0"}, "retryLost": {"2"},
		"nodeSelector": {"disk=ssd\r\n\r\n"}, "tolerations": {"gpu=yes:NoSchedule\nspot:NoExecute"}, "capabilities": {"gpu=a100\ndocker"}})
	for _, text := range []string{`id="pool-Big"`, "for &lt;builds&gt;", "disk=ssd", "gpu=yes:NoSchedule", "spot:NoExecute", "gpu=a100", "0 warm pods waiting"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page has no %q", text)
		}
	}
	got, err := s.Pool(ctx, "big")
	zero := 0
	want := pipelines.PoolSettings{Description: "for <builds>", CPU: "2", MemoryLimit: "16Gi", Warm: &zero, RetryLost: 2, NodeSelector: map[string]string{"disk": "ssd"},
		Tolerations: []pipelines.Toleration{{Key: "gpu", Value: "yes", Effect: "NoSchedule"}, {Key: "spot", Operator: "Exists", Effect: "NoExecute"}}, Capabilities: map[string]string{"gpu": "a100", "docker": ""}}
	if diff := cmp.Diff(want, got.PoolSettings); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	post(http.StatusBadRequest, url.Values{"name": {"big"}, "cpu": {"much"}})
	post(http.StatusOK, url.Values{"name": {"big"}, "do": {"delete"}})
	if _, err := s.Pool(ctx, "big"); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("the pool is there: %v", err)
	}
}
