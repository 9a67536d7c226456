package web

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

// An administrator makes a pool of machines, registers one with the token that the page shows, and disables and removes it.
func TestMachinesOfPoolPage(t *testing.T) {
	t.Parallel()
	s, ctx := newPipelineSite(t), context.Background()
	post := func(path string, form url.Values) string {
		t.Helper()
		resp, err := s.client.PostForm(s.server.URL+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %v: %s, %v\n%s", path, form, resp.Status, err, b)
		}
		return string(b)
	}
	if body := post("/_pools", url.Values{"name": {"Metal"}, "machines": {"yes"}}); !strings.Contains(body, "No machine has registered yet") {
		t.Errorf("the page of a pool without machines:\n%s", body)
	}
	body := post("/_pools/Metal/machines", nil)
	token := regexp.MustCompile(`aria-label="Registration token">([A-Z0-9]+)<`).FindStringSubmatch(body)
	if token == nil || !strings.Contains(html.UnescapeString(body), "slipway-agent machine --server http://slipway --pool 'Metal' --token-file token") {
		t.Fatalf("the registration:\n%s", body)
	}
	c, err := s.RegisterMachine(ctx, token[1], job.MachineRegistration{Version: job.Version, Name: "truck", Capabilities: map[string]string{"wheels": "4"}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Machines(ctx, pipelines.MachineTarget{Pool: "metal"})
	if err != nil || len(list) != 1 {
		t.Fatalf("machines %+v, %v", list, err)
	}
	own := fmt.Sprintf("/_pools/metal/machines/%d", c.Machine)
	for do, want := range map[string]string{"disable": "Enable truck", "enable": "Disable truck"} {
		if body := post(own, url.Values{"do": {do}}); !strings.Contains(body, want) || !strings.Contains(body, "wheels=4") || !strings.Contains(body, "online") {
			t.Errorf("after %s the page has no %q:\n%s", do, want, body)
		}
	}
	if body := post(own, url.Values{"do": {"remove"}}); strings.Contains(body, "truck") {
		t.Errorf("the machine that was removed is shown:\n%s", body)
	}
}
