package web

import (
	"context"
	"net/url"
	"strings"
	"testing"
)

func TestConnectionPages(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.push("steps:\n- bash: x\n")
	s.get("/_settings", "/Shop/_settings/connections")
	s.get("/_settings/connections", "No service connection yet", `value="dockerregistry"`)
	s.get("/_settings/connections?new=dockerregistry", `name="p.username"`, `type="password" name="p.password"`, "All of the project")
	s.get("/_settings/connections?new=kubernetes&scheme=Token", `name="p.apiToken"`, `name="d.acceptUntrustedCerts"`)
	s.post("/_settings/connections", url.Values{"type": {"dockerregistry"}, "scheme": {"UsernamePassword"}, "name": {"the <hub>"}, "url": {"https://index.docker.io/v1/"},
		"p.username": {"ada"}, "p.password": {"hunter2hunter2"}, "pipeline": {"1"}})
	list, err := s.Connections(context.Background(), project(s))
	if err != nil || len(list) != 1 || len(list[0].Pipelines) != 1 || list[0].AllPipelines {
		t.Fatalf("%+v, %v", list, err)
	}
	s.get("/_settings/connections", "the &lt;hub&gt;", "1 pipeline")
	body := s.get("/_settings/connections?id="+list[0].ID, `value="ada"`, "No run has used it yet", `name="pipeline" value="1" checked`)
	if strings.Contains(body, "hunter2") {
		t.Error("the password is in the page")
	}
	s.post("/_settings/connections", url.Values{"id": {list[0].ID}, "type": {"dockerregistry"}, "scheme": {"UsernamePassword"}, "name": {"hub"}, "url": {"https://index.docker.io/v1/"},
		"p.username": {"grace"}, "p.password": {""}, "all": {"1"}})
	s.get("/_settings/connections?id="+list[0].ID, `value="grace"`, `name="all" value="1" checked`)
	s.post("/_settings/connections", url.Values{"delete": {list[0].ID}})
	s.get("/_settings/connections", "No service connection yet")
}
