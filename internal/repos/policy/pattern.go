package policy

import (
	"regexp"
	"slices"
	"strings"

	"slipway"
)

func checkPatterns(patterns []string) error {
	if len(patterns) > maxPatterns {
		return at("settings.filenamePatterns", slipway.Limit("a policy has at most %d path filters", maxPatterns))
	}
	for _, p := range patterns {
		if rest := strings.TrimPrefix(p, "!"); rest == "" || len(p) > maxText || strings.ContainsAny(p, "\n\x00") {
			return at("settings.filenamePatterns", slipway.Invalid("path filter %.80q: write a path as /src/*, *.go, or !/docs/* to leave out", p))
		}
	}
	return nil
}

// Matches says whether path filters include a path, as Azure Repos has them: the last filter that matches decides, one that
// begins with ! leaves out, and * is any text with slashes in it. Without a filter that includes, everything is included.
func Matches(patterns []string, path string) bool {
	included := !slices.ContainsFunc(patterns, func(p string) bool { return !strings.HasPrefix(p, "!") })
	for _, p := range patterns {
		rest, exclude := strings.CutPrefix(p, "!")
		if patternExpression(rest).MatchString("/" + strings.TrimPrefix(path, "/")) {
			included = !exclude
		}
	}
	return included
}

// matching lists the paths that the filters include.
func matching(patterns, paths []string) []string {
	if len(patterns) == 0 {
		return paths
	}
	var list []string
	for _, p := range paths {
		if Matches(patterns, p) {
			list = append(list, p)
		}
	}
	return list
}

func patternExpression(pattern string) *regexp.Regexp {
	if !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*") {
		pattern = "/" + pattern
	}
	text := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	if strings.HasSuffix(pattern, "/") {
		text += ".*"
	}
	return regexp.MustCompile(`(?is)^` + text + `$`)
}
