package api

import (
	"net/url"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/repos"
)

// choice is an enumeration of Azure DevOps: names in any case, and their numbers, which some clients send instead.
type choice map[string]string

// of reads a value; an empty one is otherwise.
func (c choice) of(field, value, otherwise string) (string, error) {
	if value == "" {
		return otherwise, nil
	}
	for number, name := range c {
		if value == number || strings.EqualFold(value, name) {
			return name, nil
		}
	}
	return "", at(field, slipway.Invalid("%q is none of the values of %s", value, field))
}

var (
	versionTypes    = choice{"0": "branch", "1": "tag", "2": "commit"}
	versionOptions  = choice{"0": "none", "1": "previousChange", "2": "firstParent"}
	recursionLevels = choice{"0": "none", "1": "oneLevel", "4": "oneLevelPlusNestedEmptyFolders", "120": "full"}
	changeTypes     = choice{"1": "add", "2": "edit", "8": "rename", "16": "delete"}
	contentTypes    = choice{"0": "rawtext", "1": "base64encoded"}
	historyModes    = choice{"0": "simplifiedHistory", "1": "firstParent", "2": "fullHistory", "3": "fullHistorySimplifyMerges"}
)

// versionDescriptor names a version of a repository: a branch, a tag or a commit.
type versionDescriptor struct{ Version, Type, Options string }

// descriptor reads one from a query, where its parts are called prefix and version, versionType, versionOptions.
func descriptor(q url.Values, prefix string) versionDescriptor {
	first := func(name string) string {
		if v := q.Get(prefix + name); v != "" {
			return v
		}
		if prefix == "versionDescriptor." { // documents leave it out at times
			return q.Get(name)
		}
		return ""
	}
	return versionDescriptor{first("version"), first("versionType"), first("versionOptions")}
}

// resolve finds the commit that the descriptor means: the default branch's when it says nothing.
func (g gitRoutes) resolve(r request, repo repos.Repository, d versionDescriptor) (slipway.CommitID, error) {
	kind, err := versionTypes.of("versionType", d.Type, "branch")
	if err != nil {
		return "", err
	}
	options, err := versionOptions.of("versionOptions", d.Options, "none")
	if err != nil {
		return "", err
	}
	ref := d.Version
	switch {
	case ref == "":
		ref = "refs/heads/" + repo.DefaultBranch
	case strings.HasPrefix(ref, "refs/"):
	case kind == "branch":
		ref = "refs/heads/" + ref
	case kind == "tag":
		ref = "refs/tags/" + ref
	}
	commit, err := g.repos.Resolve(r.Context(), repo.ID, ref)
	if err != nil || options == "none" {
		return commit, err
	}
	if options == "previousChange" {
		return "", slipway.Unsupported("the version option previousChange is not served: name the commit itself")
	}
	c, err := g.repos.Commit(r.Context(), repo.ID, commit)
	if err == nil && len(c.Parents) == 0 {
		err = slipway.NotFound("commit %s has no parent", commit.Short())
	}
	if err != nil {
		return "", err
	}
	return c.Parents[0], nil
}

// count reads a number of a query, which has several names at times; otherwise when it is left out.
func count(q url.Values, otherwise, most int, names ...string) (int, error) {
	for _, name := range names {
		if text := q.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return 0, at(name, slipway.Invalid("%q is no count", text))
			}
			return min(n, most), nil
		}
	}
	return otherwise, nil
}

// truth reads a flag of a query.
func truth(q url.Values, name string) bool { return strings.EqualFold(q.Get(name), "true") }
