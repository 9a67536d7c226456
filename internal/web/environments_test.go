package web_test

import (
	"fmt"
	"testing"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/identity"
)

func (p *pages) environment(name string) environments.Environment {
	p.Helper()
	e, err := p.environments.Ensure(p.Context(), environments.NewEnvironment{Project: p.project.ID, ProjectName: p.project.Name, Name: name}, p.actor)
	if err != nil {
		p.Fatal(err)
	}
	return e
}

func TestEnvironmentPages(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	b := p.browser
	p.has(p.get(b, "/Shop/_environments", 200), "There is no environment yet")
	p.has(p.post(b, "/Shop/_environments", 200, "name", "my production", "description", "for <all>"), "my production", "for &lt;all&gt;", "shop-my-production-")
	p.has(p.get(b, "/Shop/_environments", 200), "/Shop/_environments/my%20production", "never deployed to")

	page := p.post(b, "/Shop/_environments/my%20production/variables", 200, "name", "PASSWORD", "value", "hunter2", "secret", "yes")
	p.has(page, "PASSWORD", "secret")
	p.lacks(page, "hunter2")
	p.has(p.post(b, "/Shop/_environments/my%20production/variables", 200, "name", "REPLICAS", "value", "2"), "REPLICAS")
	p.lacks(p.post(b, "/Shop/_environments/my%20production/variables", 200, "name", "REPLICAS", "do", "delete"), "REPLICAS")
	p.post(b, "/Shop/_environments/my%20production/variables", 400, "name", "NO WAY", "value", "2")
	p.has(page, "does not answer") // the pods' cluster, and the page is there all the same

	reader := p.member("rita", identity.RoleReader)
	p.post(reader, "/Shop/_environments/my%20production/variables", 403, "name", "X", "value", "1")
	p.lacks(p.get(reader, "/Shop/_environments/my%20production", 200), `name="value"`, "Ask for approval")
	p.get(p.member("eve", identity.RoleNone), "/Shop/_environments/my%20production", 404)
	p.get(b, "/Shop/_environments/nowhere", 404)
}

func TestApprovalPages(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	e := p.environment("production")
	p.has(p.post(p.browser, "/Shop/_environments/production/approval", 200, "approvers", "administrators, ada", "minimum", "1", "instructions", "Look at dev first"),
		"1 of administrators, ada must approve")
	p.post(p.browser, "/Shop/_environments/production/approval", 400, "approvers", "nobody I know")
	for run := slipway.RunID(1); run <= 2; run++ {
		err := p.environments.RequestChecks(t.Context(), environments.CheckRequest{Project: p.project.ID, ProjectName: "Shop", Run: run, Stage: "Production",
			Attempt: 1, Environments: []string{"production"}, RequestedBy: slipway.Actor{Kind: slipway.ActorUser, ID: "x", Name: "Grace"}, Commit: "c0ffee"})
		if err != nil {
			t.Fatal(err)
		}
	}
	pending, err := p.environments.Approvals(t.Context(), e.ID, 10)
	if err != nil || len(pending) != 2 {
		t.Fatalf("%d approvals, %v", len(pending), err)
	}
	p.has(p.get(p.browser, "/Shop/_environments", 200), "2 to approve")
	p.has(p.get(p.browser, "/Shop/_environments/production", 200), "Stage Production waits for an approval", "started by Grace", "Look at dev first", `value="approve"`)
	reader := p.member("rita", identity.RoleReader)
	p.has(p.get(reader, "/Shop/_environments/production", 200), "rita is not among the approvers")
	first, second := fmt.Sprintf("/Shop/_approvals/%d", pending[1].ID), fmt.Sprintf("/Shop/_approvals/%d", pending[0].ID)
	p.post(reader, first, 403, "do", "approve")
	p.post(p.browser, first, 200, "do", "approve", "comment", "fine")
	p.post(p.browser, first, 409, "do", "approve")
	p.post(p.browser, second, 400, "do", "something")
	p.lacks(p.post(p.browser, second, 200, "do", "reject", "comment", "no"), "waits for an approval")
	for i, want := range []environments.State{environments.Rejected, environments.Approved} {
		if got, err := p.environments.GetApproval(t.Context(), pending[i].ID); err != nil || got.State != want {
			t.Errorf("approval %d is %s, %v; want %s", pending[i].ID, got.State, err, want)
		}
	}
}

func TestDeploymentPages(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	e := p.environment("dev")
	var last environments.Deployment
	for run := slipway.RunID(1); run <= 2; run++ {
		d, err := p.environments.StartDeployment(t.Context(), environments.NewDeployment{Environment: e.ID, Run: run, Stage: "Dev", Job: "deploy", Attempt: 1,
			Commit: "c0ffee0000000000000000000000000000000000", By: p.actor,
			Parameters: []environments.Parameter{{Name: "SHOP_HOST", Value: "shop.localhost"}, {Name: "PASSWORD", Secret: true}}})
		if err != nil {
			t.Fatal(err)
		}
		if last, err = p.environments.CompleteDeployment(t.Context(), d.ID, environments.Succeeded, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.has(p.get(p.browser, "/Shop/_environments/dev", 200), "/Shop/_environments/dev/deployments/1", "/Shop/_environments/dev/deployments/2", "c0ffee00", "succeeded")
	page := p.get(p.browser, "/Shop/_environments/dev/deployments/2", 200)
	p.has(page, "SHOP_HOST", "shop.localhost", "PASSWORD", "Dev, deploy, attempt 1", "Roll back to #1", "/Shop/_trace?thing=deployment%3A2")
	p.lacks(p.get(p.browser, "/Shop/_environments/dev/deployments/1", 200), "Roll back")
	reader := p.member("rita", identity.RoleReader)
	p.lacks(p.get(reader, "/Shop/_environments/dev/deployments/2", 200), "Roll back")
	p.post(reader, "/Shop/_environments/dev/deployments/2/rollback", 403)
	p.has(p.post(p.browser, fmt.Sprintf("/Shop/_environments/dev/deployments/%d/rollback", last.ID), 200), "back to #1", "running")
	if to := <-p.rolledBack; to != 1 {
		t.Errorf("rolled back to %d, want 1", to)
	}
	p.post(p.browser, fmt.Sprintf("/Shop/_environments/dev/deployments/%d/rollback", last.ID), 409)
	p.get(p.browser, "/Shop/_environments/dev/deployments/77", 404)
	p.get(p.browser, "/Shop/_environments/dev/deployments/x", 404)
	p.has(p.get(p.browser, "/_clusters", 200), "This server knows no cluster")
}

func TestExclusiveLockPages(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	p.environment("production")
	p.has(p.get(p.browser, "/Shop/_environments/production", 200), "Several stages may deploy here at the same time")
	p.has(p.post(p.browser, "/Shop/_environments/production/lock", 200, "timeout", "60"), "One stage at a time deploys here", "longer than 60 minutes")
	for run := slipway.RunID(1); run <= 2; run++ {
		err := p.environments.RequestChecks(t.Context(), environments.CheckRequest{Project: p.project.ID, ProjectName: "Shop", Run: run, Stage: "Ship", Attempt: 1,
			Environments: []string{"production"}, RequestedBy: p.actor, Commit: "c0ffee", Pipeline: 1, LockBehavior: environments.Sequential})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.has(p.get(p.browser, "/Shop/_environments/production", 200), "has it", "waits", "Ship")
	reader := p.member("rita", identity.RoleReader)
	p.post(reader, "/Shop/_environments/production/lock", 403, "do", "remove")
	p.lacks(p.get(reader, "/Shop/_environments/production", 200), "Remove the lock")
	p.has(p.post(p.browser, "/Shop/_environments/production/lock", 200, "do", "remove"), "Several stages may deploy here at the same time")
	p.post(p.browser, "/Shop/_environments/production/lock", 400, "timeout", "-1")
}
