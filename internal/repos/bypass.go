package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The events of bypasses.
const (
	EventPolicyBypassed events.Kind = "repos.policy_bypassed" // subject the pull request, or the repository of a push; BypassPayload
	EventBypassGranted  events.Kind = "repos.bypass_granted"  // subject the repository, refers to the user; Bypass
)

// BypassPayload is the payload of EventPolicyBypassed.
type BypassPayload struct {
	On       string           `json:"on"` // completion, push
	Ref      string           `json:"ref"`
	Commit   slipway.CommitID `json:"commit,omitempty"`
	Policies []string         `json:"policies"` // what was bypassed
	Reason   string           `json:"reason"`
}

// Bypass is the right to do what required policies refuse. Nobody has it from the beginning, administrators neither.
type Bypass struct {
	User       slipway.UserID `json:"user"`
	Name       string         `json:"name"`
	Completion bool           `json:"completion"` // of pull requests
	Push       bool           `json:"push"`
	Granted    time.Time      `json:"granted"`
	GrantedBy  slipway.Actor  `json:"granted_by"`
}

// Bypasses lists who has the right, by name.
func (s *Service) Bypasses(ctx context.Context, id slipway.RepositoryID) ([]Bypass, error) {
	const query = `
		SELECT user_id, name, on_completion, on_push, granted, granted_by FROM policy_bypasses WHERE repository = $1 ORDER BY name, user_id LIMIT 1000`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, b *Bypass) error {
		var granted int64
		var by string
		if err := row.Scan((*string)(&b.User), &b.Name, &b.Completion, &b.Push, &granted, &by); err != nil {
			return err
		}
		b.Granted = db.Time(granted)
		return json.Unmarshal([]byte(by), &b.GrantedBy)
	}, query, string(id))
	if err != nil {
		return nil, fmt.Errorf("list bypasses of repository %s: %w", id, err)
	}
	return list, nil
}

// SetBypass gives a user the right on completion, on push, on both, or takes it away with neither.
func (s *Service) SetBypass(ctx context.Context, by slipway.Actor, id slipway.RepositoryID, user slipway.UserID, completion, push bool) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	b := Bypass{User: user, Completion: completion, Push: push, Granted: s.clock.Now(), GrantedBy: by}
	if completion || push {
		who, err := s.reviewer(ctx, r.Project, string(user))
		if err != nil {
			return err
		}
		b.Name = who.Name
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM policy_bypasses WHERE repository = $1 AND user_id = $2`, string(id), string(user)); err != nil {
			return err
		}
		if completion || push {
			const insert = `
				INSERT INTO policy_bypasses (repository, user_id, name, on_completion, on_push, granted, granted_by) VALUES ($1, $2, $3, $4, $5, $6, $7)`
			if _, err := tx.ExecContext(ctx, insert, string(id), string(user), b.Name, completion, push, db.Micros(b.Granted), string(actor)); err != nil {
				return err
			}
		}
		e := r.event(EventBypassGranted, by)
		e.References = append(e.References, slipway.Ref(slipway.RefUser, user))
		return s.log.Append(ctx, tx, e, b)
	})
	if err != nil {
		return fmt.Errorf("change bypass of repository %s: %w", r.Name, err)
	}
	return nil
}

// what a bypass is on
const (
	onCompletion = "completion"
	onPush       = "push"
)

// maxReason bounds the reason of a bypass, in bytes.
const maxReason = 1000

// mayBypass refuses who has no right to it, and a reason that is none.
func (s *Service) mayBypass(ctx context.Context, id slipway.RepositoryID, by slipway.Actor, reason, on string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason || strings.ContainsRune(reason, 0) {
		return slipway.Invalid("say why policies are bypassed, in at most %d bytes", maxReason)
	}
	all, err := s.Bypasses(ctx, id)
	if err != nil {
		return err
	}
	for _, b := range all {
		if by.Kind == slipway.ActorUser && string(b.User) == by.ID && (on == onCompletion && b.Completion || on == onPush && b.Push) {
			return nil
		}
	}
	return slipway.Forbidden("you may not bypass the policies of this repository on %s: an administrator of the project gives that right on the page Branch policies", on)
}

// tellBypass records what was bypassed.
func (s *Service) tellBypass(ctx context.Context, tx *db.Tx, project slipway.ProjectID, subject slipway.Reference, by slipway.Actor, b BypassPayload) error {
	e := events.Event{Kind: EventPolicyBypassed, Project: project, Subject: subject, Actor: by}
	if !b.Commit.IsZero() {
		e.References = append(e.References, slipway.Ref(slipway.RefCommit, b.Commit))
	}
	return s.log.Append(ctx, tx, &e, b)
}
