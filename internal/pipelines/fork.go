package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/variable"
)

// EventForkSettingsChanged says that other pull requests from forks are built than before, or otherwise. Its subject is the project, and its
// payload a ForkSettingsPayload.
const EventForkSettingsChanged events.Kind = "pipelines.fork_settings_changed"

// ForkSettingsPayload is the payload of EventForkSettingsChanged.
type ForkSettingsPayload struct {
	Pipeline slipway.PipelineID `json:"pipeline,omitempty"` // 0 for those of the project
	Settings *ForkSettings      `json:"settings"`           // nil when the pipeline has those of its project again
}

// ForkComment says which pull requests from forks are built only after a comment `/azp run` of somebody who may push to the repository.
type ForkComment string

// The kinds of pull requests.
const (
	ForkCommentAll        ForkComment = "all"
	ForkCommentNonMembers ForkComment = "nonMembers" // those of people who may not push to the repository
	ForkCommentNever      ForkComment = "never"
)

// ForkSettings say what a pipeline does with pull requests from forks, whose authors choose what its jobs run.
type ForkSettings struct {
	Build     bool        `json:"build"`
	Comment   ForkComment `json:"comment"`
	Secrets   bool        `json:"secrets"`   // they get secret variables, service connections and secure files, and may deploy
	FullToken bool        `json:"fullToken"` // their jobs' tokens may what those of other runs may, not read alone
}

// DefaultForkSettings are those where nobody has chosen others.
var DefaultForkSettings = ForkSettings{Build: true, Comment: ForkCommentAll}

// ForkAccess is what a run of a pull request from a fork may beside what all may, as the settings were when it was queued.
type ForkAccess struct {
	Secrets   bool `json:"secrets,omitempty"`
	FullToken bool `json:"fullToken,omitempty"`
}

// ForkSource is the fork of a pull request, as far as its runs depend on it.
type ForkSource struct {
	Member bool // who opened the pull request may push to the repository
	// Approved are the pipelines, in any case, that somebody who may push lets run what the source is at now; ApprovedAll says that all may.
	Approved    []string
	ApprovedAll bool
}

// ForkSettings are what a pipeline has of its own, nil when nothing, and what holds for it. Those of a project are asked for with pipeline 0.
func (s *Service) ForkSettings(ctx context.Context, project slipway.ProjectID, pipeline slipway.PipelineID) (own *ForkSettings, effective ForkSettings, err error) {
	read := func(id slipway.PipelineID) (*ForkSettings, error) {
		scan := func(row interface{ Scan(...any) error }, f *ForkSettings) error {
			return row.Scan(&f.Build, (*string)(&f.Comment), &f.Secrets, &f.FullToken)
		}
		f, err := db.One(ctx, s.db, scan, `SELECT build, comment, secrets, full_token FROM pipeline_fork_settings WHERE project = $1 AND pipeline = $2`, string(project), int64(id))
		if db.IsNoRows(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read settings about forks: %w", err)
		}
		return &f, nil
	}
	if own, err = read(pipeline); err != nil || own != nil {
		if own != nil {
			effective = *own
		}
		return own, effective, err
	}
	all, err := read(0)
	if err != nil || all == nil {
		return nil, DefaultForkSettings, err
	}
	if pipeline == 0 {
		own = all
	}
	return own, *all, nil
}

// SetForkSettings sets those of a pipeline, or of a project with pipeline 0. Nil takes them back.
func (s *Service) SetForkSettings(ctx context.Context, project slipway.ProjectID, pipeline slipway.PipelineID, f *ForkSettings, by slipway.Actor) error {
	if f != nil && !slices.Contains([]ForkComment{ForkCommentAll, ForkCommentNonMembers, ForkCommentNever}, f.Comment) {
		p := slipway.Invalid("a comment is asked for of all, nonMembers or never, not %.40q", f.Comment)
		p.Field = "comment"
		return p
	}
	if pipeline != 0 {
		if d, err := s.Definition(ctx, pipeline); err != nil || d.Project != project {
			if err == nil {
				err = slipway.NotFound("there is no pipeline %d in this project", pipeline)
			}
			return err
		}
	}
	who, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_fork_settings WHERE project = $1 AND pipeline = $2`, string(project), int64(pipeline)); err != nil {
			return err
		}
		if f != nil {
			const insert = `INSERT INTO pipeline_fork_settings (project, pipeline, build, comment, secrets, full_token, changed, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
			if _, err := tx.ExecContext(ctx, insert, string(project), int64(pipeline), f.Build, string(f.Comment), f.Secrets, f.FullToken, db.Micros(s.clock.Now()), string(who)); err != nil {
				return err
			}
		}
		e := events.Event{Kind: EventForkSettingsChanged, Project: project, Subject: slipway.Ref(slipway.RefProject, project), Actor: by}
		return s.log.Append(ctx, tx, &e, ForkSettingsPayload{pipeline, f})
	})
	if err != nil {
		return fmt.Errorf("set settings about forks: %w", err)
	}
	return nil
}

// forkAccess says what a run of a pull request may, nil when it is from no fork. A pipeline that does not build it, or not yet, is an Invalid.
func (s *Service) forkAccess(ctx context.Context, d *Definition, p *PullRequest) (*ForkAccess, error) {
	if p.Fork == nil {
		return nil, nil
	}
	_, settings, err := s.ForkSettings(ctx, d.Project, d.ID)
	if err != nil {
		return nil, err
	}
	if !settings.Build {
		return nil, slipway.Invalid("pipeline %q builds no pull requests from forks", d.Name)
	}
	asks := settings.Comment == ForkCommentAll || settings.Comment == ForkCommentNonMembers && !p.Fork.Member
	approved := p.Fork.ApprovedAll || slices.ContainsFunc(p.Fork.Approved, func(name string) bool { return strings.EqualFold(name, d.Name) })
	if asks && !approved {
		return nil, slipway.Invalid("pipeline %q waits for a comment /azp run of somebody who may push to the repository, since the pull request is from a fork", d.Name)
	}
	return &ForkAccess{Secrets: settings.Secrets, FullToken: settings.FullToken}, nil
}

// forkOf says what a run may that somebody queues of the merge of a pull request: nothing more when it is from a fork.
func (s *Service) forkOf(ctx context.Context, run *Run) (*ForkAccess, error) {
	id, ok := run.PullRequest()
	if !ok || s.FromFork == nil {
		return nil, nil
	}
	if is, err := s.FromFork(ctx, id); err != nil || !is {
		return nil, err
	}
	return &ForkAccess{}, nil
}

// Untrusted says that a run is of a pull request from a fork that gets no secrets: what it makes is not to be relied upon.
func (r *Run) Untrusted() bool { return r.Fork != nil && !r.Fork.Secrets }

// refuseFork refuses what a pull request from a fork does not get.
func (r *Run) refuseFork(what string) error {
	if r.Untrusted() {
		return slipway.Forbidden("a pull request from a fork gets no %s", what)
	}
	return nil
}

// groupsOf opens the variable groups for a run: without their secrets when it gets none.
func (s *Service) groupsOf(ctx context.Context, q db.Querier, run *Run, names []string) (map[string]variable.Set, error) {
	sets, err := s.groupSets(ctx, q, run.Project, names)
	if err != nil || !run.Untrusted() {
		return sets, err
	}
	for name, set := range sets {
		sets[name] = withoutSecrets(set)
	}
	return sets, nil
}

func withoutSecrets(set variable.Set) variable.Set {
	open := set.Clone()
	for _, name := range set.Names() {
		if v, _ := set.Get(name); v.Secret {
			open.Delete(name)
		}
	}
	return open
}
