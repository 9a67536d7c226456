// Package osv keeps OSV records (ossf.github.io/osv-schema) in files, one for each ecosystem, and finds those that packages have.
package osv

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
)

// record is an OSV record, as far as it is used.
type record struct {
	ID        string     `json:"id"`
	Modified  string     `json:"modified"`
	Withdrawn string     `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Summary   string     `json:"summary"`
	Details   string     `json:"details"`
	Severity  []severity `json:"severity"`
	Database  specific   `json:"database_specific"`
	Affected  []affected `json:"affected"`
}

type severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// specific is what databases add, of which only a severity in words is read.
type specific struct {
	Severity json.RawMessage `json:"severity"`
	Urgency  string          `json:"urgency"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges   []versions `json:"ranges"`
	Versions []string   `json:"versions"`
	Severity []severity `json:"severity"`
	Database specific   `json:"database_specific"`
	Eco      specific   `json:"ecosystem_specific"`
}

type versions struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

type event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
}

// entry is what is kept of a record for one package.
type entry struct {
	ID        string    `json:"id"`
	Aliases   []string  `json:"aliases,omitempty"`
	Summary   string    `json:"summary,omitempty"`
	Severity  string    `json:"severity"`
	Score     float64   `json:"score,omitempty"`
	Ecosystem string    `json:"ecosystem"`
	Ranges    [][]event `json:"ranges,omitempty"`
	Versions  []string  `json:"versions,omitempty"`
}

// The severities, by CVSS's own words (CVSS v3.1, section 5).
const (
	Critical = "critical"
	High     = "high"
	Medium   = "medium"
	Low      = "low"
	Unknown  = "unknown"
)

func (a affected) entry(r record) entry {
	e := entry{ID: r.ID, Aliases: append(slices.Clone(r.Aliases), r.Upstream...), Summary: summary(r), Ecosystem: a.Package.Ecosystem, Versions: a.Versions}
	e.Severity, e.Score = rate(append(slices.Clone(a.Severity), r.Severity...), a.Eco, a.Database, r.Database)
	for _, one := range a.Ranges {
		if one.Type != "GIT" {
			e.Ranges = append(e.Ranges, one.Events)
		}
	}
	return e
}

const maxSummary = 300

func summary(r record) string {
	s, _, _ := strings.Cut(strings.TrimSpace(cmp.Or(r.Summary, r.Details)), "\n")
	if runes := []rune(s); len(runes) > maxSummary {
		s = string(runes[:maxSummary-1]) + "…"
	}
	return s
}

// rate is a record's severity: the highest score of its CVSS vectors, or else a word that the database has.
func rate(scores []severity, words ...specific) (string, float64) {
	best := 0.0
	for _, s := range scores {
		best = max(best, score(s.Score))
	}
	if best > 0 {
		return rating(best), best
	}
	for _, w := range words {
		for _, text := range []string{strings.Trim(string(w.Severity), `"`), w.Urgency} {
			switch strings.ToLower(strings.TrimRight(text, "*")) {
			case "critical":
				return Critical, 0
			case "high", "important":
				return High, 0
			case "medium", "moderate":
				return Medium, 0
			case "low", "minor", "negligible", "unimportant":
				return Low, 0
			}
		}
	}
	return Unknown, 0
}

func score(vector string) float64 {
	switch {
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := gocvss30.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := gocvss31.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := gocvss40.ParseVector(vector); err == nil {
			return v.Score()
		}
	}
	return 0
}

func rating(score float64) string {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	}
	return Low
}

// base is an ecosystem without its release: Debian of Debian:12.
func base(ecosystem string) string {
	b, _, _ := strings.Cut(ecosystem, ":")
	return b
}

var runs = regexp.MustCompile(`[-_.]+`)

// key is a package's name as an ecosystem compares it.
func key(ecosystem, name string) string {
	switch base(ecosystem) {
	case "PyPI": // packaging.python.org, "Names and normalization"
		return strings.ToLower(runs.ReplaceAllString(name, "-"))
	case "NuGet", "Packagist":
		return strings.ToLower(name)
	}
	return name
}
