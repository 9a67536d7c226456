package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

// addMachines serves what is done with the machines of pools.
func (p pipelinesPages) addMachines(s *Server) {
	s.Installation("POST", "/_pools/{pool}/machines", identity.Administer, p.registerMachine)
	s.Installation("POST", "/_pools/{pool}/machines/{machine}", identity.Administer, p.changeMachine)
}

// machineRow is a machine of a pool or an environment.
type machineRow struct {
	Name, State, URL string
	Disabled         bool
	Tags             string
	Capabilities     []string
	Job, Last        *machineJob // what it does, or did last
	Deployed         *machineJob // its last successful deployment
	Heard            time.Time
}

// machineJob is a job with its run.
type machineJob struct {
	Label, URL, Result string
	Commit             string
}

type machinesView struct {
	URL           string // below which machines are changed
	Rows          []machineRow
	OfEnvironment bool
	MayAdminister bool
}

// registrationView shows a registration token, once.
type registrationView struct {
	Target, Token, Command, Back string
	Expires                      time.Time
}

// machinesOf are the rows of a pool's or an environment's machines.
func machinesOf(ctx context.Context, svc *pipelines.Service, of pipelines.MachineTarget, base string, run func(pipelines.MachineWork) string) ([]machineRow, error) {
	machines, err := svc.Machines(ctx, of)
	if err != nil || len(machines) == 0 {
		return nil, err
	}
	last, err := svc.LastJobs(ctx, machines, false)
	if err != nil {
		return nil, err
	}
	deployed := map[int64]pipelines.MachineWork{}
	if of.Pool == "" {
		if deployed, err = svc.LastJobs(ctx, machines, true); err != nil {
			return nil, err
		}
	}
	shown := func(w pipelines.MachineWork, ok bool) *machineJob {
		if !ok {
			return nil
		}
		j := &machineJob{Label: w.Pipeline + " " + w.Number + ", " + w.Job.Instance, URL: run(w), Result: string(w.Job.Result), Commit: string(w.Commit)}
		if len(j.Commit) > 8 {
			j.Commit = j.Commit[:8]
		}
		return j
	}
	var rows []machineRow
	for _, m := range machines {
		row := machineRow{Name: m.Name, State: "offline", URL: base + "/" + strconv.FormatInt(m.ID, 10), Disabled: !m.Enabled, Tags: strings.Join(m.Tags, ", "), Heard: m.Heard}
		if m.Online {
			row.State = "online"
		}
		for _, name := range slices.Sorted(maps.Keys(m.Capabilities)) {
			row.Capabilities = append(row.Capabilities, strings.TrimSuffix(name+"="+m.Capabilities[name], "="))
		}
		work, ok := last[m.ID]
		if ok && work.Job.ID == m.Job {
			row.Job, row.State = shown(work, ok), "running"
		} else {
			row.Last = shown(work, ok)
		}
		done, ok := deployed[m.ID]
		row.Deployed = shown(done, ok)
		rows = append(rows, row)
	}
	return rows, nil
}

// changeMachineBy does what a form of a machine's row asks for.
func changeMachineBy(r *http.Request, svc *pipelines.Service, of pipelines.MachineTarget, caller identity.Principal) error {
	id, err := strconv.ParseInt(chi.URLParam(r, "machine"), 10, 64)
	if err != nil {
		id = 0
	}
	if _, err := svc.MachineOf(r.Context(), of, id); err != nil {
		return err
	}
	enabled := r.PostFormValue("do") == "enable"
	switch r.PostFormValue("do") {
	case "remove":
		return svc.RemoveMachine(r.Context(), id, caller.Actor)
	case "tags":
		tags := []string{}
		for tag := range strings.SplitSeq(r.PostFormValue("tags"), ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
		_, err = svc.UpdateMachine(r.Context(), id, pipelines.MachineUpdate{Tags: tags}, caller.Actor)
	default:
		_, err = svc.UpdateMachine(r.Context(), id, pipelines.MachineUpdate{Enabled: &enabled}, caller.Actor)
	}
	return err
}

func poolURL(name string) string { return "/_pools/" + url.PathEscape(name) + "/machines" }

func (p pipelinesPages) registerMachine(w http.ResponseWriter, r *http.Request, v View) error {
	of := pipelines.MachineTarget{Pool: chi.URLParam(r, "pool")}
	made, err := p.pipelines.NewRegistration(r.Context(), of, v.Caller.Actor)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.Render(w, r, v.Titled("Register a machine", ""), registrationPage(registrationView{Target: of.String(), Token: made.Token, Expires: made.Expires, Back: "/_pools",
		Command: fmt.Sprintf("slipway-agent machine --server %s --pool '%s' --token-file token", p.url, of.Pool)}))
}

func (p pipelinesPages) changeMachine(w http.ResponseWriter, r *http.Request, v View) error {
	pool := chi.URLParam(r, "pool")
	if err := changeMachineBy(r, p.pipelines, pipelines.MachineTarget{Pool: pool}, v.Caller); err != nil {
		return err
	}
	return p.Redirect(w, r, "/_pools#pool-"+url.PathEscape(pool))
}

// runURL is the page of the run of a pool's machine: the run knows its project.
func (p pipelinesPages) machineRun(ctx context.Context) func(pipelines.MachineWork) string {
	return func(work pipelines.MachineWork) string {
		run, err := p.pipelines.Get(ctx, work.Job.Run)
		if err != nil {
			return ""
		}
		project, err := p.identity.Project(ctx, run.Project)
		if err != nil {
			return ""
		}
		return "/" + url.PathEscape(project.Name) + "/_build/results?buildId=" + run.ID.String()
	}
}

// target are the machines of the environment of the path.
func (p environmentPages) target(v View, name string) pipelines.MachineTarget {
	return pipelines.MachineTarget{Project: v.Project.ID, ProjectName: v.Project.Name, Environment: name}
}

func (p environmentPages) registerMachine(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	of := p.target(v, e.Name)
	made, err := p.things.Pipelines.NewRegistration(r.Context(), of, v.Caller.Actor)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.Render(w, r, v.Titled("Register a machine", "environments"), registrationPage(registrationView{Target: of.String(), Token: made.Token, Expires: made.Expires,
		Back: v.URL("_environments", e.Name), Command: fmt.Sprintf("slipway-agent machine --server %s --environment '%s/%s' --tags web --token-file token", p.url, v.Project.Name, e.Name)}))
}

func (p environmentPages) changeMachine(w http.ResponseWriter, r *http.Request, v View) error {
	e, err := p.named(r, v)
	if err != nil {
		return err
	}
	if err := changeMachineBy(r, p.things.Pipelines, p.target(v, e.Name), v.Caller); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_environments", e.Name)+"#machines")
}
