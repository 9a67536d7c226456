package agent

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/variable"
)

const (
	listedCommits = 250 // of a list of changes
	shownCommits  = 10  // of these, before the rest is folded away
)

// notes are what a release says: a text, and the commits since another release.
func (r *releaseTask) notes() (string, error) {
	notes := r.in.text("releaseNotesInline")
	if notes == "" {
		notes = r.in.text("releaseNotes")
	}
	if source := strings.ToLower(r.in.text("releaseNotesSource")); source == "filepath" || source == "file" {
		var err error
		if notes, err = r.notesFile(); err != nil {
			return "", err
		}
	}
	if !r.in.flag("addChangeLog", true) {
		return notes, nil
	}
	changes, err := r.changes()
	if err != nil {
		return "", fmt.Errorf("list the changes: %w", err)
	}
	return notes + changes, nil
}

func (r *releaseTask) notesFile() (string, error) {
	name := r.in.text("releaseNotesFilePath")
	if name == "" {
		name = r.in.text("releaseNotesFile")
	}
	if name == "" {
		return "", nil
	}
	path := r.t.absolute(name)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("the file with the release notes, %s, is not there", path)
	case info.IsDir():
		r.t.log.Printf("%s is a folder and no file with release notes.", path)
		return "", nil
	case info.Size() > maxReleaseNotes:
		return "", fmt.Errorf("the release notes %s have more than %d bytes", path, maxReleaseNotes)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// since is where the changes begin: the commit of the release that they are compared with, and without one the first commit of the
// last ones.
func (r *releaseTask) since(end string) (string, error) {
	tag, err := r.comparedTag()
	if err != nil {
		return "", err
	}
	if tag == "" {
		r.t.log.Printf("There is no release to compare with, so the latest commits are listed.")
		return r.firstCommit(end)
	}
	r.t.log.Printf("Listing the changes since %s", tag)
	tags, err := r.tags(func(t gitHubTag) bool { return t.Name == tag })
	if err != nil || len(tags) == 0 {
		return tag, err
	}
	return tags[0].Commit.SHA, nil
}

// firstCommit is the oldest of the commits that are listed without a release to compare with.
func (r *releaseTask) firstCommit(end string) (string, error) {
	first, seen := end, 0
	next := r.path("commits") + "?per_page=100&sha=" + url.QueryEscape(end)
	for next != "" && seen < listedCommits {
		var list []struct {
			SHA string `json:"sha"`
		}
		var err error
		if next, err = r.page(http.MethodGet, next, nil, &list); err != nil {
			return "", err
		}
		if list = list[:min(len(list), listedCommits-seen)]; len(list) > 0 {
			first = list[len(list)-1].SHA
		}
		seen += len(list)
	}
	return first, nil
}

// comparedTag is the tag of the release that the changes are since; "" without one.
func (r *releaseTask) comparedTag() (string, error) {
	kind := strings.ToLower(r.in.text("changeLogCompareToRelease"))
	if kind == "lastfullrelease" || kind == "" {
		var latest gitHubRelease
		err := r.call(http.MethodGet, r.path("releases", "latest"), nil, &latest)
		if statusOf(err) == http.StatusNotFound {
			return "", nil
		}
		return latest.Tag, err
	}
	pattern := ""
	if kind == "lastnondraftreleasebytag" {
		pattern = r.in.text("changeLogCompareToReleaseTag")
	}
	fits, err := wholly(pattern)
	if err != nil {
		return "", err
	}
	list, err := gitHubList(r.github, r.path("releases"), func(one gitHubRelease) bool { return !one.Draft && fits.MatchString(one.Tag) })
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0].Tag, nil
}

// changes lists the commits, the newest first, as Azure's task writes them.
func (r *releaseTask) changes() (string, error) {
	end, err := r.commit(r.target)
	if err != nil {
		return "", err
	}
	start, err := r.since(end)
	if err != nil {
		return "", err
	}
	var compared struct {
		Status  string `json:"status"`
		Commits []struct {
			SHA    string `json:"sha"`
			Commit struct {
				Message string `json:"message"`
			} `json:"commit"`
		} `json:"commits"`
	}
	if err := r.call(http.MethodGet, r.path("compare", start+"..."+end), nil, &compared); err != nil {
		return "", err
	}
	switch {
	case compared.Status == "behind":
		r.t.warn("No changes are listed, since the commit is older than that of the last release.")
		return "", nil
	case len(compared.Commits) == 0:
		r.t.log.Printf("There are no changes since then.")
		return "", nil
	}
	slices.Reverse(compared.Commits)
	var shown, folded strings.Builder
	for i, c := range compared.Commits[:min(len(compared.Commits), listedCommits)] {
		first, _, _ := strings.Cut(strings.TrimSpace(c.Commit.Message), "\n")
		to := &shown
		if i >= shownCommits {
			to = &folded
		}
		fmt.Fprintf(to, "* %s %s%s\n", c.SHA, strings.TrimSpace(first), r.issues(c.Commit.Message, first))
	}
	run := fmt.Sprintf("This list of changes was [auto generated](%s/%s/_build/results?buildId=%s&view=logs).",
		strings.TrimRight(r.t.vars.Text(variable.SystemCollectionURI), "/"), url.PathEscape(r.t.vars.Text(variable.SystemTeamProject)), r.t.vars.Text(variable.BuildBuildID))
	if folded.Len() == 0 {
		return "\n\n## Changes:\n\n" + shown.String() + "\n" + run, nil
	}
	return "\n\n## Changes:\n\n" + shown.String() + "<details><summary><b>See More</b></summary>\n\n" + folded.String() + "\n" + run + "</details>", nil
}

// issueNamed finds an issue that a message names: #4, GH-4 or owner/repository#4. It is _issueRegex in ChangeLog.ts of GitHubReleaseV1, whose
// look-ahead is a border of a word here.
var issueNamed = regexp.MustCompile(`(?m)(^|[^A-Za-z0-9_/])([a-z0-9_]+/[a-zA-Z0-9\-_.]+)?(?:#|[Gg][Hh]-)([0-9]+)\b`)

// issues are those that a commit's message names beside its first line, as the task writes them behind that.
func (r *releaseTask) issues(message, first string) string {
	var list []string
	for _, found := range issueNamed.FindAllStringSubmatch(message, -1) {
		repository := found[2]
		if repository == r.repository {
			repository = ""
		}
		if issue := repository + "#" + found[3]; !slices.Contains(list, issue) && !strings.Contains(first, issue) {
			list = append(list, issue)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " [ " + strings.Join(list, ", ") + " ]"
}
