// Package trigger decides whether an event starts a run, from the triggers of a pipeline file and what the event says. It
// is pure: times and names come in as values.
package trigger

import (
	"strings"

	"slipway/internal/pipelines/plan"
)

// Event is a push of one ref.
type Event struct {
	// Ref is a full name, refs/heads/... or refs/tags/...
	Ref string
	// Paths are those that changed, relative to the root. PathsUnknown says that they are not known (a new branch, too
	// many): path filters then let the push pass.
	Paths        []string
	PathsUnknown bool
	// Message of the last commit.
	Message string
	// Deleted says that the ref is gone, which starts nothing.
	Deleted bool
}

// Match says whether a push starts a run, and why or why not, in a sentence.
func Match(t plan.Push, e Event) (starts bool, reason string) {
	switch {
	case e.Deleted:
		return false, "the ref was deleted"
	case t.None:
		return false, "the file says trigger: none"
	case SkipsCI(e.Message):
		return false, "the commit message asks to skip CI"
	case strings.HasPrefix(e.Ref, "refs/tags/"):
		// Tags trigger only if they are listed; path filters do not apply to them.
		if t.Tags.IsZero() {
			return false, "the file names no tags to trigger on"
		}
		if !MatchRef(t.Tags, "refs/tags/", e.Ref) {
			return false, "tag " + strings.TrimPrefix(e.Ref, "refs/tags/") + " is not among those that trigger: " + describe(t.Tags)
		}
		return true, "tag " + strings.TrimPrefix(e.Ref, "refs/tags/") + " triggers"
	case !strings.HasPrefix(e.Ref, "refs/heads/"):
		return false, e.Ref + " is neither a branch nor a tag"
	case t.Branches.IsZero() && !t.Tags.IsZero():
		// With tags alone, branches do not trigger.
		return false, "the file names only tags to trigger on"
	}
	branch := strings.TrimPrefix(e.Ref, "refs/heads/")
	if !MatchRef(t.Branches, "refs/heads/", e.Ref) {
		return false, "branch " + branch + " is not among those that trigger: " + describe(t.Branches)
	}
	if !t.Paths.IsZero() && !e.PathsUnknown && !MatchPaths(t.Paths, e.Paths) {
		return false, "no changed path is among those that trigger: " + describe(t.Paths)
	}
	return true, "branch " + branch + " triggers"
}

// describe says what a filter lets pass, with its first patterns.
func describe(f plan.Filter) string {
	list := func(patterns []string) string {
		const most = 10
		if len(patterns) > most {
			return strings.Join(patterns[:most], ", ") + ", …"
		}
		return strings.Join(patterns, ", ")
	}
	switch {
	case len(f.Exclude) == 0:
		return list(f.Include)
	case len(f.Include) == 0:
		return "all but " + list(f.Exclude)
	}
	return list(f.Include) + ", but not " + list(f.Exclude)
}

// MatchPullRequest says whether a pull request into target, a full branch name, starts a run by the file's `pr` section.
func MatchPullRequest(t plan.PullRequest, target string, paths []string, pathsUnknown, draft bool) (starts bool, reason string) {
	branch := strings.TrimPrefix(target, "refs/heads/")
	switch {
	case t.None:
		return false, "the file says pr: none"
	case draft && t.SkipDrafts:
		return false, "the pull request is a draft"
	case !MatchRef(t.Branches, "refs/heads/", target):
		return false, "target " + branch + " is not among the branches of pr"
	case !t.Paths.IsZero() && !pathsUnknown && !MatchPaths(t.Paths, paths):
		return false, "no changed path is among those of pr"
	}
	return true, "a pull request into " + branch + " triggers"
}

// skipSpellings are the texts in a commit's message that ask for no run.
var skipSpellings = [...]string{"[skip ci]", "[ci skip]", "skip-checks: true", "skip-checks:true", "[skip azurepipelines]", "[azurepipelines skip]",
	"[skip azpipelines]", "[azpipelines skip]", "[skip azp]", "[azp skip]", "***no_ci***"}

// SkipsCI reports whether a commit's message asks for no run, in any of the spellings.
func SkipsCI(message string) bool {
	lower := strings.ToLower(message)
	for _, s := range skipSpellings {
		if strings.Contains(lower, s) {
			return true
		}
	}
	return false
}

// MatchRef reports whether a filter lets a full ref name pass. Patterns are full names, or short ones below prefix; case
// counts. Excluding wins over including.
func MatchRef(f plan.Filter, prefix, ref string) bool {
	if f.IsZero() {
		return true
	}
	included := len(f.Include) == 0
	for _, p := range f.Include {
		if Wildcard(fullRef(p, prefix), ref) {
			included = true
		}
	}
	if !included {
		return false
	}
	for _, p := range f.Exclude {
		if Wildcard(fullRef(p, prefix), ref) {
			return false
		}
	}
	return true
}

func fullRef(pattern, prefix string) string {
	if strings.HasPrefix(pattern, "refs/") {
		return pattern
	}
	return prefix + strings.TrimPrefix(pattern, "/")
}

// MatchPaths reports whether any of the changed paths passes a filter. A pattern without a wildcard means the path and
// everything below it; case counts; excluding wins, unless an include pattern is deeper than the exclude pattern that
// matches.
func MatchPaths(f plan.Filter, paths []string) bool {
	for _, path := range paths {
		if matchPath(f, path) {
			return true
		}
	}
	return false
}

func matchPath(f plan.Filter, path string) bool {
	path = strings.TrimPrefix(path, "/")
	include, exclude := -1, -1
	if len(f.Include) == 0 {
		include = 0
	}
	for _, p := range f.Include {
		if PathWildcard(p, path) {
			include = max(include, pathDepth(p))
		}
	}
	for _, p := range f.Exclude {
		if PathWildcard(p, path) {
			exclude = max(exclude, pathDepth(p))
		}
	}
	return include >= 0 && include > exclude
}

// pathDepth is how specific a pattern is: the number of its parts, 1 for the root.
func pathDepth(pattern string) int {
	pattern = strings.Trim(pattern, "/")
	if pattern == "" || pattern == "*" || pattern == "**" {
		return 1
	}
	return 1 + len(strings.Split(pattern, "/"))
}

// PathWildcard reports whether a path pattern matches a path or a folder above it.
func PathWildcard(pattern, path string) bool {
	pattern = strings.Trim(pattern, "/")
	if pattern == "" {
		return true
	}
	if Wildcard(pattern, path) {
		return true
	}
	return Wildcard(pattern+"/*", path)
}
