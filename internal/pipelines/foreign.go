package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/mirror"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Repositories of other hosts are fetched to mirrors here: their templates are read from these, and jobs check them out from these,
// so that no job gets the credentials.

// remote is where a repository of another host is, with its credentials if the pipeline may use them.
func (s *Service) remote(ctx context.Context, project slipway.ProjectID, pipeline slipway.PipelineID, r *plan.Repository, fork *ForkAccess) (mirror.Remote, error) {
	out := mirror.Remote{Owner: string(project)}
	if s.Mirrors == nil {
		return out, slipway.Unsupported("this server mirrors no repositories of other hosts").At(r.At)
	}
	named, ok := r.Connection()
	if !ok {
		address, err := remoteURL(r, nil)
		out.URL = address
		return out, err
	}
	if err := (&Run{Fork: fork}).refuseFork("service connections"); err != nil {
		return out, slipway.Forbidden("repository %s: %v", r.Alias, err).At(r.At)
	}
	known, err := listConnections(ctx, s.db, project)
	if err != nil {
		return out, err
	}
	if problem := checkConnection(known, named.Name, named, pipeline); problem != nil {
		return out, problem.At(r.At)
	}
	c, err := findConnection(ctx, s.db, project, named.Name)
	if err != nil {
		return out, err
	}
	opened, err := s.opened(ctx, s.db, &c)
	if err != nil {
		return out, err
	}
	out.Owner += "/" + c.ID
	if out.User, out.Password = opened.Credentials(); out.Password != "" && out.User == "" {
		out.User = tokenUsers[c.Type]
	}
	out.URL, err = remoteURL(r, &opened)
	return out, err
}

// tokenUsers are the users with which hosts take a token as a password. The map is never changed.
var tokenUsers = map[string]string{"github": "x-access-token", "githubenterprise": "x-access-token", "bitbucket": "x-token-auth", "externalgit": "oauth2", "git": "git", "generic": "git"}

// remoteURL is the repository's address: what its connection says, or the host's own for its type.
func remoteURL(r *plan.Repository, c *job.Connection) (string, error) {
	base := map[string]string{"github": "https://github.com", "bitbucket": "https://bitbucket.org"}[r.Type]
	if c != nil && c.Type == "externalgit" {
		return c.URL, nil // it is of one repository
	}
	if c != nil {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" {
			return "", slipway.Invalid("the URL of service connection %q is none of a host", c.Name).At(r.At)
		}
		switch u.Host {
		case "api.github.com", "github.com", "api.bitbucket.org", "bitbucket.org":
		default:
			base = strings.TrimRight(c.URL, "/")
		}
	}
	if base == "" {
		return "", slipway.Invalid("repository %s needs endpoint, a service connection that says where it is", r.Alias).At(r.At)
	}
	parts := strings.Split(strings.Trim(r.Name, "/"), "/")
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return "", slipway.Invalid("name of repository %s: %q is none", r.Alias, r.Name).At(r.At)
		}
		parts[i] = url.PathEscape(part)
	}
	if r.Type == "git" && c != nil { // of another organisation of Azure DevOps, or another server like this one
		project := parts[0]
		return base + "/" + project + "/_git/" + parts[len(parts)-1], nil
	}
	return base + "/" + strings.TrimSuffix(strings.Join(parts, "/"), ".git") + ".git", nil
}

// foreignFiles are the files of a repository of another host, at what its ref names now; the commit is kept in the request.
func (s *Service) foreignFiles(ctx context.Context, d *Definition, req *QueueRequest, r *plan.Repository) (compile.Files, error) {
	remote, err := s.remote(ctx, d.Project, d.ID, r, req.fork)
	if err != nil {
		return nil, err
	}
	commit, err := s.foreignCommit(ctx, remote, req, r)
	if err != nil {
		return nil, err
	}
	return mirrorFiles{ctx, s.Mirrors, remote, commit}, nil
}

func (s *Service) foreignCommit(ctx context.Context, remote mirror.Remote, req *QueueRequest, r *plan.Repository) (slipway.CommitID, error) {
	key := strings.ToLower(r.Alias)
	if commit := req.foreign[key]; commit != "" {
		return commit, nil
	}
	commit, err := s.Mirrors.Fetch(ctx, remote, r.Ref, false)
	if err != nil {
		var p *slipway.Problem
		if errors.As(err, &p) && p.Position == nil {
			err = p.At(r.At)
		}
		return "", err
	}
	if req.foreign == nil {
		req.foreign = map[string]slipway.CommitID{}
	}
	req.foreign[key] = commit
	return commit, nil
}

// mirrorFiles reads files of a mirror at one commit.
type mirrorFiles struct {
	ctx    context.Context
	store  *mirror.Store
	remote mirror.Remote
	commit slipway.CommitID
}

// ReadFile implements compile.Files.
func (f mirrorFiles) ReadFile(path string) ([]byte, error) {
	b, err := f.store.ReadFile(f.ctx, f.remote, f.commit, path, maxFile)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return b, err
}

// pinForeign settles for all of the run which commits of other hosts' repositories it uses.
func (s *Service) pinForeign(ctx context.Context, d *Definition, req *QueueRequest, p *plan.Plan, vars *variable.Set) error {
	for i := range p.Resources.Repositories {
		r := &p.Resources.Repositories[i]
		if !r.Foreign() || req.foreign[strings.ToLower(r.Alias)] == "" && !p.ChecksOut(r.Alias) && !p.ReadsResources() {
			continue
		}
		remote, err := s.remote(ctx, d.Project, d.ID, r, req.fork)
		if err != nil {
			return err
		}
		commit, err := s.foreignCommit(ctx, remote, req, r)
		if err != nil {
			return err
		}
		for key, text := range map[string]string{"id": r.Name, "url": remote.URL, "version": string(commit)} {
			vars.Put(plan.RepositoryVariable(r.Alias, key), variable.Value{Text: text, ReadOnly: true})
		}
	}
	return nil
}

// recordForeign writes down which connections the run's own files were read with.
func (s *Service) recordForeign(ctx context.Context, tx *db.Tx, run *Run, p *plan.Plan) error {
	for i := range p.Resources.Repositories {
		named, ok := p.Resources.Repositories[i].Connection()
		if !ok {
			continue
		}
		c, err := findConnection(ctx, tx, run.Project, named.Name)
		if err != nil {
			return err
		}
		if err := s.recordUse(ctx, tx, &c, connectionUse{run: run, purpose: usedForFiles, actor: run.Actor}); err != nil {
			return err
		}
	}
	return nil
}

// foreignRepository is where a job fetches a repository of another host: from here.
func (s *Service) foreignRepository(ctx context.Context, a *job.Assignment, run *Run, r *plan.Repository) (job.Repository, error) {
	remote, err := s.remote(ctx, run.Project, run.Pipeline, r, run.Fork)
	if err != nil {
		return job.Repository{}, err
	}
	commit := slipway.CommitID(a.Variables.Text(plan.RepositoryVariable(r.Alias, "version")))
	if commit == "" {
		return job.Repository{}, slipway.NotFound("repository %s was not fetched when the run was queued", r.Alias)
	}
	if err := s.Mirrors.Ensure(ctx, remote, r.Ref, commit, wantsHistory(a.Steps, r.Alias)); err != nil {
		return job.Repository{}, err
	}
	return job.Repository{Name: r.Name, Ref: mirror.FullRef(r.Ref), Commit: commit,
		URL: s.URL + "/_slipway/jobs/" + a.Job.String() + "/repositories/" + url.PathEscape(strings.ToLower(r.Alias))}, nil
}

// wantsHistory reports whether a checkout of the repository wants more than the commit itself.
func wantsHistory(steps []plan.Step, alias string) bool {
	for _, st := range steps {
		if st.Checkout != nil && strings.EqualFold(st.Checkout.Repository, alias) {
			if depth := strings.TrimSpace(st.Checkout.FetchDepth); depth != "" && depth != "1" {
				return true
			}
		}
	}
	return false
}

// ServeForeign answers git of a running job that checks out a repository of another host.
func (s *Service) ServeForeign(w http.ResponseWriter, r *http.Request, id slipway.JobID, alias, rest string) error {
	ctx := r.Context()
	run, _, i, _, err := s.jobThatFetches(ctx, id)
	if err != nil {
		return err
	}
	p, err := s.plan(ctx, s.db, run.ID)
	if err != nil {
		return err
	}
	for k := range p.Resources.Repositories {
		repository := &p.Resources.Repositories[k]
		if !repository.Foreign() || !strings.EqualFold(repository.Alias, alias) || !usesRepository(i.Steps(), alias) {
			continue
		}
		remote, err := s.remote(ctx, run.Project, run.Pipeline, repository, run.Fork)
		if err != nil {
			return err
		}
		return s.Mirrors.Serve(w, r, remote, rest)
	}
	return slipway.NotFound("no checkout of this job names a repository %q of another host", alias)
}
