package scans

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Finding is a known vulnerability that a package of an image has.
type Finding struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases,omitempty"`
	Summary  string   `json:"summary,omitempty"`
	Severity string   `json:"severity"`        // critical, high, medium, low or unknown
	Score    float64  `json:"score,omitempty"` // CVSS, 0 when unknown
	Package  string   `json:"package"`
	Version  string   `json:"version"`
	Fixed    string   `json:"fixed,omitempty"` // the first version without it
	PURL     string   `json:"purl"`
	Path     string   `json:"path"`
	// Accepted is the project's exception for it, if there is one; not kept with the finding.
	Accepted *Exception `json:"accepted,omitempty"`
}

// Ecosystem is what there is of one ecosystem's records.
type Ecosystem struct {
	Name     string    `json:"name"`
	Records  int       `json:"records"`
	Packages int       `json:"packages"`
	Modified string    `json:"modified"` // the newest record's time
	Imported time.Time `json:"imported"`
}

// severities are in the order of their weight.
var severities = []string{"unknown", "low", "medium", "high", "critical"}

// CheckSeverity says what is wrong with a severity that somebody wrote.
func CheckSeverity(text string) error {
	if !slices.Contains(severities, text) {
		return slipway.Invalid("severity %.40q: write critical, high, medium, low or unknown", text)
	}
	return nil
}

// AtLeast are the findings of that severity and worse; those of unknown severity are least.
func AtLeast(list []Finding, severity string) []Finding {
	least := slices.Index(severities, severity)
	return slices.DeleteFunc(slices.Clone(list), func(f Finding) bool { return slices.Index(severities, f.Severity) < least })
}

// Unaccepted are the findings for which the project has no exception.
func Unaccepted(list []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(list), func(f Finding) bool { return f.Accepted != nil })
}

// match looks for the vulnerabilities of an image's packages, those that a document names among them. They are read with the lock held, so
// that what comes last is what counts.
func (s *Service) match(ctx context.Context, repository string, d slipway.Digest) error {
	s.matching.Lock()
	defer s.matching.Unlock()
	packages, err := s.listed(ctx, repository, d)
	if err != nil {
		return err
	}
	var answer struct {
		Findings   []Finding   `json:"findings"`
		Ecosystems []Ecosystem `json:"ecosystems"`
		Unchecked  int         `json:"unchecked"`
	}
	feed := func(w io.Writer) error { return json.NewEncoder(w).Encode(Inventory{Packages: packages}) }
	if err := s.call(ctx, &answer, feed, "match", s.Folder); err != nil {
		return err
	}
	if len(answer.Ecosystems) == 0 { // nothing to look in
		return nil
	}
	packed, err := pack(answer.Findings)
	if err != nil {
		return err
	}
	n := map[string]int{}
	for _, f := range answer.Findings {
		n[f.Severity]++
	}
	const update = `
		UPDATE scan_images SET findings = $1, matched = $2, critical = $3, high = $4, medium = $5, low = $6, unknown = $7, unchecked = $8
		WHERE repository = $9 AND digest = $10`
	_, err = s.DB.ExecContext(ctx, update, packed, db.Micros(s.Clock.Now()), n["critical"], n["high"], n["medium"], n["low"], n["unknown"], answer.Unchecked,
		repository, string(d))
	if err != nil {
		return fmt.Errorf("keep the vulnerabilities of %s@%s: %w", repository, d, err)
	}
	return nil
}

// Findings lists an image's vulnerabilities, the worst first, with the project's exceptions. Conflict when its inventory is still to come, Unavailable when no records were imported.
func (s *Service) Findings(ctx context.Context, project slipway.ProjectID, repository string, d slipway.Digest) ([]Finding, Summary, error) {
	if _, err := s.Packages(ctx, repository, d); err != nil {
		return nil, Summary{}, err
	}
	m, err := s.Get(ctx, repository, d)
	if err != nil {
		return nil, m, err
	}
	if m.Matched.IsZero() {
		return nil, m, slipway.Unavailable("there are no records of vulnerabilities: import some with `slipway vulnerabilities import FILE`")
	}
	list := []Finding{}
	if err := s.column(ctx, "findings", repository, d, &list); err != nil {
		return nil, m, err
	}
	return list, m, s.mark(ctx, project, list)
}

// Import replaces the records of the ecosystems in a zip of OSV records, and looks for vulnerabilities in all images anew.
func (s *Service) Import(ctx context.Context, export io.Reader) ([]Ecosystem, error) {
	report, err := s.importRecords(ctx, export)
	if err != nil {
		return nil, err
	}
	return report, s.Rematch(ctx)
}

func (s *Service) importRecords(ctx context.Context, export io.Reader) ([]Ecosystem, error) {
	s.matching.Lock()
	defer s.matching.Unlock()
	var report struct {
		Ecosystems []Ecosystem `json:"ecosystems"`
	}
	err := s.call(ctx, &report, func(w io.Writer) error { _, err := io.Copy(w, export); return err }, "import", s.Folder)
	if err != nil && slipway.CodeOf(err) == slipway.CodeInternal {
		err = slipway.Invalid("the records are not imported: %v", err)
	}
	if err != nil {
		return nil, err
	}
	return report.Ecosystems, nil
}

// maxRematched is how many images, the newest, are looked at again after an import.
const maxRematched = 10_000

// Rematch looks for vulnerabilities in all images whose packages are known, those on their way through the scanner among them.
func (s *Service) Rematch(ctx context.Context) error {
	list, err := db.List(ctx, s.DB, func(row interface{ Scan(...any) error }, i *image) error {
		return row.Scan(&i.repository, (*string)(&i.digest))
	}, `SELECT repository, digest FROM scan_images WHERE length(packages) > 0 ORDER BY wanted DESC LIMIT $1`, maxRematched)
	if err != nil {
		return fmt.Errorf("list images with an inventory: %w", err)
	}
	for _, i := range list {
		if err := s.match(ctx, i.repository, i.digest); err != nil {
			return err
		}
	}
	return nil
}

// Ecosystems lists the records that there are.
func (s *Service) Ecosystems(ctx context.Context) ([]Ecosystem, error) {
	s.matching.Lock()
	defer s.matching.Unlock()
	var answer struct {
		Ecosystems []Ecosystem `json:"ecosystems"`
	}
	feed := func(w io.Writer) error { return json.NewEncoder(w).Encode(Inventory{Packages: []Package{}}) }
	err := s.call(ctx, &answer, feed, "match", s.Folder)
	return answer.Ecosystems, err
}
