package agent

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	// cacheLimit is how much the caches of a project's jobs may hold: more than that, and the largest are emptied.
	cacheLimit = 10 << 30
	// cacheCheck is how often their size is looked at.
	cacheCheck = time.Hour
)

// cacheVariables tell tools where to keep what they can make or download again, by the name of the folder. Those that
// follow the XDG Base Directory Specification (go build, pip, uv, yarn and others) make their own below the first.
// A job's own variables and its image's come before these.
var cacheVariables = map[string]string{
	"XDG_CACHE_HOME":   "",
	"GOMODCACHE":       "go-mod",
	"npm_config_cache": "npm",
	"NUGET_PACKAGES":   "nuget",
}

// cache is a folder of tools' caches that outlives the job: jobs of the same project share it, at the same time too.
// What is in it can be lost at any time.
type cache struct {
	folder string
	lock   *os.File // held shared while the job runs, so that nothing is emptied under it
}

// openCache opens the caches below the folder. Each user id has its own, since containers run as different users.
func openCache(folder string) (*cache, error) {
	c := &cache{folder: filepath.Join(folder, "user-"+strconv.Itoa(os.Getuid()))}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of caches: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(c.folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the caches: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock the caches: %w", err)
	}
	c.lock = lock
	return c, nil
}

// environment adds the variables to those that have been set already.
func (c *cache) environment(env map[string]string) {
	if c == nil {
		return
	}
	for name, folder := range cacheVariables {
		if env[name] == "" {
			env[name] = filepath.Join(c.folder, folder)
		}
	}
}

// close gives the caches back, and empties the largest when they have become too large and no other job uses them.
func (c *cache) close(ctx context.Context, logger *slog.Logger) {
	if c == nil {
		return
	}
	defer c.lock.Close()
	if info, err := c.lock.Stat(); err != nil || time.Since(info.ModTime()) < cacheCheck && info.Size() > 0 {
		return
	}
	if err := c.trim(ctx, cacheLimit); err != nil {
		logger.Warn("the caches could not be trimmed", "folder", c.folder, "error", err)
	}
}

// trim makes the caches smaller than the limit, in bytes. A cache is emptied as a whole: many break when single files of
// theirs are missing. It writes the size into the lock file, whose time then says when it was measured.
func (c *cache) trim(ctx context.Context, limit int64) error {
	type tool struct {
		path string
		size int64
	}
	var tools []tool
	var total int64
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return fmt.Errorf("list the caches: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			path := filepath.Join(c.folder, e.Name())
			size, err := folderSize(ctx, path)
			if err != nil {
				return err
			}
			tools = append(tools, tool{path, size})
			total += size
		}
	}
	slices.SortFunc(tools, func(a, b tool) int { return cmp.Compare(b.size, a.size) })
	for _, t := range tools {
		if total <= limit {
			break
		}
		emptied, err := c.empty(t.path)
		if err != nil {
			return err
		}
		if !emptied {
			return nil // another job works with it: the next one tries again
		}
		total -= t.size
	}
	return os.WriteFile(c.lock.Name(), []byte(strconv.FormatInt(total, 10)+"\n"), 0o600)
}

// empty removes a cache unless another job holds the lock. It is moved away under the lock and deleted after that, so
// that no job waits for the deletion.
func (c *cache) empty(path string) (bool, error) {
	if err := syscall.Flock(int(c.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return false, nil //nolint:nilerr // the lock is taken
	}
	rubbish, err := os.MkdirTemp(filepath.Dir(path), ".rubbish-")
	if err == nil {
		err = os.Rename(path, filepath.Join(rubbish, "cache"))
	}
	if shared := syscall.Flock(int(c.lock.Fd()), syscall.LOCK_SH); err == nil {
		err = shared
	}
	if err != nil {
		return false, fmt.Errorf("empty a cache: %w", err)
	}
	return true, removeFolder(rubbish)
}

// folderSize adds up the files below a folder. Files that go meanwhile do not count.
func folderSize(ctx context.Context, folder string) (int64, error) {
	var size int64
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ctx.Err()
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure a cache: %w", err)
	}
	return size, nil
}

// removeFolder deletes a folder with the read-only ones in it, as Go's module cache has them.
func removeFolder(folder string) error {
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700) //nolint:gosec // a folder needs its x bit
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete a cache: %w", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("delete a cache: %w", err)
	}
	return nil
}
