package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/audit"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

// Azure DevOps' own Go client reads the audit log in pages.
func TestAuditClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx := t.Context()
	for _, name := range []string{"one", "two", "three"} {
		ada := slipway.Actor{Kind: slipway.ActorUser, ID: "7d2c4a0e-6d0b-4a0e-9d0c-2f6f6f0f8c11", Name: "Ada"}
		must[pipelines.Group](t)(s.PutGroup(ctx, pipelines.Group{Project: w.project.ID, Name: name, Variables: []pipelines.GroupVariable{{Name: "key", Value: "hunter2", Secret: true}}}, ada))
	}
	c := must[audit.Client](t)(audit.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	from := azuredevops.Time{Time: time.Now().Add(-time.Hour)}
	first := must[*audit.AuditLogQueryResult](t)(c.QueryLog(ctx, audit.QueryLogArgs{BatchSize: to(2), StartTime: &from}))
	entries := *first.DecoratedAuditLogEntries
	if len(entries) != 2 || !*first.HasMore {
		t.Fatalf("first page %+v", first)
	}
	if e := entries[0]; *e.ActionId != "pipelines.variable_group_changed" || *e.ActorDisplayName != "Ada" || *e.Area != "pipelines" || *e.ProjectName != "Shop" || e.ActorUserId == nil ||
		*e.Category != audit.AuditActionCategoryValues.Modify || (*e.Data)["name"] != "three" || *e.Details != `variable group changed: group: 3, name: three, set: ["key"]` {
		t.Errorf("entry %+v, %s", e, *e.Details)
	}
	next := must[*audit.AuditLogQueryResult](t)(c.QueryLog(ctx, audit.QueryLogArgs{BatchSize: to(2), ContinuationToken: first.ContinuationToken}))
	if e := (*next.DecoratedAuditLogEntries)[0]; (*e.Data)["name"] != "one" {
		t.Errorf("second page begins with %+v", e)
	}
	until := azuredevops.Time{Time: time.Now().Add(-time.Hour)}
	if old := must[*audit.AuditLogQueryResult](t)(c.QueryLog(ctx, audit.QueryLogArgs{EndTime: &until})); len(*old.DecoratedAuditLogEntries) != 0 {
		t.Errorf("an hour ago: %+v", old)
	}

	contributor := w.member("carl", identity.RoleContributor)
	const all, own = "/_apis/audit/auditlog", "/Shop/_apis/slipway/audit/auditlog"
	for _, path := range []string{all, own} {
		w.call(contributor, http.MethodGet, path, "", http.StatusForbidden, nil)
		w.call(token, http.MethodGet, path+"?startTime=yesterday", "", http.StatusBadRequest, nil)
		w.call(token, http.MethodGet, path+"?continuationToken=x", "", http.StatusBadRequest, nil)
	}
	var log api.AuditLog
	w.call(token, http.MethodGet, own+"?people=true&actionId=pipelines.variable_group_changed", "", http.StatusOK, &log)
	if len(log.Entries) != 3 || log.HasMore {
		t.Errorf("of the project %+v", log)
	}
}
