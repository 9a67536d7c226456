package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"slipway/internal/commandline"
	"slipway/internal/gitserver"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/diagnostic"
)

// How much of an answer to a push there is, and how long it may take.
const (
	mostAnswered = 20 // lines about mistakes
	answerTime   = 5 * time.Second
)

// tellPusher answers a push with the mistakes of its pipeline files, its pull requests and where to look; the runs begin a moment later.
// The push is taken in whatever the files are like.
func (s *Server) tellPusher(ctx context.Context, p gitserver.Push) []string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var lines []string
	for _, u := range p.Updates {
		if u.Together { // no run starts for it, nor for those that follow
			break
		}
		if u.Deleted() {
			continue
		}
		push := pipelines.Push{Repository: u.Repository, Ref: u.Ref, Before: u.Before, After: u.After, Actor: p.Actor, Paths: u.Paths, PathsUnknown: u.MorePaths}
		list, err := s.pipelines.Check(ctx, push)
		if err != nil {
			s.logger.Warn("check the pipeline files of a push", "repository", u.Repository, "ref", u.Ref, "error", err)
			continue
		}
		lines = append(lines, answer(list)...)
		lines = append(lines, s.tellUntriggered(ctx, push)...)
		if len(lines) > mostAnswered {
			break // a push of many branches
		}
	}
	lines = append(lines, s.tellPullRequests(ctx, p)...)
	return append(lines, "Runs: "+s.config.URL+"/"+url.PathEscape(p.Project.Name)+"/_build")
}

// tellUntriggered says which pipelines start no run of a push, and why.
func (s *Server) tellUntriggered(ctx context.Context, push pipelines.Push) []string {
	list, err := s.pipelines.Untriggered(ctx, push)
	if err != nil {
		s.logger.Warn("say why a push starts no run", "repository", push.Repository, "ref", push.Ref, "error", err)
		return nil
	}
	if more := len(list) - mostAnswered; more > 0 {
		list = append(list[:mostAnswered:mostAnswered], fmt.Sprintf("and %d more pipelines", more))
	}
	return list
}

// answer is what a pusher reads of mistakes.
func answer(list []diagnostic.Diagnostic) []string {
	var lines []string
	for _, d := range list[:min(len(list), mostAnswered)] {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", d.At(), d.Severity, d.Message))
	}
	if more := len(list) - mostAnswered; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: slipway validate shows all", more))
	}
	if errors, _ := diagnostic.Count(list); errors > 0 {
		lines = append(lines, "The push is taken in, but no run can start until "+commandline.Count(errors, "mistake")+" in the pipeline's files "+isOrAre(errors)+" mended.")
	}
	return lines
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
