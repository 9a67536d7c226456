package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
	catalogue "slipway/internal/pipelines/task"
)

// part is one of the parts of an uploaded task.
type part string

const (
	partPreJob    part = "prejobexecution"
	partExecution part = "execution"
	partPostJob   part = "postjobexecution"
)

// uploaded is an uploaded task at work.
type uploaded struct {
	*task
	plan     *plan.Task
	folder   string // with its files
	manifest *catalogue.Manifest
	env      map[string]string // what it gets beside the environment of every step
}

// uploadedTask runs a part of a task that was uploaded, as Azure's agent does: its program gets inputs, connections, secure files
// and variables in its environment (see package azure-pipelines-task-lib, node/internal.ts), and tells by logging commands what
// came of it.
func (t *task) uploadedTask(p *plan.Task, which part) error {
	folder, err := t.taskFolder(p)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(folder, "task.json"))
	if err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	manifest, err := catalogue.ReadManifest(text)
	if err != nil {
		return err
	}
	if p.Package.PostJob && which != partPostJob {
		t.afterJob(func(t *task) error { return t.uploadedTask(p, partPostJob) })
	}
	handlers := map[part]map[string]catalogue.Handler{partPreJob: manifest.PreJob, partExecution: manifest.Execution, partPostJob: manifest.PostJob}[which]
	if len(handlers) == 0 {
		return nil // it does something before or after the job alone
	}
	if _, _, ok := catalogue.NodeHandler(handlers, 0); !ok {
		return fmt.Errorf("task %s has no handler of Node.js for its %s", p.Name, which)
	}
	for _, o := range manifest.Outputs {
		t.outputs = append(t.outputs, o.Name)
	}
	u := &uploaded{task: t, plan: p, folder: folder, manifest: manifest, env: map[string]string{}}
	return u.run(handlers, which)
}

// run starts the handler for the job's Node.js.
func (u *uploaded) run(handlers map[string]catalogue.Handler, which part) error {
	u.log.Printf("Task         : %s\nVersion      : %s", u.manifest.Name, u.manifest.VersionText())
	node, h, err := u.node(handlers, which)
	if err != nil {
		return err
	}
	if err := u.fill(); err != nil {
		return err
	}
	if !u.has(h) {
		return fmt.Errorf("task %s has no file %s", u.manifest.Name, h.Target)
	}
	dir := u.folders.sources
	if h.WorkingDirectory != "" {
		dir = u.absolute(u.text(currentDirectory.ReplaceAllLiteralString(h.WorkingDirectory, u.folder)))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working folder: %w", err)
	}
	return u.task.run(process{name: node, args: []string{u.programOf(h)}, dir: dir, env: u.env})
}

// programOf is the program of a handler.
func (u *uploaded) programOf(h catalogue.Handler) string {
	return filepath.Join(u.folder, filepath.FromSlash(h.LocalTarget()))
}

func (u *uploaded) has(h catalogue.Handler) bool {
	info, err := os.Stat(u.programOf(h))
	return err == nil && info.Mode().IsRegular()
}

var currentDirectory = regexp.MustCompile(`(?i)\$\(\s*currentdirectory\s*\)`)

// node finds the program node with the newest handler that it runs, and warns when it is older than all of them ask for.
func (u *uploaded) node(handlers map[string]catalogue.Handler, which part) (path string, h catalogue.Handler, err error) {
	h, major, _ := catalogue.NodeHandler(handlers, 0)
	path, err = u.look("node")
	if err != nil {
		instead := ", or put UseNode@1 before the step"
		if which == partPreJob {
			instead = "; its part before the job runs before any UseNode@1"
		}
		return "", h, fmt.Errorf("task %s runs on Node.js %d, and there is no program node in the job's image: give the job a container that has it%s", u.manifest.Name, major, instead)
	}
	var out bytes.Buffer
	if err := u.task.run(process{name: path, args: []string{"--version"}, stdout: &out}); err != nil {
		return "", h, fmt.Errorf("ask for the version of Node.js: %w", err)
	}
	version := strings.TrimSpace(out.String())
	first, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	have, err := strconv.Atoi(first)
	if err != nil {
		return path, h, nil //nolint:nilerr // a node that says its version otherwise is taken as it is
	}
	if fitting, asked, _ := catalogue.NodeHandler(handlers, have); u.has(fitting) {
		h, major = fitting, asked
	}
	if have < major {
		u.log.Printf("##[warning]Task %s asks for Node.js %d, and the job's image has %s: it may fail. UseNode@1 installs another.", u.manifest.Name, major, version)
	}
	return path, h, nil
}

// taskFolder is where the files of an uploaded task lie. They are fetched once for each job, and must be those of the plan.
func (t *task) taskFolder(p *plan.Task) (string, error) {
	if folder, ok := t.packages[p.Package.Digest]; ok {
		return folder, nil
	}
	file, err := os.CreateTemp(t.folders.temp, "task-*.zip")
	if err != nil {
		return "", fmt.Errorf("make room for task %s: %w", p.Name, err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	err = t.client.again(t.ctx, func() error { return t.fetchTask(p.Package.Digest, file) })
	if err != nil {
		return "", fmt.Errorf("fetch task %s@%d (%s): %w", p.Name, p.Major, p.Package.Version, err)
	}
	folder := filepath.Join(t.folders.root, "_tasks", p.Name+"_"+p.Package.ID, p.Package.Version)
	if err := t.unpackTask(file, folder); err != nil {
		return "", fmt.Errorf("unpack task %s@%d (%s): %w", p.Name, p.Major, p.Package.Version, err)
	}
	t.packages[p.Package.Digest] = folder
	return folder, nil
}

// fetchTask writes a task's zip file, and checks that it is the one that the plan names.
func (t *task) fetchTask(digest slipway.Digest, file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	resp, err := t.client.send(t.ctx, "GET", "/tasks/"+url.PathEscape(string(digest)), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, h), resp.Body); err != nil {
		return errTemporary{err}
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != string(digest) {
		return fmt.Errorf("what arrived is %s and not %s: its files have changed since the run was queued", got, digest)
	}
	return nil
}

func (t *task) unpackTask(file *os.File, folder string) error {
	info, err := file.Stat()
	if err == nil {
		err = errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755))
	}
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	x := &extraction{task: t, root: root, folder: folder, left: maxExtracted}
	return x.zip(file, info.Size())
}
