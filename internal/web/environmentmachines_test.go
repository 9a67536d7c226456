package web_test

import (
	"fmt"
	"testing"

	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

// The page of an environment shows its machines with their tags, and lets administrators register, tag and remove them.
func TestMachinesOfEnvironmentPage(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	p.environment("production")
	const page = "/Shop/_environments/production"
	p.has(p.get(p.browser, page, 200), "No machine has registered yet", "Register a machine")
	p.has(p.post(p.browser, page+"/machines", 200), "Registration token", "--environment &#39;Shop/production&#39;")
	of := pipelines.MachineTarget{Project: p.project.ID, ProjectName: "Shop", Environment: "Production"}
	made, err := p.pipelines.NewRegistration(t.Context(), of, p.actor)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.pipelines.RegisterMachine(t.Context(), made.Token, job.MachineRegistration{Version: job.Version, Name: "web-1", Tags: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("%s/machines/%d", page, c.Machine)
	p.has(p.get(p.browser, page, 200), "web-1", "online", `value="web"`, "nothing yet")
	p.has(p.post(p.browser, own, 200, "do", "tags", "tags", "web, eu"), `value="web, eu"`)
	p.has(p.post(p.browser, own, 200, "do", "disable"), "Enable web-1")
	reader := p.member("rita", identity.RoleReader)
	body := p.get(reader, page, 200)
	p.has(body, "web-1", "web, eu")
	p.lacks(body, "Remove web-1", "Register a machine")
	p.post(reader, own, 403, "do", "remove")
	p.post(reader, page+"/machines", 403)
	p.lacks(p.post(p.browser, own, 200, "do", "remove"), "web-1")
}
