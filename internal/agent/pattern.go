package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// patterns are globs, one a line; a later `!pattern` takes out what earlier ones let in. No pattern matches everything.
type patterns []string

func newPatterns(text string) patterns {
	var list patterns
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		for strings.HasPrefix(line, "!!") { // two take each other back
			line = line[2:]
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// plainBraces has the braces of a pattern stand for themselves. Azure's task library expands {a,b} only for tasks that ask for it (expanded): its
// match and findMatch have the option nobrace, and so do the patterns of azure-pipelines-agent. It puts a backslash before each brace that has
// none.
func plainBraces(pattern string) string {
	var b strings.Builder
	escaped := false
	for _, r := range pattern {
		if !escaped && (r == '{' || r == '}') {
			b.WriteByte('\\')
		}
		escaped = !escaped && r == '\\'
		b.WriteRune(r)
	}
	return b.String()
}

// matcher says whether a path with slashes is chosen. As in Azure, case matters on Linux, and `**` alone means every file.
func (p patterns) matcher() func(path string) bool {
	if len(p) == 0 {
		return func(string) bool { return true }
	}
	globs := make([]func(string) bool, len(p))
	for i, pattern := range p {
		globs[i] = globMatcher(plainBraces(strings.TrimPrefix(strings.TrimPrefix(pattern, "!"), "./")))
	}
	return func(path string) bool {
		chosen := false
		for i, matches := range globs {
			if exclude := strings.HasPrefix(p[i], "!"); chosen == exclude && matches(path) {
				chosen = !exclude
			}
		}
		return chosen
	}
}

// everywhere is a pattern that matches names in every folder if it has no slash, as minimatch's option matchBase does.
func everywhere(pattern string) string {
	bare, exclude := strings.CutPrefix(pattern, "!")
	if strings.Contains(bare, "/") {
		return pattern
	}
	if exclude {
		return "!**/" + bare
	}
	return "**/" + bare
}

// maxFound bounds the files that a search may visit.
const maxFound = 1_000_000

// find lists the files below a folder that the patterns choose, as absolute paths in order. A pattern may be absolute,
// or relative to the folder; one that names a folder means all in it. Folders named .git and node_modules are not searched unless a pattern names them.
func find(folder string, list patterns) ([]string, error) {
	return search(folder, list, true, walk)
}

// findEverything is find in all folders, and through links to folders, as Azure's task library does, for which a pattern that names a folder means no
// file. The files are in the order in which they lie in their folders.
func findEverything(folder string, list patterns) ([]string, error) {
	return search(folder, list, false, walkEverything)
}

type walkFunc func(folder string, list patterns) ([]string, error)

// search has a walk read patterns from the folder; whole says that one which names a folder means all in it.
func search(folder string, list patterns, whole bool, walk walkFunc) ([]string, error) {
	relative := make(patterns, 0, len(list))
	for _, pattern := range list {
		bare, exclude := strings.CutPrefix(pattern, "!")
		if filepath.IsAbs(bare) {
			if info, err := os.Stat(bare); whole && err == nil && info.IsDir() {
				bare += "/**"
			}
			rel, err := filepath.Rel(folder, bare)
			if err != nil || strings.HasPrefix(rel, "..") {
				return findOutside(globBase(bare), bare, list, walk)
			}
			bare = rel
		} else if info, err := os.Stat(filepath.Join(folder, bare)); whole && err == nil && info.IsDir() {
			bare = strings.TrimSuffix(bare, "/") + "/**"
		}
		bare = strings.TrimPrefix(filepath.ToSlash(bare), "./")
		if exclude {
			bare = "!" + bare
		}
		relative = append(relative, bare)
	}
	return walk(folder, relative)
}

// findOutside serves an absolute pattern that leads out of the folder: all patterns are then read from its own base.
func findOutside(base, pattern string, list patterns, walk walkFunc) ([]string, error) {
	if len(list) == 1 {
		rel, err := filepath.Rel(base, pattern)
		if err != nil {
			return nil, err
		}
		return walk(base, patterns{filepath.ToSlash(rel)})
	}
	var all []string
	for _, one := range list {
		if strings.HasPrefix(one, "!") || !filepath.IsAbs(one) {
			continue
		}
		found, err := findOutside(globBase(one), one, patterns{one}, walk)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func walk(folder string, list patterns) ([]string, error) {
	var found []string
	visited := 0
	named, chosen := strings.Join(list, "\n"), list.matcher()
	root := folder + "/" // which may be a link
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == root {
				return err
			}
			return nil // unreadable folders are no reason to fail
		}
		if visited++; visited > maxFound {
			return fs.SkipAll
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == ".git" || name == "node_modules") && !strings.Contains(named, name) {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if chosen(filepath.ToSlash(rel)) {
			found = append(found, path)
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

// walkEverything leaves out what is no file, and links that lead back to a folder on the way.
func walkEverything(folder string, list patterns) ([]string, error) {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	var found []string
	visited, chosen := 0, list.matcher()
	var visit func(from string, way []string) error
	visit = func(from string, way []string) error {
		return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // unreadable folders are no reason to fail
			}
			if visited++; visited > maxFound {
				return fs.SkipAll
			}
			info, err := os.Stat(path)
			if err != nil {
				return nil //nolint:nilerr // a link that leads nowhere
			}
			if info.IsDir() {
				to, err := filepath.EvalSymlinks(path)
				if err != nil || slices.ContainsFunc(way, func(w string) bool { return w == to || strings.HasPrefix(w, to+"/") }) {
					return nil //nolint:nilerr // as above
				}
				return visit(path+"/", append(slices.Clone(way), to))
			}
			rel, err := filepath.Rel(folder, path)
			if err == nil && info.Mode().IsRegular() && chosen(filepath.ToSlash(rel)) {
				found = append(found, path)
			}
			return err
		})
	}
	err = visit(folder+"/", []string{real})
	return found, err
}
