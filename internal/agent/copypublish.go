package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// copyPublish is the task CopyPublishBuildArtifacts@1: files are copied into the staging folder, and published from there. They keep
// their paths below the folder that all of them have in common.
func (t *task) copyPublish(in inputs) error {
	root, name := t.absolute(in.text("CopyRoot")), in.text("ArtifactName")
	if !filepath.IsLocal(name) {
		return fmt.Errorf("the artifact %q has no name that can be one of a folder", name)
	}
	list := newPatterns(in.m["contents"]).expanded()
	var folders []string // which a pattern names; each keeps its own name
	for i, pattern := range list {
		if folder := filepath.Join(root, pattern); t.isFolder(folder) {
			folders = append(folders, folder)
			list[i] = strings.TrimRight(pattern, "/") + "/**"
		}
	}
	found, err := findEverything(root, list)
	if err != nil {
		return fmt.Errorf("look for files in %s: %w", root, err)
	}
	if len(found) == 0 {
		t.warn(fmt.Sprintf("No file in %s matches %s, so no artifact is made.", root, strings.Join(list, ", ")))
		return nil
	}
	staging := filepath.Join(t.folders.staging, name)
	if err := os.RemoveAll(staging); err != nil {
		return fmt.Errorf("empty the staging folder: %w", err)
	}
	common := commonFolder(append(folders, found...))
	for _, path := range found {
		rel, err := filepath.Rel(common, path)
		if err == nil {
			err = gather(path, filepath.Join(staging, rel))
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", path, err)
		}
	}
	return t.add(name, staging)
}

// commonFolder is the innermost folder that all of them lie in.
func commonFolder(paths []string) string {
	common := filepath.Dir(paths[0])
	for _, path := range paths[1:] {
		for common != "/" && !strings.HasPrefix(path, common+"/") {
			common = filepath.Dir(common)
		}
	}
	return common
}
