package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"slipway/internal/pipelines/job"
)

// downloadSecureFile is the task DownloadSecureFile@1. The file lies in the agent's temporary folder, for this user alone, until the
// job ends.
func (t *task) downloadSecureFile(in inputs) error {
	wanted := in.text("secureFile")
	file, err := t.fetchSecureFile(wanted, in)
	if err != nil {
		return fmt.Errorf("download secure file %q: %w", wanted, err)
	}
	root, err := os.OpenRoot(t.folders.temp)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(file.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make room for secure file %q: %w", file.Name, err)
	}
	path := filepath.Join(t.folders.temp, file.Name)
	t.mu.Lock()
	t.secureFiles = append(t.secureFiles, path)
	t.mu.Unlock()
	if err := root.WriteFile(file.Name, file.Content, 0o600); err != nil {
		return fmt.Errorf("write secure file %q: %w", file.Name, err)
	}
	t.log.Printf("Secure file %s, %d bytes, is at %s until the job ends.", file.Name, len(file.Content), path)
	output := strconv.FormatBool(t.step.Name != "") // without a name nobody could read it
	for _, line := range t.setVariable(command{properties: map[string]string{"variable": "secureFilePath", "isoutput": output}, text: path}) {
		t.log.Printf("%s", line)
	}
	return nil
}

// fetchSecureFile asks for the file, again as often as the step wants when that may help.
func (t *task) fetchSecureFile(wanted string, in inputs) (file job.SecureFile, err error) {
	retries, err := strconv.Atoi(in.text("retryCount"))
	if err != nil || retries < 0 {
		retries = 8
	}
	timeout := requestTimeout
	if ms, err := strconv.Atoi(in.text("socketTimeout")); err == nil && ms > 0 {
		timeout = time.Duration(ms) * time.Millisecond
	}
	for try := 0; ; try++ {
		err = t.askSecureFile(wanted, timeout, &file)
		var temporary errTemporary
		if err == nil || !errors.As(err, &temporary) || try >= retries || !pause(t.ctx, time.Second<<min(try, 5)) {
			return file, err
		}
	}
}

func (t *task) askSecureFile(wanted string, timeout time.Duration, file *job.SecureFile) error {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	return t.client.call(ctx, "GET", "/securefiles?name="+url.QueryEscape(wanted), nil, file)
}

// removeSecureFiles deletes the secure files of the job.
func (r *runner) removeSecureFiles() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, path := range r.secureFiles {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.config.Logger.Error("a secure file could not be deleted", "path", path, "error", err)
		}
	}
}
