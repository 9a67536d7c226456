package scans

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Policy says which known vulnerabilities a project does not accept in its images, and what follows.
type Policy struct {
	Severity     string   `json:"severity"`     // the least that is refused: critical, high, medium, low or unknown; empty: nothing is
	Unfixed      bool     `json:"unfixed"`      // also those for which there is no fixed version
	Pushes       bool     `json:"pushes"`       // jobs of pipelines cannot push such an image
	Environments []string `json:"environments"` // patterns of the environments that such an image is not deployed to; * is any text
}

// Limits of a policy.
const (
	maxPatterns = 50
	maxPattern  = 200 // bytes
)

// Check says what is wrong with the policy.
func (p Policy) Check() error {
	if p.Severity != "" {
		if err := CheckSeverity(p.Severity); err != nil {
			return err
		}
	}
	if len(p.Environments) > maxPatterns {
		return slipway.Limit("a policy names up to %d environments", maxPatterns)
	}
	for _, pattern := range p.Environments {
		if len(pattern) > maxPattern {
			return slipway.Limit("a pattern for environments has at most %d bytes", maxPattern)
		}
		if _, err := path.Match(pattern, "x"); err != nil || pattern == "" {
			return slipway.Invalid("environment %q is no pattern: write a name, or * for any text", pattern)
		}
	}
	return nil
}

// Guards says whether deployments to the environment are looked at.
func (p Policy) Guards(environment string) bool {
	for _, pattern := range p.Environments {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(environment)); err == nil && ok {
			return p.Severity != ""
		}
	}
	return false
}

// refuses says whether the policy does not accept a vulnerability.
func (p Policy) refuses(f Finding) bool {
	return p.Severity != "" && (p.Unfixed || f.Fixed != "") && len(AtLeast([]Finding{f}, p.Severity)) > 0
}

// Policy is that of a project; the zero one, which refuses nothing, when none was set.
func (s *Service) Policy(ctx context.Context, project slipway.ProjectID) (Policy, error) {
	return readPolicy(ctx, s.DB, project)
}

func readPolicy(ctx context.Context, q db.Querier, project slipway.ProjectID) (Policy, error) {
	var environments string
	p, err := db.One(ctx, q, func(row interface{ Scan(...any) error }, p *Policy) error {
		return row.Scan(&p.Severity, &p.Unfixed, &p.Pushes, &environments)
	}, `SELECT severity, unfixed, pushes, environments FROM scan_policies WHERE project = $1`, string(project))
	if db.IsNoRows(err) {
		return Policy{Environments: []string{}}, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(environments), &p.Environments)
	}
	if err != nil {
		return p, fmt.Errorf("read the policy of project %s: %w", project, err)
	}
	return p, nil
}

// SetPolicy replaces the policy of a project; callers have authorized its administrator.
func (s *Service) SetPolicy(ctx context.Context, project slipway.ProjectID, p Policy, by slipway.Actor) error {
	if err := p.Check(); err != nil {
		return err
	}
	if p.Environments == nil {
		p.Environments = []string{}
	}
	environments, err := json.Marshal(p.Environments)
	if err != nil {
		return fmt.Errorf("write the policy of project %s: %w", project, err)
	}
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		before, err := readPolicy(ctx, tx, project)
		if err != nil {
			return err
		}
		const upsert = `
			INSERT INTO scan_policies (project, severity, unfixed, pushes, environments) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (project) DO UPDATE SET severity = excluded.severity, unfixed = excluded.unfixed, pushes = excluded.pushes,
				environments = excluded.environments`
		if _, err := tx.ExecContext(ctx, upsert, string(project), p.Severity, p.Unfixed, p.Pushes, string(environments)); err != nil {
			return fmt.Errorf("write the policy of project %s: %w", project, err)
		}
		return s.tell(ctx, tx, EventPolicyChanged, project, by, PolicyPayload{before, p})
	})
}

// Verdict is what a project's policy says of an image.
type Verdict struct {
	Refused  []Finding // that the policy does not accept
	Accepted []Finding // that it would refuse without an exception
}

// Problem says why the image is refused, nil when it is not.
func (v Verdict) Problem(image string) error {
	if len(v.Refused) == 0 {
		return nil
	}
	const named = 5
	var list []string
	for _, f := range v.Refused[:min(named, len(v.Refused))] {
		text := fmt.Sprintf("%s (%s) in %s %s", f.ID, f.Severity, f.Package, f.Version)
		if f.Fixed != "" {
			text += ", fixed in " + f.Fixed
		}
		list = append(list, text)
	}
	if more := len(v.Refused) - named; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return slipway.Forbidden("the project's policy does not accept %d vulnerabilities of %s: %s; build it with fixed packages, or have an administrator make an exception", len(v.Refused), image, strings.Join(list, "; "))
}

// Judge applies the project's policy to an image. Conflict when its inventory is still to come; Unavailable when it cannot be known, which
// a policy that refuses something does not accept either.
func (s *Service) Judge(ctx context.Context, project slipway.ProjectID, repository string, d slipway.Digest) (Verdict, error) {
	var v Verdict
	p, err := s.Policy(ctx, project)
	if err != nil || p.Severity == "" {
		return v, err
	}
	findings, _, err := s.Findings(ctx, project, repository, d)
	if err != nil {
		return v, err
	}
	for _, f := range findings {
		switch {
		case !p.refuses(f):
		case f.Accepted != nil:
			v.Accepted = append(v.Accepted, f)
		default:
			v.Refused = append(v.Refused, f)
		}
	}
	return v, nil
}

// judgePoll is how often Await asks for an inventory that is still being taken.
const judgePoll = time.Second

// Await is Judge for an image whose inventory is waited for, until ctx ends. waiting is called once when there is something to wait for.
func (s *Service) Await(ctx context.Context, project slipway.ProjectID, repository string, d slipway.Digest, waiting func()) (Verdict, error) {
	for first := true; ; first = false {
		v, err := s.Judge(ctx, project, repository, d)
		if slipway.CodeOf(err) != slipway.CodeConflict {
			return v, err
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(judgePoll):
		}
	}
}
