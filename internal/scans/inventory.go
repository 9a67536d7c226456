package scans

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Package is a package that is in an image.
type Package struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	PURL      string   `json:"purl"`
	Type      string   `json:"type"` // deb, apk, rpm, golang, npm, pypi, maven, ...
	Ecosystem string   `json:"ecosystem,omitempty"`
	Source    string   `json:"source,omitempty"` // the package that vulnerabilities name, when it is another
	SourceAt  string   `json:"sourceVersion,omitempty"`
	Licenses  []string `json:"licenses,omitempty"`
	Path      string   `json:"path"` // of the file that says so
}

// Inventory is the scanner's answer about an image.
type Inventory struct {
	Packages  []Package       `json:"packages"`
	SPDX      json.RawMessage `json:"spdx,omitempty"`
	CycloneDX json.RawMessage `json:"cyclonedx,omitempty"`
	Warnings  []string        `json:"warnings,omitempty"`
}

// Summary says how far an image is known.
type Summary struct {
	State    string // waiting, done or failed
	Problem  string // of the last attempt
	Packages int
	Counts   Counts
	Matched  time.Time // when vulnerabilities were looked for; zero for never
}

// Counts are the vulnerabilities of an image by their severity.
type Counts struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	Unknown  int `json:"unknown"`
	// Unchecked are packages for whose ecosystem there are no records.
	Unchecked int `json:"unchecked"`
}

// Get says what is known of an image; NotFound when nobody asked for its inventory.
func (s *Service) Get(ctx context.Context, repository string, d slipway.Digest) (Summary, error) {
	const query = `SELECT state, problem, count, critical, high, medium, low, unknown, unchecked, matched FROM scan_images WHERE repository = $1 AND digest = $2`
	out, err := db.One(ctx, s.DB, func(row interface{ Scan(...any) error }, m *Summary) error {
		var matched int64
		c := &m.Counts
		err := row.Scan(&m.State, &m.Problem, &m.Packages, &c.Critical, &c.High, &c.Medium, &c.Low, &c.Unknown, &c.Unchecked, &matched)
		m.Matched = db.Time(matched)
		return err
	}, query, repository, string(d))
	if db.IsNoRows(err) {
		return out, slipway.NotFound("the packages of %s@%s are not known: nobody asked for them", repository, d)
	}
	if err != nil {
		return out, fmt.Errorf("read what is known of %s@%s: %w", repository, d, err)
	}
	return out, nil
}

// Packages lists those of an image whose inventory was taken; Conflict when that is still to come.
func (s *Service) Packages(ctx context.Context, repository string, d slipway.Digest) ([]Package, error) {
	m, err := s.Get(ctx, repository, d)
	if err != nil {
		return nil, err
	}
	switch m.State {
	case stateWaiting:
		if !s.Available() {
			return nil, slipway.Unavailable("the packages of %s@%s are not known: no scanner is installed beside the server (make scanner)", repository, d)
		}
		return nil, slipway.Conflict("the inventory of %s@%s is still being taken: ask again in a moment", repository, d)
	case stateFailed:
		return nil, slipway.Unavailable("the inventory of %s@%s could not be taken: %s", repository, d, m.Problem)
	}
	return s.listed(ctx, repository, d)
}

// listed are the packages that are kept of an image: those that were found, if they were looked for yet, and those that a document names.
func (s *Service) listed(ctx context.Context, repository string, d slipway.Digest) ([]Package, error) {
	var list []Package
	if err := s.column(ctx, "packages", repository, d, &list); err != nil {
		return nil, err
	}
	return s.join(ctx, repository, d, list)
}

func (s *Service) column(ctx context.Context, name, repository string, d slipway.Digest, into any) error {
	b, err := db.One(ctx, s.DB, db.Value[[]byte], `SELECT `+name+` FROM scan_images WHERE repository = $1 AND digest = $2`, repository, string(d))
	if err != nil {
		return fmt.Errorf("read the %s of %s@%s: %w", name, repository, d, err)
	}
	return unpack(b, into)
}
