package pipelines

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/feed"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// RunPackage is a package that a run takes.
type RunPackage struct {
	Alias     string
	Kind      plan.PackageKind
	Name      string
	Version   string
	Triggered bool // its version started the run
}

// Packages lists the packages that a run takes (resources.packages).
func (s *Service) Packages(ctx context.Context, run slipway.RunID) ([]RunPackage, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, p *RunPackage) error {
		return row.Scan(&p.Alias, (*string)(&p.Kind), &p.Name, &p.Version, &p.Triggered)
	}, `SELECT alias, kind, name, version, triggered FROM pipeline_run_packages WHERE run = $1 ORDER BY alias LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list the packages of run %d: %w", run, err)
	}
	return list, nil
}

// packageSource is where a package is, with the credentials if the pipeline may use them.
func (s *Service) packageSource(ctx context.Context, project slipway.ProjectID, pipeline slipway.PipelineID, p *plan.Package, fork *ForkAccess) (feed.Source, error) {
	if err := (&Run{Fork: fork}).refuseFork("service connections"); err != nil {
		return feed.Source{}, slipway.Forbidden("package %s: %v", p.Alias, err).At(p.At)
	}
	known, err := listConnections(ctx, s.db, project)
	if err != nil {
		return feed.Source{}, err
	}
	named := p.Connection()
	if problem := checkConnection(known, named.Name, named, pipeline); problem != nil {
		return feed.Source{}, problem.At(p.At)
	}
	c, err := findConnection(ctx, s.db, project, named.Name)
	if err != nil {
		return feed.Source{}, err
	}
	opened, err := s.opened(ctx, s.db, &c)
	if err != nil {
		return feed.Source{}, err
	}
	return feed.SourceOf(p, &opened)
}

// pinPackages settles for all of the run which versions of packages it takes.
func (s *Service) pinPackages(ctx context.Context, d *Definition, req *QueueRequest, p *plan.Plan, vars *variable.Set) error {
	for i := range p.Resources.Packages {
		one := &p.Resources.Packages[i]
		version := ""
		if req.resource.is(plan.ResourcePackage, one.Alias) {
			version = req.resource.vars[plan.PackageVariable(req.resource.alias, "version")]
		} else {
			source, err := s.packageSource(ctx, d.Project, d.ID, one, req.fork)
			if err != nil {
				return err
			}
			found, err := s.feeds.Find(ctx, source, one.Version, one.Tag)
			if err != nil {
				return packageProblem(one, err)
			}
			version = found.Number
		}
		for key, text := range map[string]string{"name": one.Name, "type": string(one.Kind), "version": version} {
			vars.Put(plan.PackageVariable(one.Alias, key), variable.Value{Text: text, ReadOnly: true})
		}
	}
	return nil
}

// packageProblem is what a registry says, at the resource that it is about.
func packageProblem(p *plan.Package, err error) error {
	code := slipway.CodeOf(err)
	if code == slipway.CodeInternal {
		return fmt.Errorf("find package %s: %w", p.Alias, err)
	}
	return (&slipway.Problem{Code: slipway.CodeInvalid, Message: fmt.Sprintf("package %s: %v", p.Alias, err)}).At(p.At)
}

// recordPackages writes down which packages the run takes, and which connections were used to find them.
func (s *Service) recordPackages(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan, vars variable.Set) error {
	for i := range p.Resources.Packages {
		one := &p.Resources.Packages[i]
		c, err := findConnection(ctx, tx, run.Project, one.Endpoint)
		if err != nil {
			return err
		}
		if err := s.recordUse(ctx, tx, &c, connectionUse{run: run, purpose: usedForPackages, actor: run.Actor}); err != nil {
			return err
		}
		triggered := strings.EqualFold(vars.Text("resources.triggeringAlias"), one.Alias) && vars.Text("resources.triggeringCategory") == string(plan.ResourcePackage)
		const insert = `INSERT INTO pipeline_run_packages (run, alias, kind, name, version, triggered) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run, alias) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, int64(run.ID), one.Alias, string(one.Kind), one.Name, vars.Text(plan.PackageVariable(one.Alias, "version")), triggered); err != nil {
			return fmt.Errorf("record the packages of run %d: %w", run.ID, err)
		}
	}
	return nil
}
