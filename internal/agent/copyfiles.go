package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// copyFiles is the task CopyFiles@2.
func (t *task) copyFiles(in inputs) error {
	source, target := t.absolute(in.text("SourceFolder")), in.text("TargetFolder")
	if target == "" {
		return errors.New("the input TargetFolder is empty")
	}
	target = t.absolute(target)
	list := newPatterns(in.m["contents"])
	if len(list) == 0 {
		list = patterns{"**"}
	}
	found, err := find(source, list)
	if err != nil {
		return fmt.Errorf("look for files in %s: %w", source, err)
	}
	if in.flag("CleanTargetFolder", false) {
		if err := removeContents(target); err != nil {
			return err
		}
	}
	overwrite, flatten, times := in.flag("OverWrite", false), in.flag("flattenFolders", false), in.flag("preserveTimestamp", false)
	for _, path := range found {
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		if flatten {
			rel = filepath.Base(path)
		}
		if err := copyFile(path, filepath.Join(target, rel), overwrite, times); err != nil {
			return err
		}
	}
	t.log.Printf("Copied %d files from %s to %s", len(found), source, target)
	return nil
}

func removeContents(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clean the target folder: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
			return fmt.Errorf("clean the target folder: %w", err)
		}
	}
	return nil
}

// copyFile copies one file with its mode. A file that is there stays unless overwrite says otherwise, as in Azure's task.
func copyFile(from, to string, overwrite, times bool) error {
	if _, err := os.Stat(to); err == nil && !overwrite {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if times {
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	}
	return nil
}
