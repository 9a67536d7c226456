package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// deleteFiles is the task DeleteFiles@1. A pattern may match folders, which go with all that is in them; with patterns
// that exclude, a folder stays if anything in it was not chosen. Links are removed and not followed.
func (t *task) deleteFiles(in inputs) error {
	source := t.absolute(in.text("SourceFolder"))
	var list patterns
	for _, pattern := range newPatterns(in.m["contents"]).expanded() {
		bare := strings.TrimLeft(pattern, "!")
		marks := len(pattern) - len(bare)
		if strings.HasSuffix(bare, "/") { // minimatch's match nothing that path.join has made of it
			t.log.Printf("##[warning]The pattern %s ends in a slash and matches nothing, as in Azure: write it without.", pattern)
			continue
		}
		list = append(list, strings.Repeat("!", marks%2)+strings.TrimPrefix(path.Clean("/"+bare), "/"))
	}
	paths, err := pathsBelow(source)
	if err != nil || len(list) == 0 || len(paths) == 0 {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		t.log.Printf("There is nothing to delete in %s.", source)
		return err
	}
	chosen := list.deletes(paths, in.flag("RemoveDotFiles", false))
	var errs []error
	for _, p := range chosen {
		errs = append(errs, os.RemoveAll(filepath.Join(source, p)))
	}
	t.log.Printf("Deleted %d files and folders in %s", len(chosen), source)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete files: %w", err)
	}
	if left, err := os.ReadDir(source); in.flag("RemoveSourceFolder", false) && err == nil && len(left) == 0 {
		return os.Remove(source)
	}
	return nil
}

// pathsBelow lists all files and folders below a folder, relative to it, a folder before what is in it.
func pathsBelow(folder string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(folder, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			if p == folder {
				return err
			}
			return nil
		}
		if len(paths) > maxFound {
			return fmt.Errorf("more than %d files in %s", maxFound, folder)
		}
		if rel, err := filepath.Rel(folder, p); err == nil && rel != "." {
			paths = append(paths, rel)
		}
		return nil
	})
	return paths, err
}

// deletes are the paths to remove: those that match, without what lies in a folder that goes as a whole.
func (p patterns) deletes(paths []string, dots bool) []string {
	excludes := slices.ContainsFunc(p, func(one string) bool { return strings.HasPrefix(one, "!") })
	match := p.matcher()
	matches := func(rel string) bool { return match(rel) && (dots || p.namesDots(rel)) }
	keep := map[string]bool{}
	if excludes {
		for _, rel := range paths {
			if !matches(rel) {
				for dir := path.Dir(rel); dir != "."; dir = path.Dir(dir) {
					keep[dir] = true
				}
			}
		}
	}
	var chosen []string
	for _, rel := range paths {
		inside := len(chosen) > 0 && strings.HasPrefix(rel, chosen[len(chosen)-1]+"/")
		if !inside && matches(rel) && !keep[rel] {
			chosen = append(chosen, rel)
		}
	}
	return chosen
}

// namesDots reports whether each name in the path that begins with a dot is matched by one in a pattern that does, since
// wildcards do not match it.
func (p patterns) namesDots(rel string) bool {
	for _, name := range strings.Split(rel, "/") {
		if !strings.HasPrefix(name, ".") {
			continue
		}
		named := slices.ContainsFunc(p, func(pattern string) bool {
			return slices.ContainsFunc(strings.Split(pattern, "/"), func(part string) bool {
				ok, err := path.Match(part, name)
				return err == nil && ok && strings.HasPrefix(part, ".")
			})
		})
		if !named {
			return false
		}
	}
	return true
}
