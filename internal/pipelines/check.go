package pipelines

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/diagnostic"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Check says what is wrong with the pipeline files of a pushed commit, whether the push starts runs of them or not.
// Warnings are of files that the push changes.
func (s *Service) Check(ctx context.Context, p Push) ([]diagnostic.Diagnostic, error) {
	if p.After.IsZero() || !strings.HasPrefix(p.Ref, "refs/heads/") {
		return nil, nil
	}
	repo, err := s.Source.Repository(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	definitions, err := s.definitionsOf(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	if len(definitions) == 0 { // the file makes the pipeline in a moment
		definitions = []Definition{{Project: repo.Project, Name: repo.Name, Repository: repo.ID, Path: DefaultPath}}
	}
	var list []diagnostic.Diagnostic
	for _, d := range definitions {
		found, err := s.check(ctx, &d, &repo, p)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !slices.Contains(list, f) { // several pipelines may have the same file or template
				list = append(list, f)
			}
		}
	}
	return list, nil
}

// checkTime bounds how long a push or an editor waits for files of other hosts.
const checkTime = 30 * time.Second

func (s *Service) check(ctx context.Context, d *Definition, repo *Repository, p Push) ([]diagnostic.Diagnostic, error) {
	ctx, stop := context.WithTimeout(ctx, checkTime)
	defer stop()
	req := QueueRequest{Pipeline: d.ID, Actor: p.Actor, Ref: p.Ref, Commit: p.After, message: p.Message, reason: variable.ReasonIndividualCI}
	report, _, err := s.report(ctx, d, repo, &req, func(f compile.Files) compile.Files { return f })
	if err != nil {
		return nil, err
	}
	list := diagnostic.Of(report)
	return slices.DeleteFunc(list, func(f diagnostic.Diagnostic) bool {
		return f.Severity == diagnostic.Warning && !p.PathsUnknown && !slices.Contains(p.Paths, f.File)
	}), nil
}

// report is what the compiler says of a pipeline's files, seen through a layer over them. A file that is not there makes an
// empty report.
func (s *Service) report(ctx context.Context, d *Definition, repo *Repository, req *QueueRequest, over func(compile.Files) compile.Files) (compile.Report, compile.Input, error) {
	_, vars, err := s.prepare(ctx, d, repo, req)
	if err != nil {
		return compile.Report{}, compile.Input{}, err
	}
	in := s.compileInput(ctx, d, repo, req, vars)
	in.Files, in.Pipeline = over(in.Files), true
	if _, err := in.Files.ReadFile(d.Path); errors.Is(err, fs.ErrNotExist) {
		return compile.Report{}, in, nil
	}
	report := compile.Check(in)
	if report.Plan != nil {
		err := s.checkNames(ctx, s.db, d.Project, d.ID, report.Plan, vars)
		for _, found := range fileProblems(err, d.Path) {
			report.Problems = append(report.Problems, slipway.Invalid("%s", found.Message).At(found.At))
		}
		if err != nil && len(report.Problems) == 0 {
			return report, in, err
		}
	}
	return report, in, nil
}

// Draft is what a text would be in place of a file of a repository.
type Draft struct {
	// Pipelines are the names of those that read the file; without one it is no pipeline's file.
	Pipelines []string
	// Diagnostics are of the pipelines whose file it is, and else those in the file itself.
	Diagnostics []diagnostic.Diagnostic
	// Plan and Expanded, whose lines say where they come from, are of the first pipeline whose file it is; nil and "" if there is none or
	// a mistake keeps them from being made.
	Plan     *plan.Plan
	Expanded string
}

// CheckDraft says what would become of the pipelines of a branch if the file of that path had this text.
func (s *Service) CheckDraft(ctx context.Context, repository slipway.RepositoryID, ref, path, text string, actor slipway.Actor) (Draft, error) {
	if len(text) > maxFile {
		return Draft{}, slipway.Limit("the file has %d bytes, more than %d", len(text), maxFile)
	}
	repo, err := s.Source.Repository(ctx, repository)
	if err != nil {
		return Draft{}, err
	}
	definitions, err := s.definitionsOf(ctx, repository)
	if err != nil {
		return Draft{}, err
	}
	if len(definitions) == 0 && path == DefaultPath { // which makes the pipeline when it is pushed
		definitions = []Definition{{Project: repo.Project, Name: repo.Name, Repository: repo.ID, Path: path}}
	}
	ctx, stop := context.WithTimeout(ctx, checkTime)
	defer stop()
	var draft Draft
	for i := range definitions {
		if err := s.addDraft(ctx, &draft, &definitions[i], &repo, QueueRequest{Pipeline: definitions[i].ID, Actor: actor, Ref: ref, reason: variable.ReasonIndividualCI}, path, text); err != nil {
			return Draft{}, err
		}
	}
	return draft, nil
}

// addDraft adds what one pipeline makes of the text.
func (s *Service) addDraft(ctx context.Context, draft *Draft, d *Definition, repo *Repository, req QueueRequest, path, text string) error {
	read := false
	report, in, err := s.report(ctx, d, repo, &req, func(f compile.Files) compile.Files {
		return replaced{Files: f, path: path, text: text, read: &read}
	})
	if err != nil || !read {
		return err
	}
	draft.Pipelines = append(draft.Pipelines, d.Name)
	own := d.Path == path
	for _, f := range diagnostic.Of(report) {
		if (own || f.File == path) && !slices.Contains(draft.Diagnostics, f) {
			draft.Diagnostics = append(draft.Diagnostics, f)
		}
	}
	if own && draft.Plan == nil && len(report.Problems) == 0 {
		draft.Plan = report.Plan
		expanded, err := compile.ExpandWithOrigins(in)
		if err == nil {
			draft.Expanded = string(expanded)
		}
	}
	return nil
}
