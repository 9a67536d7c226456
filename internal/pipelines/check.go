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

// checkTime bounds how long a push waits for files of other hosts.
const checkTime = 30 * time.Second

func (s *Service) check(ctx context.Context, d *Definition, repo *Repository, p Push) ([]diagnostic.Diagnostic, error) {
	req := QueueRequest{Pipeline: d.ID, Actor: p.Actor, Ref: p.Ref, Commit: p.After, message: p.Message, reason: variable.ReasonIndividualCI}
	_, vars, err := s.prepare(ctx, d, repo, &req)
	if err != nil {
		return nil, err
	}
	reading, stop := context.WithTimeout(ctx, checkTime)
	defer stop()
	in := s.compileInput(reading, d, repo, &req, vars)
	in.Pipeline = true
	if _, err := in.Files.ReadFile(d.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	report := compile.Check(in)
	if report.Plan != nil {
		err := s.checkNames(ctx, s.db, d.Project, d.ID, report.Plan, vars)
		for _, found := range fileProblems(err, d.Path) {
			report.Problems = append(report.Problems, slipway.Invalid("%s", found.Message).At(found.At))
		}
		if err != nil && len(report.Problems) == 0 {
			return nil, err
		}
	}
	list := diagnostic.Of(report)
	return slices.DeleteFunc(list, func(f diagnostic.Diagnostic) bool {
		return f.Severity == diagnostic.Warning && !p.PathsUnknown && !slices.Contains(p.Paths, f.File)
	}), nil
}
