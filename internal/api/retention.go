package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/retention"
)

func (b buildRoutes) addRetentionRoutes() {
	b.project("GET", "/build/retention", identity.Read, b.retentionSettings)
	b.project("PATCH", "/build/retention", identity.Administer, b.setRetention)
	b.project("GET", "/build/retention/leases", identity.Read, b.leases)
	b.project("POST", "/build/retention/leases", identity.Contribute, b.addLeases)
	b.project("DELETE", "/build/retention/leases", identity.Contribute, b.deleteLeases)
	b.project("GET", "/build/retention/leases/{lease}", identity.Read, b.lease)
	b.project("PATCH", "/build/retention/leases/{lease}", identity.Contribute, b.updateLease)
	b.project("GET", "/build/builds/{build}/leases", identity.Read, b.leasesOfBuild)
	b.project("DELETE", "/build/builds/{build}", identity.Administer, b.deleteBuild)
	b.project("GET", "/slipway/retention", identity.Read, b.fates)
}

// RetentionSetting is one of the settings of how long runs are kept.
type RetentionSetting struct {
	Min   int `json:"min"`
	Max   int `json:"max"`
	Value int `json:"value"`
}

// ProjectRetention says how long the runs of a project are kept, as `GET build/retention` shows it.
type ProjectRetention struct {
	Artifacts       RetentionSetting `json:"purgeArtifacts"`               // days
	PullRequestRuns RetentionSetting `json:"purgePullRequestRuns"`         // days
	Runs            RetentionSetting `json:"purgeRuns"`                    // days
	Recent          RetentionSetting `json:"retainRunsPerProtectedBranch"` // runs
}

func projectRetention(s retention.Settings) ProjectRetention {
	one := func(b retention.Bounds, value int) RetentionSetting { return RetentionSetting{b.Min, b.Max, value} }
	return ProjectRetention{Artifacts: one(retention.ArtifactsBounds, s.Artifacts), PullRequestRuns: one(retention.PullRequestRunsBounds, s.PullRequestRuns),
		Runs: one(retention.RunsBounds, s.Runs), Recent: one(retention.RecentBounds, s.Recent)}
}

func (b buildRoutes) retentionSettings(w http.ResponseWriter, r request) error {
	s, err := b.pipelines.Retention(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, projectRetention(s))
	return nil
}

// RetentionUpdate changes how long the runs of a project are kept; what it leaves out stays.
type RetentionUpdate struct {
	Artifacts       *RetentionValue `json:"artifactsRetention,omitempty"`
	PullRequestRuns *RetentionValue `json:"pullRequestRunRetention,omitempty"`
	Runs            *RetentionValue `json:"runRetention,omitempty"`
	Recent          *RetentionValue `json:"retainRunsPerProtectedBranch,omitempty"`
}

// RetentionValue is the new value of a setting.
type RetentionValue struct {
	Value int `json:"value"`
}

func (b buildRoutes) setRetention(w http.ResponseWriter, r request) error {
	var body RetentionUpdate
	if err := r.decode(w, 64<<10, &body, "the new settings"); err != nil {
		return err
	}
	s, err := b.pipelines.Retention(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	for _, change := range []struct {
		to   *RetentionValue
		what *int
	}{{body.Artifacts, &s.Artifacts}, {body.PullRequestRuns, &s.PullRequestRuns}, {body.Runs, &s.Runs}, {body.Recent, &s.Recent}} {
		if change.to != nil {
			*change.what = change.to.Value
		}
	}
	if err := b.pipelines.SetRetention(r.Context(), r.project.ID, r.caller.Actor, s); err != nil {
		return err
	}
	return b.retentionSettings(w, r)
}

// RetentionLease keeps a run.
type RetentionLease struct {
	LeaseID         int64      `json:"leaseId"`
	RunID           int64      `json:"runId"`
	DefinitionID    int64      `json:"definitionId"`
	OwnerID         string     `json:"ownerId"`
	ProtectPipeline bool       `json:"protectPipeline"`
	CreatedOn       *time.Time `json:"createdOn"`
	ValidUntil      *time.Time `json:"validUntil"`
}

func retentionLease(l pipelines.Lease) RetentionLease {
	return RetentionLease{LeaseID: l.ID, RunID: int64(l.Run), DefinitionID: int64(l.Pipeline), OwnerID: l.Owner, ProtectPipeline: l.ProtectPipeline,
		CreatedOn: when(l.Created), ValidUntil: when(l.Expires)}
}

func retentionLeases(w http.ResponseWriter, leases []pipelines.Lease) error {
	var out []RetentionLease
	for _, l := range leases {
		out = append(out, retentionLease(l))
	}
	return list(w, out)
}

// maxLeasesAsked bounds the leases that one call names.
const maxLeasesAsked = 100

// leases lists those of an owner (?ownerId=, ?definitionId=, ?runId=), or those that leasesToFetch describes, JSON objects divided by bars.
func (b buildRoutes) leases(w http.ResponseWriter, r request) error {
	query := r.URL.Query()
	var asked []RetentionLease
	if text := query.Get("leasesToFetch"); text != "" {
		for one := range strings.SplitSeq(text, "|") {
			var l RetentionLease
			if err := json.Unmarshal([]byte(one), &l); err != nil {
				return at("leasesToFetch", slipway.Invalid("%.100q is not a lease: %v", one, err))
			}
			if asked = append(asked, l); len(asked) > maxLeasesAsked {
				return slipway.Limit("at most %d leases are fetched at once", maxLeasesAsked)
			}
		}
	} else {
		l := RetentionLease{OwnerID: query.Get("ownerId")}
		if user := query.Get("userOwnerId"); user != "" {
			l.OwnerID = "User:" + user
		}
		for name, into := range map[string]*int64{"definitionId": &l.DefinitionID, "runId": &l.RunID} {
			if text := query.Get(name); text != "" {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					return slipway.Invalid("%s %q is not a number", name, text)
				}
				*into = n
			}
		}
		asked = append(asked, l)
	}
	var found []pipelines.Lease
	for _, l := range asked {
		some, err := b.pipelines.Leases(r.Context(), pipelines.LeaseFilter{Project: r.project.ID, Pipeline: slipway.PipelineID(l.DefinitionID), Run: slipway.RunID(l.RunID), Owner: l.OwnerID})
		if err != nil {
			return err
		}
		found = append(found, some...)
	}
	return retentionLeases(w, found)
}

func (b buildRoutes) addLeases(w http.ResponseWriter, r request) error {
	var body []struct {
		RunID           int64  `json:"runId"`
		DefinitionID    int64  `json:"definitionId"`
		OwnerID         string `json:"ownerId"`
		DaysValid       int    `json:"daysValid"`
		ProtectPipeline bool   `json:"protectPipeline"`
	}
	if err := r.decode(w, 1<<20, &body, "a list of leases"); err != nil {
		return err
	}
	var wanted []pipelines.NewLease
	for i, l := range body {
		run, err := b.pipelines.Get(r.Context(), slipway.RunID(l.RunID))
		if err == nil && l.DefinitionID != 0 && int64(run.Pipeline) != l.DefinitionID {
			err = slipway.Invalid("run %d is of pipeline %d, not of %d", l.RunID, run.Pipeline, l.DefinitionID)
		}
		if err != nil {
			return at(fmt.Sprintf("[%d]", i), err)
		}
		wanted = append(wanted, pipelines.NewLease{Run: run.ID, Owner: l.OwnerID, Days: l.DaysValid, ProtectPipeline: l.ProtectPipeline})
	}
	made, err := b.pipelines.AddLeases(r.Context(), r.project.ID, r.caller.Actor, wanted)
	if err != nil {
		return err
	}
	return retentionLeases(w, made)
}

// deleteLeases ends the leases ?ids=1,2.
func (b buildRoutes) deleteLeases(w http.ResponseWriter, r request) error {
	var ids []int64
	for text := range strings.SplitSeq(r.URL.Query().Get("ids"), ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return slipway.Invalid("ids %q: name the leases by their numbers, divided by commas", r.URL.Query().Get("ids"))
		}
		if ids = append(ids, id); len(ids) > maxLeasesAsked {
			return slipway.Limit("at most %d leases are ended at once", maxLeasesAsked)
		}
	}
	if err := b.pipelines.DeleteLeases(r.Context(), r.project.ID, r.caller.Actor, ids...); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b buildRoutes) lease(w http.ResponseWriter, r request) error {
	id, err := r.number("lease")
	if err != nil {
		return err
	}
	l, err := b.pipelines.Lease(r.Context(), r.project.ID, id)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, retentionLease(l))
	return nil
}

func (b buildRoutes) updateLease(w http.ResponseWriter, r request) error {
	id, err := r.number("lease")
	if err != nil {
		return err
	}
	var body struct {
		DaysValid       *int  `json:"daysValid"`
		ProtectPipeline *bool `json:"protectPipeline"`
	}
	if err := r.decode(w, 64<<10, &body, "the change of a lease"); err != nil {
		return err
	}
	l, err := b.pipelines.UpdateLease(r.Context(), r.project.ID, id, pipelines.LeaseUpdate{Days: body.DaysValid, ProtectPipeline: body.ProtectPipeline})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, retentionLease(l))
	return nil
}

func (b buildRoutes) leasesOfBuild(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	found, err := b.pipelines.Leases(r.Context(), pipelines.LeaseFilter{Project: r.project.ID, Run: run.ID})
	if err != nil {
		return err
	}
	return retentionLeases(w, found)
}

// keepForever retains a run in the caller's name, or ends what the caller retained.
func (b buildRoutes) keepForever(r request, run *pipelines.Run, keep bool) error {
	return b.pipelines.Retain(r.Context(), run, r.caller.Actor, keep)
}

func (b buildRoutes) deleteBuild(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	if err := b.pipelines.DeleteRun(r.Context(), run.ID, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// RunFate is what would become of a run if runs were looked at now.
type RunFate struct {
	Run        int64      `json:"run"`
	Number     string     `json:"number"`
	Pipeline   string     `json:"pipeline"`
	Branch     string     `json:"branch"`
	FinishTime *time.Time `json:"finishTime,omitempty"`
	Action     string     `json:"action"` // keep, purge (artifacts go) or delete
	Reason     string     `json:"reason"`
}

// maxFates bounds the runs of each action that are listed.
const maxFates = 200

func (b buildRoutes) fates(w http.ResponseWriter, r request) error {
	found, counts, err := b.pipelines.Fates(r.Context(), r.project.ID, maxFates)
	if err != nil {
		return err
	}
	out := []RunFate{}
	for _, f := range found {
		out = append(out, RunFate{Run: int64(f.Run), Number: f.Number, Pipeline: f.Name, Branch: f.Ref, FinishTime: when(f.Finished), Action: string(f.Action), Reason: f.Reason})
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"count": len(out), "value": out, "total": counts})
	return nil
}
