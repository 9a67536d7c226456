package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"slipway"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

// contentView says in an image's page what is in it.
type contentView struct {
	Known    bool
	State    string
	Problem  string
	Packages int
	Counts   scans.Counts
	Matched  time.Time
	URL      string // of the list of packages
}

// packagesURL lists an image's packages.
func packagesURL(v View, repository string, d slipway.Digest) string {
	return v.URL("_packages") + "?image=" + url.QueryEscape(repository+"@"+string(d))
}

func (p imagesPages) contentOf(ctx context.Context, v View, repo registry.Repository, d slipway.Digest) (contentView, error) {
	m, err := p.things.Scans.Get(ctx, repo.Name, d)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return contentView{}, nil
	}
	if m.State == "waiting" && !p.things.Scans.Available() {
		m.State = "unavailable"
	}
	return contentView{Known: true, State: m.State, Problem: m.Problem, Packages: m.Packages, Counts: m.Counts, Matched: m.Matched, URL: packagesURL(v, repo.Name, d)}, err
}

// packagesView is the page of an image's packages, or of what differs between two images.
type packagesView struct {
	Image, ImageURL string
	Name            string // that forms send back
	Other           string
	Packages        []scans.Package
	More            int // that are not shown
	Changes         []scans.Change
	Gone, New       []scans.Finding // vulnerabilities that the other image alone, and this one alone has
	Findings        []scans.Finding
	Counts          scans.Counts
	Matched         time.Time
	NoRecords       bool
	Tags            []string // of the repository, to compare with
	SPDX, CycloneDX string   // where the bill of materials is
	Policy          string   // the page on which findings are accepted
}

// maxShownPackages bounds the rows of a page.
const maxShownPackages = 2000

func (p imagesPages) packages(w http.ResponseWriter, r *http.Request, v View) error {
	ctx, q := r.Context(), r.URL.Query()
	repo, d, err := p.registry.Image(ctx, v.Project.ID, q.Get("image"), q.Get("platform"))
	if err != nil {
		return err
	}
	packages, err := p.things.Scans.Packages(ctx, repo.Name, d)
	if err != nil {
		return err
	}
	view := packagesView{Image: repo.Name + "@" + d.Short(), ImageURL: imageURL(v, repo.Name, d), Name: repo.Name + "@" + string(d), Other: q.Get("other"), Policy: v.URL("_vulnerabilities")}
	view.SPDX, view.CycloneDX = sbomURL(v, view.Name, "spdx"), sbomURL(v, view.Name, "cyclonedx")
	tags, err := p.registry.RecentTags(ctx, repo, 50)
	if err != nil {
		return err
	}
	for _, t := range tags {
		view.Tags = append(view.Tags, repo.Name+":"+t.Name)
	}
	if view.Other != "" {
		other, od, err := p.registry.Image(ctx, v.Project.ID, view.Other, q.Get("platform"))
		if err != nil {
			return err
		}
		before, err := p.things.Scans.Packages(ctx, other.Name, od)
		if err != nil {
			return err
		}
		view.Changes = scans.Diff(before, packages)
		if err := p.findings(ctx, v, &view, repo, d); err != nil {
			return err
		}
		with := view
		if err := p.findings(ctx, v, &with, other, od); err != nil {
			return err
		}
		view.Gone, view.New = scans.DiffFindings(with.Findings, view.Findings)
		return p.Render(w, r, v.Titled(repo.Name+" packages", "images"), packagesPage(view))
	}
	if err := p.findings(ctx, v, &view, repo, d); err != nil {
		return err
	}
	view.Packages, view.More = packages[:min(len(packages), maxShownPackages)], max(0, len(packages)-maxShownPackages)
	return p.Render(w, r, v.Titled(repo.Name+" packages", "images"), packagesPage(view))
}

// findings puts the vulnerabilities of an image into the view.
func (p imagesPages) findings(ctx context.Context, v View, view *packagesView, repo registry.Repository, d slipway.Digest) error {
	findings, m, err := p.things.Scans.Findings(ctx, v.Project.ID, repo.Name, d)
	if slipway.CodeOf(err) == slipway.CodeUnavailable {
		view.NoRecords, err = true, nil
	}
	view.Findings, view.Counts, view.Matched = findings, m.Counts, m.Matched
	return err
}

// countsText is how many vulnerabilities there are of each severity.
func countsText(c scans.Counts) string {
	return fmt.Sprintf("%d critical, %d high, %d medium, %d low, %d unknown", c.Critical, c.High, c.Medium, c.Low, c.Unknown)
}

// severityState is a severity as a badge's state, whose colours are those of states.
func severityState(severity string) string {
	switch severity {
	case "critical", "high":
		return "bad"
	case "medium":
		return "waiting"
	}
	return "plain"
}
