package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/plan"
)

// packed is a plain tar file of what an artifact is to hold, in the job's folder for temporary files: StoreAsTar of
// PublishBuildArtifacts@1. It is named as the artifact, as that task names it.
func (t *task) packed(name, source string) (string, error) {
	if name != filepath.Base(name) {
		return "", fmt.Errorf("artifact %q cannot be stored as a tar file: its name is no file's", name)
	}
	file := filepath.Join(t.folders.temp, name+".tar")
	list, err := archiveList(source, file, false, false)
	if err != nil {
		return "", err
	}
	if err := t.tar(file, "", "none", list); err != nil {
		return "", fmt.Errorf("pack %s into %s: %w", source, file, err)
	}
	t.log.Printf("Packed %d files and folders into %s", len(list), file)
	return file, nil
}

// unpackTars unpacks the tar files among those that were downloaded, each into the folder of its name below base, and removes them:
// extractTars of DownloadBuildArtifacts.
func (t *task) unpackTars(d *plan.Download, base string, files []string) error {
	if !t.flag(d.ExtractTars, false) {
		return nil
	}
	x := &extraction{task: t, overwrite: true, left: maxExtracted}
	found := false
	for _, file := range files {
		name, ok := strings.CutSuffix(filepath.Base(file), ".tar")
		if !ok {
			continue
		}
		found = true
		folder := filepath.Join(base, name)
		t.log.Printf("Unpacking %s to %s", file, folder)
		if err := x.unpackTar(file, folder); err != nil {
			return fmt.Errorf("unpack %s: %w", file, err)
		}
	}
	if !found {
		t.log.Printf("##[warning]extractTars has no effect: no tar file was downloaded.")
	}
	return nil
}

// unpackTar removes the file before its contents take its place.
func (x *extraction) unpackTar(file, folder string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(file); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	x.root, x.folder = root, folder
	return errors.Join(x.tar(f), root.Close())
}
