package scans

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"slipway"
	"slipway/internal/db"
)

// Exception accepts a vulnerability in a project's images for a while.
type Exception struct {
	Vulnerability string    `json:"vulnerability"`     // its id or one of its aliases
	Package       string    `json:"package,omitempty"` // empty for every package
	Reason        string    `json:"reason"`
	Until         time.Time `json:"until"`
	By            string    `json:"by,omitempty"` // who made it
	Made          time.Time `json:"made"`
}

// LastDay is the last day on which the exception holds, in UTC.
func (e Exception) LastDay() string {
	return e.Until.Add(-time.Microsecond).UTC().Format(time.DateOnly)
}

const (
	maxExceptions = 1000 // of a project
	maxReason     = 1000 // characters
	maxName       = 300  // characters of a vulnerability's id or a package's name
	// maxAcceptance is how far off the end of an exception may be: whoever wants it longer looks at it again.
	maxAcceptance = 366 * 24 * time.Hour
)

func (e Exception) check(now time.Time) error {
	switch {
	case e.Vulnerability == "":
		return slipway.Invalid("say which vulnerability is accepted, as CVE-2024-1234")
	case len(e.Vulnerability) > maxName || len(e.Package) > maxName || strings.ContainsAny(e.Vulnerability+e.Package, "\n\r\t"):
		return slipway.Invalid("the vulnerability's and the package's names are one line of up to %d characters", maxName)
	case strings.TrimSpace(e.Reason) == "":
		return slipway.Invalid("give the reason for which %s is accepted", e.Vulnerability)
	case utf8.RuneCountInString(e.Reason) > maxReason:
		return slipway.Limit("the reason has more than %d characters", maxReason)
	case !e.Until.After(now):
		return slipway.Invalid("say until when %s is accepted: a time to come", e.Vulnerability)
	case e.Until.After(now.Add(maxAcceptance)):
		return slipway.Invalid("%s can be accepted for a year at most; accept it again then", e.Vulnerability)
	}
	return nil
}

// accepts says whether the exception is about a finding.
func (e Exception) accepts(f Finding, now time.Time) bool {
	if !e.Until.After(now) || e.Package != "" && e.Package != f.Package {
		return false
	}
	for _, id := range append([]string{f.ID}, f.Aliases...) {
		if strings.EqualFold(id, e.Vulnerability) {
			return true
		}
	}
	return false
}

func scanException(row interface{ Scan(...any) error }, e *Exception) error {
	var until, made int64
	err := row.Scan(&e.Vulnerability, &e.Package, &e.Reason, &until, &e.By, &made)
	e.Until, e.Made = db.Time(until), db.Time(made)
	return err
}

// Exceptions lists those of a project, also those that have ended, the first to end first.
func (s *Service) Exceptions(ctx context.Context, project slipway.ProjectID) ([]Exception, error) {
	list, err := db.List(ctx, s.DB, scanException, `SELECT vulnerability, package, reason, until, author, made FROM scan_exceptions WHERE project = $1 ORDER BY until, vulnerability, package LIMIT $2`, string(project), maxExceptions)
	if err != nil {
		return nil, fmt.Errorf("list the exceptions of project %s: %w", project, err)
	}
	return list, nil
}

// Accept makes an exception, or replaces the one for the same vulnerability and package; callers have authorized the project's
// administrator.
func (s *Service) Accept(ctx context.Context, project slipway.ProjectID, e Exception, by slipway.Actor) error {
	e.Vulnerability, e.Package, e.Reason = strings.TrimSpace(e.Vulnerability), strings.TrimSpace(e.Package), strings.TrimSpace(e.Reason)
	now := s.Clock.Now()
	if err := e.check(now); err != nil {
		return err
	}
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		const upsert = `
			INSERT INTO scan_exceptions (project, vulnerability, package, reason, until, author, made) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (project, vulnerability, package) DO UPDATE SET reason = excluded.reason, until = excluded.until, author = excluded.author, made = excluded.made`
		if _, err := tx.ExecContext(ctx, upsert, string(project), e.Vulnerability, e.Package, e.Reason, db.Micros(e.Until), by.Name, db.Micros(now)); err != nil {
			return fmt.Errorf("accept %s: %w", e.Vulnerability, err)
		}
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM scan_exceptions WHERE project = $1`, string(project))
		if err != nil {
			return fmt.Errorf("count the exceptions of project %s: %w", project, err)
		}
		if n > maxExceptions {
			return slipway.Limit("the project has %d exceptions: withdraw those that have ended", maxExceptions)
		}
		e.By, e.Made = by.Name, now
		return s.tell(ctx, tx, EventExceptionChanged, project, by, ExceptionPayload{"accepted", e})
	})
}

// Withdraw ends an exception; NotFound when there is none.
func (s *Service) Withdraw(ctx context.Context, project slipway.ProjectID, vulnerability, packageName string, by slipway.Actor) error {
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		const remove = `
			DELETE FROM scan_exceptions WHERE project = $1 AND vulnerability = $2 AND package = $3
			RETURNING vulnerability, package, reason, until, author, made`
		e, err := db.One(ctx, tx, scanException, remove, string(project), vulnerability, packageName)
		if db.IsNoRows(err) {
			return slipway.NotFound("there is no exception for %q in package %q", vulnerability, packageName)
		}
		if err != nil {
			return fmt.Errorf("withdraw the exception for %s: %w", vulnerability, err)
		}
		return s.tell(ctx, tx, EventExceptionChanged, project, by, ExceptionPayload{"withdrawn", e})
	})
}

// mark says which findings the project accepts.
func (s *Service) mark(ctx context.Context, project slipway.ProjectID, findings []Finding) error {
	exceptions, err := s.Exceptions(ctx, project)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	for i := range findings {
		for _, e := range exceptions {
			if e.accepts(findings[i], now) {
				findings[i].Accepted = &e
				break
			}
		}
	}
	return nil
}
