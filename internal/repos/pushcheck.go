package repos

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/repos/policy"
)

// bypassOption is the push option by which policies are bypassed: git push -o policy.bypass=REASON.
const bypassOption = "policy.bypass="

// option is the value of a push option, empty when it was not given.
func (c pushCheck) option(name string) string {
	for _, o := range c.options {
		if value, ok := strings.CutPrefix(o, name); ok {
			return value
		}
	}
	return ""
}

// checkPush decides whether a push may move its refs, and says to the pusher why not. A fault of the server refuses it.
func (s *Service) checkPush(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, ask pushCheck) (lines []string, allowed bool) {
	lines, err := s.refusals(ctx, id, actor, ask)
	switch {
	case err == nil:
		return lines, len(lines) == 0
	case slipway.CodeOf(err) == slipway.CodeInternal:
		s.logger.Error("checking a push failed", "repository", id, "error", err)
		return []string{"The server could not check this push: try again, and tell whoever runs the server if it happens again."}, false
	}
	return []string{message(err)}, false
}

// refusals are the lines that refuse a push; none let it through.
func (s *Service) refusals(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, ask pushCheck) ([]string, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.checkFilled(ctx, id); err != nil {
		return nil, err
	}
	for _, o := range ask.options {
		if !knownOption(o) {
			return []string{fmt.Sprintf("Push option %q is not known here: use %screate, %sREASON or %sFINDING:REASON, or leave it out.", shorten(o, 80), pullOption, bypassOption, secretOption)}, nil
		}
	}
	if err := s.checkPushedRequest(ctx, r, actor, ask); err != nil {
		return nil, err
	}
	lines, err := s.limitRefusals(ctx, r, ask)
	if err != nil || len(lines) > 0 {
		return lines, err
	}
	lines, err = s.secretRefusals(ctx, r, actor, ask)
	if err != nil || len(lines) > 0 {
		return lines, err
	}
	lines, err = s.lockRefusals(ctx, id, ask)
	if err != nil || len(lines) > 0 {
		return lines, err
	}
	return s.policyRefusals(ctx, r, actor, ask) // the last: what it lets through by a bypass is in the log
}

func knownOption(o string) bool {
	return strings.HasPrefix(o, bypassOption) || strings.HasPrefix(o, secretOption) || strings.HasPrefix(o, pullOption)
}

// policyRefusals says which policies a push would go round, unless it bypasses them.
func (s *Service) policyRefusals(ctx context.Context, r Repository, actor slipway.Actor, ask pushCheck) ([]string, error) {
	var lines []string
	var bypassed []BypassPayload
	all, err := s.Policies(ctx, r.Project)
	if err != nil {
		return nil, err
	}
	for _, m := range ask.moves {
		titles := r.goesRound(all, m)
		if len(titles) == 0 {
			continue
		}
		lines = append(lines, protectedLines(m, titles)...)
		bypassed = append(bypassed, BypassPayload{On: onPush, Ref: m.Ref, Commit: m.After, Policies: titles})
	}
	reason := ask.option(bypassOption)
	if len(lines) == 0 || reason == "" {
		return lines, nil
	}
	if err := s.mayBypass(ctx, r.ID, actor, reason, onPush); err != nil {
		return nil, err
	}
	// It is recorded before the refs move: a push that then comes to nothing is in the log, one that is not in the log did not happen.
	return nil, s.db.Tx(ctx, func(tx *db.Tx) error {
		for _, b := range bypassed {
			b.Reason = reason
			if err := s.tellBypass(ctx, tx, r.Project, slipway.Ref(slipway.RefRepository, r.ID), actor, b); err != nil {
				return err
			}
		}
		return nil
	})
}

// refuses lists the required policies of the branch that a move would go round.
func (s *Service) refuses(ctx context.Context, r Repository, m refMove) ([]string, error) {
	all, err := s.Policies(ctx, r.Project)
	return r.goesRound(all, m), err
}

// goesRound lists, of a project's policies, the required ones that a move would go round. A new branch may be made: what is on it then
// changes by pull requests alone.
func (r Repository) goesRound(all []policy.Policy, m refMove) []string {
	if m.Before.IsZero() || !strings.HasPrefix(m.Ref, branchPrefix) {
		return nil
	}
	return r.requires(all, m.Ref)
}

func protectedLines(m refMove, titles []string) []string {
	branch := strings.TrimPrefix(m.Ref, branchPrefix)
	what := fmt.Sprintf("Branch %s changes by pull requests alone, since it has required policies:", branch)
	todo := fmt.Sprintf("Push to another branch and open a pull request into %s: git push origin HEAD:refs/heads/TOPIC", branch)
	if m.After.IsZero() {
		what, todo = fmt.Sprintf("Branch %s cannot be deleted, since it has required policies:", branch), "Ask an administrator of the project to remove them first."
	}
	lines := []string{what}
	for _, t := range titles {
		lines = append(lines, "  "+t)
	}
	return append(lines, todo, fmt.Sprintf("Whoever has the right to bypass policies: git push -o %q", bypassOption+"REASON"))
}

// message is the sentence of an error that users read.
func message(err error) string {
	var p *slipway.Problem
	if errors.As(err, &p) {
		return p.Message
	}
	return err.Error()
}

// checkDirect refuses a commit that is made directly on a branch that is locked or has required policies.
func (s *Service) checkDirect(ctx context.Context, id slipway.RepositoryID, ref string) error {
	if err := s.checkLocked(ctx, id, ref); err != nil {
		return err
	}
	titles, err := s.protecting(ctx, id, ref)
	if err != nil || len(titles) == 0 {
		return err
	}
	return slipway.Conflict("branch %s changes by pull requests alone, since it has required policies (%s): commit to another branch and open a pull request",
		strings.TrimPrefix(ref, branchPrefix), strings.Join(titles, ", "))
}
