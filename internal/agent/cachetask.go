package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// savedCache is what a step of the task Cache asks for, in the step itself and after the job.
type savedCache struct {
	key         string
	restoreKeys []string
	folders     []string
	exact       bool // the key itself was restored
	partial     bool // it is saved too when the job succeeded with issues
}

// restoreCache is the task Cache@2 and its older names: it restores a cache now and saves one after the job. A key or path that
// cannot be is a mistake of the file and fails the step; whatever goes wrong with a cache itself is a warning.
func (t *task) restoreCache(in inputs) error {
	c, err := t.savedCache(in)
	if err != nil {
		return err
	}
	t.afterJob(c.save)
	began := time.Now()
	found, p, err := c.restore(t)
	hit := "false"
	switch {
	case err != nil && t.ctx.Err() != nil:
		return err
	case err != nil:
		t.cacheTrouble("The cache is not restored", err)
	case found.ID == 0:
		t.log.Printf("There is no cache of this key.")
	default:
		c.exact = found.Key == c.key
		if hit = "inexact"; c.exact {
			hit = "true"
		}
		t.log.Printf("Restored %d files, %s, in %s.", p.Files, rate(p.Bytes, time.Since(began)), strings.Join(c.folders, ", "))
	}
	if name := in.text("cacheHitVar"); name != "" {
		for _, line := range t.setVariable(command{properties: map[string]string{"variable": name}, text: hit}) {
			t.log.Printf("%s", line)
		}
	}
	return nil
}

// savedCache reads the inputs and resolves the keys.
func (t *task) savedCache(in inputs) (*savedCache, error) {
	c := &savedCache{partial: in.flag("saveOnPartialSuccess", false)}
	for folder := range strings.SplitSeq(in.text("path"), "|") {
		if folder = strings.TrimSpace(folder); folder == "" {
			continue
		}
		if strings.ContainsAny(folder, "*?[") {
			return nil, fmt.Errorf("the path %q has a wildcard: name the folder itself", folder)
		}
		c.folders = append(c.folders, t.absolute(folder))
	}
	if len(c.folders) == 0 {
		return nil, errors.New("the input path is empty")
	}
	key, restore := in.text("key"), strings.TrimSpace(in.m["restorekeys"])
	parts := t.keyParts(key)
	if strings.Contains(key, "\n") {
		if restore != "" {
			return nil, errors.New("a key of several lines goes with no restoreKeys: write it in one line, its parts parted by |")
		}
		parts = t.keyLines(key)
	}
	var err error
	t.log.Printf("Resolving the key:")
	if c.key, err = t.resolveKey(parts); err != nil {
		return nil, err
	}
	for line := range strings.Lines(restore) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		t.log.Printf("Resolving a restore key:")
		resolved, err := t.resolveKey(t.keyParts(line))
		if err != nil {
			return nil, err
		}
		c.restoreKeys = append(c.restoreKeys, resolved)
	}
	if len(c.restoreKeys) > job.MaxRestoreKeys {
		return nil, fmt.Errorf("there are %d restore keys, more than the %d that are allowed", len(c.restoreKeys), job.MaxRestoreKeys)
	}
	return c, nil
}

// restore fetches the cache that fits best, if there is one. A folder that was not there goes again when it is not whole.
func (c *savedCache) restore(t *task) (found job.Cache, p packed, err error) {
	if found, err = t.findCache(job.CacheQuery{Key: c.key, RestoreKeys: c.restoreKeys}); err != nil || found.ID == 0 {
		return found, p, err
	}
	t.log.Printf("Found: %s, saved in %s, %d bytes", found.Key, found.Ref, found.Size)
	var fresh []string
	for _, folder := range c.folders {
		if _, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
			fresh = append(fresh, folder)
		}
	}
	err = t.client.again(t.ctx, func() error {
		resp, err := t.client.send(t.ctx, "GET", "/caches/"+strconv.FormatInt(found.ID, 10), "", nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body := &watchedReader{r: resp.Body}
		p, err = unpackCache(t.ctx, body, c.folders)
		if err != nil && body.err != nil {
			return errTemporary{err}
		}
		return err
	})
	if err == nil {
		return found, p, nil
	}
	for _, folder := range fresh {
		if _, there := os.Lstat(folder); there == nil {
			err = errors.Join(err, removeFolder(folder))
		}
	}
	return found, p, err
}

// findCache asks for a cache; its ID is 0 when there is none.
func (t *task) findCache(q job.CacheQuery) (found job.Cache, err error) {
	err = t.client.again(t.ctx, func() error { return t.client.call(t.ctx, "POST", "/caches/find", q, &found) })
	return found, err
}

// save keeps the folders under the key, unless there is a cache of it.
func (c *savedCache) save(t *task) error {
	t.mu.Lock()
	status := t.jobStatus()
	t.mu.Unlock()
	switch {
	case status != schedule.Succeeded && (status != schedule.SucceededWithIssues || !c.partial):
		t.log.Printf("Nothing is saved: the job is %s, and only one that succeeded saves its caches.", status)
		return nil
	case c.exact:
		t.log.Printf("Nothing is saved: there is a cache of this key already, and caches do not change.")
		return nil
	}
	err := c.upload(t)
	if err != nil && t.ctx.Err() != nil {
		return err
	}
	if err != nil {
		t.cacheTrouble("The cache is not saved", err)
	}
	return nil
}

func (c *savedCache) upload(t *task) error {
	found, err := t.findCache(job.CacheQuery{Key: c.key})
	if err != nil {
		return err
	}
	if found.ID != 0 {
		t.log.Printf("Nothing is saved: there is a cache of this key by now.")
		return nil
	}
	for _, folder := range c.folders {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("there is no folder %s", folder)
		}
	}
	began := time.Now()
	var p packed
	err = t.client.again(t.ctx, func() (err error) {
		p, err = t.sendCache("/caches?key="+url.QueryEscape(c.key), c.folders)
		return err
	})
	if slipway.CodeOf(err) == slipway.CodeConflict {
		t.log.Printf("Nothing is saved: another job was faster to save a cache of this key.")
		return nil
	}
	if err != nil {
		return err
	}
	t.log.Printf("Saved %d files, %s, under %s", p.Files, rate(p.Bytes, time.Since(began)), c.key)
	if p.Skipped > 0 {
		t.log.Printf("%d sockets, pipes or devices are left out.", p.Skipped)
	}
	return nil
}

// sendCache packs and sends at the same time. What goes wrong with the files is told before what that does to the request.
func (t *task) sendCache(path string, folders []string) (p packed, err error) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	reader, writer := io.Pipe()
	packing := make(chan error, 1)
	go func() {
		var err error
		p, err = packCache(ctx, writer, folders)
		writer.CloseWithError(err)
		packing <- err
	}()
	resp, err := t.client.send(ctx, "PUT", path, "application/zstd", reader)
	reader.Close()
	packErr := <-packing
	if err == nil {
		return p, resp.Body.Close()
	}
	if packErr != nil && !errors.Is(packErr, io.ErrClosedPipe) {
		return p, packErr
	}
	return p, err
}

// cacheTrouble warns of what a job can do without.
func (t *task) cacheTrouble(what string, err error) {
	text := what + ": " + err.Error()
	for _, line := range t.logIssue(command{properties: map[string]string{"type": "warning"}, text: text}) {
		t.log.Printf("%s", line)
	}
}

// watchedReader remembers that reading failed.
type watchedReader struct {
	r   io.Reader
	err error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// rate is a size with how fast it was moved.
func rate(bytes int64, took time.Duration) string {
	const mega = 1e6
	return fmt.Sprintf("%.1f MB in %.1f s (%.0f MB/s)", float64(bytes)/mega, took.Seconds(), float64(bytes)/mega/max(took.Seconds(), 0.001))
}
