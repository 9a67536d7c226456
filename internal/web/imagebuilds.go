package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/images"
	"slipway/internal/images/builds"
	"slipway/internal/images/progress"
)

type buildPages struct {
	*Server
	builds *builds.Service
	things Things
	dial   images.Dial // the builder's owner's way to it
}

// AddBuilds serves the pages of image builds, and that of the builder's cache for administrators.
func (s *Server) AddBuilds(b *builds.Service, dial images.Dial, t Things) {
	p := buildPages{s, b, t, dial}
	s.Project("GET", "/_imagebuilds", identity.Read, p.list)
	s.Project("POST", "/_imagebuilds", identity.Contribute, p.cancel)
	s.Installation("GET", "/_builder", identity.Administer, p.builder)
	s.Installation("POST", "/_builder", identity.Administer, p.prune)
}

// imageBuildRow is a build as lists show it.
type imageBuildRow struct {
	URL, Name, State, Steps, Took, Saved, Size string
	By                                         string // the run, or who started it
	Started                                    time.Time
	Runs                                       bool
}

// imageBuildRow leaves out the host of the server's own registry in names.
func (s *Server) imageBuildRow(v View, b builds.Build) imageBuildRow {
	_, host, _ := strings.Cut(s.url, "://")
	var names []string
	for _, tag := range b.Tags {
		names = append(names, strings.TrimPrefix(tag, host+"/"))
	}
	row := imageBuildRow{URL: v.URL("_imagebuilds") + "?build=" + strconv.FormatInt(b.ID, 10), Name: strings.Join(names, ", "), State: string(b.State), By: fmt.Sprintf("run %d", b.Run),
		Steps: fmt.Sprintf("%d of %d cached", b.Cached, b.Total), Took: seconds(b.Summary.Seconds), Started: b.Started, Runs: b.State == builds.Running}
	if b.By != nil && b.Run == 0 {
		row.By = b.By.Name
	}
	if row.Name == "" {
		row.Name = "an image without a name"
	}
	if row.Runs {
		row.Took = Duration(time.Since(b.Started))
	}
	if b.Saved >= 0.1 {
		row.Saved = seconds(b.Saved)
	}
	if b.Layers > 0 {
		row.Size = fmt.Sprintf("%s in %s", Bytes(b.Bytes), plural(b.Layers, "layer"))
	}
	return row
}

func seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }

const shownBuilds = 100

func (p buildPages) list(w http.ResponseWriter, r *http.Request, v View) error {
	if id := r.URL.Query().Get("build"); id != "" {
		return p.one(w, r, v, id)
	}
	list, err := p.builds.List(r.Context(), v.Project.ID, shownBuilds)
	if err != nil {
		return err
	}
	view := imageBuildsView{URL: v.URL("_imagebuilds")}
	for _, b := range list {
		view.Rows = append(view.Rows, p.imageBuildRow(v, b))
		view.Runs = view.Runs || b.State == builds.Running
	}
	if r.URL.Query().Get("part") == "rows" {
		return p.Fragment(w, r, imageBuildsCard(view))
	}
	return p.Render(w, r, v.Titled("Image builds", "images"), imageBuildsPage(view))
}

type builderView struct {
	Total    int64
	Problem  string
	Projects []builderProject
	Largest  []builderRecord
}

type builderProject struct {
	Name          string
	Bytes         int64 // that its builds know, of which others may know some too
	Mounts        int64 // of them, cache mounts
	Builds        int
	Cached, Saved string
}

type builderRecord struct {
	ID, Kind, Description, Projects string
	Bytes                           int64
	Uses                            int
	Used                            time.Time
}

const largestRecords = 50

func (p buildPages) builder(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.builderView(r.Context(), v)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Image builder", ""), builderPage(view))
}

func (p buildPages) builderView(ctx context.Context, v View) (builderView, error) {
	var view builderView
	usage, err := images.ReadUsage(ctx, p.dial)
	if err != nil {
		if slipway.CodeOf(err) != slipway.CodeUnavailable {
			return view, err
		}
		view.Problem = err.Error()
	}
	projects, err := p.identity.Projects(ctx, v.Caller)
	if err != nil {
		return view, err
	}
	names := scopeNames(projects)
	view.Total = usage.Bytes()
	known, mounts := map[string]int64{}, map[string]int64{}
	slices.SortFunc(usage.Records, func(a, b images.UsageRecord) int { return int(min(max(b.Size-a.Size, -1), 1)) })
	for _, record := range usage.Records {
		row := builderRecord{ID: record.ID, Kind: recordKind(record.Kind), Description: recordText(record.Description), Bytes: record.Size, Uses: record.Uses}
		if record.LastUsed > 0 {
			row.Used = time.Unix(record.LastUsed, 0)
		}
		var of []string
		for _, scope := range record.Scopes {
			name := names[scope]
			if name == "" {
				name = "a deleted project"
			}
			known[name] += record.Size
			if record.Kind == "exec.cachemount" {
				mounts[name] += record.Size
			}
			of = append(of, name)
		}
		slices.Sort(of)
		row.Projects = strings.Join(slices.Compact(of), ", ")
		if len(view.Largest) < largestRecords && record.Size > 0 {
			view.Largest = append(view.Largest, row)
		}
	}
	return view, p.addTotals(ctx, &view, projects, known, mounts)
}

// recordKind says in words what BuildKit calls a kind of what it keeps.
func recordKind(kind string) string {
	switch kind {
	case "regular":
		return "files"
	case "exec.cachemount":
		return "cache mount"
	case "source.local":
		return "folder"
	case "source.git.checkout":
		return "git checkout"
	}
	return kind
}

// recordText is BuildKit's description without what the builder adds to the ids of cache mounts, and as the Dockerfile has it.
func recordText(description string) string {
	text, _, _ := strings.Cut(description, ` with id "`)
	if command, ok := strings.CutPrefix(text, "mount / from exec /bin/sh -c "); ok {
		return "RUN " + command
	}
	if image, ok := strings.CutPrefix(text, "pulled from "); ok {
		return "FROM " + progress.Step{Name: image}.Title()
	}
	if address, ok := strings.CutPrefix(text, "http url "); ok {
		if strings.HasPrefix(address, "http://buildkit-session/") {
			return "a build context that came as an archive"
		}
		return "ADD " + address
	}
	switch name, ok := strings.CutPrefix(text, "local source for "); {
	case ok && name == "dockerfile":
		return "a Dockerfile"
	case ok && name == "context":
		return "files of a build context"
	case ok:
		return "files of the build context " + strings.TrimPrefix(name, "context:")
	}
	return text
}

// scopeNames finds what the scopes of projects are called: the project, or its reviews.
func scopeNames(projects []identity.Project) map[string]string {
	names := map[string]string{}
	for _, project := range projects {
		names[images.ProjectScope(project.ID, true).Name] = project.Name
		names[images.ProjectScope(project.ID, false).Name] = project.Name + ", reviews"
		names[images.ForkScope(project.ID).Name] = project.Name + ", forks"
	}
	return names
}

func (p buildPages) addTotals(ctx context.Context, view *builderView, projects []identity.Project, known, mounts map[string]int64) error {
	totals, err := p.builds.Totals(ctx)
	if err != nil {
		return err
	}
	for _, project := range projects {
		t := totals[project.ID]
		row := builderProject{Name: project.Name, Bytes: known[project.Name], Mounts: mounts[project.Name], Builds: t.Builds}
		delete(known, project.Name)
		if t.Builds > 0 {
			row.Cached, row.Saved = fmt.Sprintf("%d of %d steps", t.Cached, t.Steps), seconds(t.Saved)
		}
		if row.Bytes > 0 || t.Builds > 0 {
			view.Projects = append(view.Projects, row)
		}
	}
	for name, bytes := range known {
		view.Projects = append(view.Projects, builderProject{Name: name, Bytes: bytes, Mounts: mounts[name]})
	}
	slices.SortFunc(view.Projects, func(a, b builderProject) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// prune empties the cache, or removes one record.
func (p buildPages) prune(w http.ResponseWriter, r *http.Request, _ View) error {
	options := images.PruneOptions{ID: r.FormValue("id")}
	if r.FormValue("do") == "unused" {
		options.OlderThan = 7 * 24 * time.Hour
	}
	freed, err := images.Prune(r.Context(), p.dial, options)
	if err != nil {
		return err
	}
	p.logger.Info("builder's cache pruned", "freed", freed, "id", options.ID)
	return p.Redirect(w, r, "/_builder")
}
