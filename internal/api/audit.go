package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

type auditRoutes struct {
	*Server
	log *events.Log
}

// AddAudit serves the event log: of the installation as Azure DevOps' audit area, and of a project, for its administrators.
func (s *Server) AddAudit(log *events.Log) {
	a := auditRoutes{s, log}
	s.installation("GET", "/audit/auditlog", identity.Administer, a.entries)
	s.project("GET", "/slipway/audit/auditlog", identity.Administer, a.entries)
}

// AuditEntry is an event as Azure DevOps' audit area shows it.
type AuditEntry struct {
	ID               string          `json:"id"`
	Timestamp        time.Time       `json:"timestamp"`
	ActorDisplayName string          `json:"actorDisplayName"`
	ActorUserID      string          `json:"actorUserId,omitempty"`
	ActorKind        string          `json:"actorKind"` // user, job, machine, system: Slipway's own
	ActionID         string          `json:"actionId"`  // the event's kind
	Area             string          `json:"area"`
	Category         string          `json:"category"` // create, modify, remove, access
	Details          string          `json:"details"`
	Data             json.RawMessage `json:"data"`
	ProjectID        string          `json:"projectId,omitempty"`
	ProjectName      string          `json:"projectName,omitempty"`
	ScopeType        string          `json:"scopeType"` // organization
}

// AuditLog is a page of entries, newest first.
type AuditLog struct {
	Entries           []AuditEntry `json:"decoratedAuditLogEntries"`
	ContinuationToken string       `json:"continuationToken"`
	HasMore           bool         `json:"hasMore"`
}

// maxAuditPage bounds the entries of a page, of which there are 200 by default.
const maxAuditPage = 1000

// entries lists what happened between startTime and endTime, batchSize at once; people=true leaves out what jobs and the server did.
func (a auditRoutes) entries(w http.ResponseWriter, r request) error {
	q := r.URL.Query()
	f, err := auditFilter(q)
	if err != nil {
		return err
	}
	f.Project = r.project.ID
	size := f.Limit
	f.Limit = min(size+1, maxAuditPage)
	found, err := a.log.List(r.Context(), f)
	if err != nil {
		return err
	}
	out := AuditLog{Entries: []AuditEntry{}}
	if len(found) > size {
		found, out.HasMore = found[:size], true
		out.ContinuationToken = strconv.FormatInt(found[size-1].ID, 10)
	}
	names := map[slipway.ProjectID]string{"": ""}
	for _, e := range found {
		if _, known := names[e.Project]; !known {
			p, err := a.identity.ProjectByName(r.Context(), string(e.Project))
			if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
				return err
			}
			names[e.Project] = p.Name
		}
		out.Entries = append(out.Entries, auditEntry(e, names[e.Project]))
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func auditFilter(q url.Values) (f events.Filter, err error) {
	if f.Limit, err = count(q, 200, maxAuditPage-1, "batchSize", "$top"); err != nil {
		return f, err
	}
	f.Limit = max(f.Limit, 1)
	f.People, f.Kind = truth(q, "people"), events.Kind(q.Get("actionId"))
	for name, into := range map[string]*time.Time{"startTime": &f.Since, "endTime": &f.Until} {
		if text := q.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return f, at(name, slipway.Invalid("%q is no time: write it as 2026-03-01T12:00:00Z", text))
			}
		}
	}
	if text := q.Get("continuationToken"); text != "" {
		if f.Before, err = strconv.ParseInt(text, 10, 64); err != nil || f.Before <= 0 {
			return f, at("continuationToken", slipway.Invalid("%q is none of this server's tokens", text))
		}
	}
	return f, nil
}

func auditEntry(e events.Event, project string) AuditEntry {
	out := AuditEntry{ID: strconv.FormatInt(e.ID, 10), Timestamp: e.Time, ActorDisplayName: e.Actor.Name, ActorKind: string(e.Actor.Kind), ActionID: string(e.Kind), Area: e.Area(),
		Category: auditCategory(e.Words()), Details: e.Words(), Data: e.Payload, ProjectID: string(e.Project), ProjectName: project, ScopeType: "organization"}
	if _, err := uuid.Parse(e.Actor.ID); err == nil {
		out.ActorUserID = e.Actor.ID
	}
	if details := e.Details(); details != "" {
		out.Details += ": " + details
	}
	return out
}

// auditCategory is Azure DevOps' word for what an event did.
func auditCategory(words string) string {
	switch words[strings.LastIndex(words, " ")+1:] {
	case "created", "registered", "added", "uploaded", "queued", "opened":
		return "create"
	case "deleted", "removed":
		return "remove"
	case "fetched", "used", "issued":
		return "access"
	}
	return "modify"
}
