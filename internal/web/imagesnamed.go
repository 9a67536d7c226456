package web

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/pipelines"
)

// imageOrigins finds the commits and runs that images come from, many at once: what run says first is asked for together.
type imageOrigins struct {
	things  Things
	view    View
	wanted  []slipway.RunID
	runs    map[slipway.RunID]pipelines.Run
	sources map[slipway.RepositoryID]string // names of repositories
	named   map[slipway.Reference]*thing
}

func (p imagesPages) originsOf(v View) *imageOrigins {
	return &imageOrigins{things: p.things, view: v, sources: map[slipway.RepositoryID]string{}, named: map[slipway.Reference]*thing{}}
}

// run says that the run will be asked for.
func (o *imageOrigins) run(id slipway.RunID) {
	if id != 0 {
		o.wanted = append(o.wanted, id)
	}
}

// of is the commit and the run of an image, nil where it has none.
func (o *imageOrigins) of(ctx context.Context, run slipway.RunID, commit slipway.CommitID) (atCommit, atRun *thing) {
	if run != 0 {
		atRun = o.find(ctx, slipway.Ref(slipway.RefRun, run), func() (thing, bool) { return o.knownRun(ctx, run) })
	}
	if commit != "" {
		atCommit = o.find(ctx, slipway.Ref(slipway.RefCommit, commit), func() (thing, bool) { return o.knownCommit(ctx, run, commit) })
	}
	return atCommit, atRun
}

// find gives a thing, which is described alone when it is not known.
func (o *imageOrigins) find(ctx context.Context, r slipway.Reference, known func() (thing, bool)) *thing {
	if o.named[r] == nil {
		t, ok := known()
		if !ok {
			t = o.things.describe(ctx, o.view, r)
		}
		o.named[r] = &t
	}
	return o.named[r]
}

func (o *imageOrigins) knownRun(ctx context.Context, id slipway.RunID) (thing, bool) {
	if o.runs == nil {
		o.runs = map[slipway.RunID]pipelines.Run{}
		if len(o.wanted) > 0 {
			list, err := o.things.Pipelines.List(ctx, pipelines.RunFilter{Project: o.view.Project.ID, IDs: o.wanted})
			if err != nil {
				return thing{}, false
			}
			for _, run := range list {
				o.runs[run.ID] = run
			}
		}
	}
	run, ok := o.runs[id]
	if !ok {
		return thing{}, false
	}
	return runThing(o.view, run), true
}

// knownCommit is the commit of a run, which says in which repository it is.
func (o *imageOrigins) knownCommit(ctx context.Context, id slipway.RunID, commit slipway.CommitID) (thing, bool) {
	run, ok := o.runs[id]
	if !ok || run.Commit != commit {
		return thing{}, false
	}
	name, ok := o.sources[run.Repository]
	if !ok {
		repo, err := o.things.Repos.Get(ctx, run.Repository)
		if err != nil || repo.Project != o.view.Project.ID {
			return thing{}, false
		}
		name = repo.Name
		o.sources[run.Repository] = name
	}
	t := thing{Reference: slipway.Ref(slipway.RefCommit, commit), Kind: kindNames[slipway.RefCommit][0], Label: commit.Short(), Detail: run.Title, When: run.Queued}
	t.URL = o.view.URL("_git", name, "commit", commit)
	return t, true
}

// runThing is a run as pages name it.
func runThing(v View, run pipelines.Run) thing {
	return thing{Reference: slipway.Ref(slipway.RefRun, run.ID), Kind: kindNames[slipway.RefRun][0], Label: fmt.Sprintf("%s %s", run.PipelineName, run.Number), Detail: run.Title,
		State: runState(&run), When: run.Queued, URL: fmt.Sprintf("%s?buildId=%d", v.URL("_build", "results"), run.ID)}
}
