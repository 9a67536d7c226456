package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// copying is the task CopyFiles at work. As in Azure, a file of the target stays unless it may be replaced.
type copying struct {
	*task
	target                             string
	overwrite, flatten, times, lenient bool
	retries                            int
	delay                              time.Duration
	copied                             int
}

// copyFiles is the tasks CopyFiles@1 and @2.
func (t *task) copyFiles(in inputs) error {
	source := t.absolute(in.text("SourceFolder"))
	if info, err := os.Stat(source); err != nil || !info.IsDir() {
		return fmt.Errorf("the source folder %s does not exist", source)
	}
	if in.text("TargetFolder") == "" {
		return errors.New("the input TargetFolder is empty")
	}
	c := &copying{task: t, target: t.absolute(in.text("TargetFolder")), overwrite: in.flag("OverWrite", false), flatten: in.flag("flattenFolders", false),
		times: in.flag("preserveTimestamp", false), lenient: in.flag("ignoreMakeDirErrors", false)}
	if n, err := strconv.Atoi(in.text("retryCount")); err == nil {
		c.retries = max(n, 0)
	}
	if n, err := strconv.Atoi(in.text("delayBetweenRetries")); err == nil {
		c.delay = time.Duration(max(n, 0)) * time.Millisecond
	}
	list := newPatterns(in.m["contents"])
	if len(list) == 0 {
		list = patterns{"**"}
	}
	for _, pattern := range list {
		if t.isFolder(filepath.Join(source, pattern)) && pattern != "." {
			t.log.Printf("##[warning]%s is a folder and means no file, as in Azure: write %s/** for all that is in it.", pattern, strings.TrimSuffix(pattern, "/"))
		}
	}
	found, err := findEverything(source, list)
	if err != nil {
		return fmt.Errorf("look for files in %s: %w", source, err)
	}
	if len(found) > 0 && in.flag("CleanTargetFolder", false) {
		if err := c.again(func() error { return removeContents(c.target) }); err != nil {
			return err
		}
		c.overwrite = true
	}
	for _, path := range found {
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		if err := c.copy(source, path); err != nil {
			return err
		}
	}
	t.log.Printf("Found %d files in %s, copied %d of them to %s", len(found), source, c.copied, c.target)
	return nil
}

func (c *copying) copy(source, path string) error {
	rel := filepath.Base(path)
	if !c.flatten {
		var err error
		if rel, err = filepath.Rel(source, path); err != nil {
			return err
		}
	}
	to := filepath.Join(c.target, rel)
	switch info, err := os.Stat(to); {
	case err == nil && info.IsDir():
		return fmt.Errorf("copy %s: %s is a folder", path, to)
	case err == nil && !c.overwrite:
		return nil
	}
	err := c.again(func() error {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			if !c.lenient {
				return err
			}
			c.log.Printf("The folder %s could not be made, which is passed over: %v", filepath.Dir(to), err)
		}
		return copyFile(path, to, c.times)
	})
	if err == nil {
		c.copied++
	}
	return err
}

// again does something, as often again as the step says while it fails.
func (c *copying) again(f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || try >= c.retries || !pause(c.ctx, c.delay) {
			return err
		}
		c.log.Printf("%s It is tried again (%d of %d).", sentence(err), try+1, c.retries)
	}
}

// removeContents empties a folder, or removes the file that stands in its place.
func removeContents(folder string) error {
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		return os.Remove(folder)
	}
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

// copyFile copies one file with its mode.
func copyFile(from, to string, times bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
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
