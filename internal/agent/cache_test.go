package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// fill makes a cache of one file in a read-only folder, as Go's module cache is.
func fill(t *testing.T, folder, name string, size int) string {
	t.Helper()
	dir := filepath.Join(folder, name, "read-only")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, size), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	return filepath.Join(folder, name)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func TestCacheIsEmptiedFromTheLargestOn(t *testing.T) {
	t.Parallel()
	c, err := openCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.lock.Close()
	large, middle, small := fill(t, c.folder, "go-mod", 5000), fill(t, c.folder, "go-build", 3000), fill(t, c.folder, "npm", 1000)
	other, err := openCache(filepath.Dir(c.folder))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.trim(t.Context(), 4500); err != nil {
		t.Fatal(err)
	}
	if !exists(large) {
		t.Error("a cache was emptied while another job used it")
	}
	other.lock.Close()
	if err := c.trim(t.Context(), 4500); err != nil {
		t.Fatal(err)
	}
	if exists(large) || !exists(middle) || !exists(small) {
		t.Errorf("left: go-mod %v, go-build %v, npm %v; want the two smaller ones", exists(large), exists(middle), exists(small))
	}
	if left, err := fs.Glob(os.DirFS(c.folder), ".rubbish-*"); err != nil || len(left) > 0 {
		t.Errorf("rubbish is left: %v %v", left, err)
	}
	if third, err := openCache(filepath.Dir(c.folder)); err != nil {
		t.Errorf("another job cannot open the caches: %v", err)
	} else {
		third.lock.Close()
	}
}

func TestCacheLeavesWhatIsSet(t *testing.T) {
	t.Parallel()
	c := &cache{folder: "/cache/user-0"}
	env := map[string]string{"GOMODCACHE": "/own"}
	c.environment(env)
	if env["GOMODCACHE"] != "/own" || env["XDG_CACHE_HOME"] != "/cache/user-0" || env["npm_config_cache"] != "/cache/user-0/npm" {
		t.Errorf("environment %v", env)
	}
	(*cache)(nil).environment(env) // a job without caches
}
