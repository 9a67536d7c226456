package localrun

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/jobwire"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/joblog"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/terminal"
)

// door answers the agents of one run, as package jobserver does at a server.
type door struct {
	token  string
	folder string // of the artifacts
	tasks  map[slipway.Digest]*extension.Task

	deployer Deployer // nil without a cluster

	mu        sync.Mutex
	jobs      map[slipway.JobID]*work
	artifacts map[string]slipway.JobID // by name: who published it
	adding    sync.Mutex               // held while files are added to an artifact

	decide    func(context.Context, Stopped) job.Decision
	asking    sync.Mutex // held while somebody is asked
	terminals terminal.Hub
}

// work is one job with its agent, as far as the agent has told.
type work struct {
	instance   string
	assignment job.Assignment

	environment string // that a deployment job deploys to, else ""
	deployment  slipway.DeploymentID

	container *plan.Container // nil on this machine itself
	services  []plan.Container
	targets   []plan.Container    // in which steps of it run, without an image for this machine itself
	lines     func(text []byte)   // takes whole lines of the logs, each with its time
	canceled  chan struct{}       // closed when the job is to stop
	end       chan job.Completion // has room for one

	mu      sync.Mutex
	sizes   map[int]int64  // of the logs, by step
	partial map[int][]byte // ends of logs without a line's end
	steps   map[int]job.StepRecord
	tests   []job.TestRun
	covered []job.Coverage
	pause   job.Pause
	news    chan struct{} // closed when the pause has changed
	forget  func()        // ends the question about the pause
	begun   bool
	over    bool
}

const (
	maxBody   = 64 << 20 // of a report, in bytes
	maxWait   = 25 * time.Second
	maxTarget = 512 // bytes of an artifact's name
)

func (d *door) handler(logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, *work) error{
		"POST /_slipway/jobs/{job}/start":       d.start,
		"POST /_slipway/jobs/{job}/logs/{step}": d.appendLog,
		"POST /_slipway/jobs/{job}/report":      d.report,
		"GET /_slipway/jobs/{job}/control":      d.control,
		"POST /_slipway/jobs/{job}/tests":       d.publishTests,
		"POST /_slipway/jobs/{job}/coverage":    d.publishCoverage,
		// What test results were read from is on this machine already.
		"PUT /_slipway/jobs/{job}/tests/{step}/attachments": d.leaveTestAttachment,
		"POST /_slipway/jobs/{job}/summaries":               d.summary,
		"PUT /_slipway/jobs/{job}/artifacts/{name}":         d.putArtifact,
		"GET /_slipway/jobs/{job}/artifacts":                d.listArtifacts,
		"GET /_slipway/jobs/{job}/artifacts/{name}":         d.getArtifact,
		"GET /_slipway/jobs/{job}/tasks/{digest}":           d.task,
		"POST /_slipway/jobs/{job}/complete":                d.complete,
		"POST /_slipway/jobs/{job}/deploy":                  d.deploy,
		"POST /_slipway/jobs/{job}/kubeconfig":              d.access,

		"PUT /_slipway/jobs/{job}/pauses/{number}":      d.putPause,
		"GET /_slipway/jobs/{job}/pauses/{number}":      d.getPause,
		"GET /_slipway/jobs/{job}/terminals/{terminal}": d.attendTerminal,
		"GET /_slipway/jobs/{job}/person":               d.openTerminal,
	} {
		mux.Handle(pattern, httpx.JSON(logger, d.forJob(h)))
	}
	for what, instead := range map[string]string{"connections": "a script step may take credentials from --secret in its place", "securefiles": "a script step may copy a file of this machine in its place"} {
		mux.Handle("GET /_slipway/jobs/{job}/"+what, httpx.JSON(logger, func(http.ResponseWriter, *http.Request) error {
			return slipway.Unsupported("it lives at a server, which a run on this machine does not have: %s", instead)
		}))
	}
	mux.Handle("/", httpx.JSON(logger, func(http.ResponseWriter, *http.Request) error {
		return slipway.Unsupported("this needs a server: a run on this machine does not have it")
	}))
	return mux
}

func (d *door) forJob(h func(http.ResponseWriter, *http.Request, *work) error) httpx.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+d.token)) != 1 {
			return slipway.Unauthenticated("send the job's token")
		}
		id, err := strconv.ParseInt(r.PathValue("job"), 10, 64)
		if err != nil {
			return slipway.NotFound("there is no job %q", r.PathValue("job"))
		}
		d.mu.Lock()
		j := d.jobs[slipway.JobID(id)]
		d.mu.Unlock()
		if j == nil {
			return slipway.NotFound("there is no job %d", id)
		}
		return h(w, r, j)
	}
}

func (d *door) start(w http.ResponseWriter, _ *http.Request, j *work) error {
	j.mu.Lock()
	j.begun = true
	j.mu.Unlock()
	httpx.WriteJSON(w, http.StatusOK, j.assignment)
	return nil
}

// appendLog takes what is new of a log, however often it is sent.
func (d *door) appendLog(w http.ResponseWriter, r *http.Request, j *work) error {
	p, err := jobwire.ReadLog(w, r)
	if err != nil {
		return err
	}
	data, err := joblog.Unpack(p.Data, p.Codec)
	if err != nil {
		return slipway.Invalid("%v", err)
	}
	httpx.WriteJSON(w, http.StatusOK, job.LogPosition{Size: j.grow(p.Step, p.Offset, data)})
	return nil
}

// grow passes on the whole lines of what is new of a log, and returns its size.
func (j *work) grow(step int, offset int64, data []byte) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	size := j.sizes[step]
	if offset > size || offset+int64(len(data)) <= size {
		return size
	}
	fresh := data[size-offset:]
	if begun := j.partial[step]; len(begun) > 0 {
		fresh = append(begun, fresh...)
	}
	size = offset + int64(len(data))
	j.sizes[step] = size
	end := bytes.LastIndexByte(fresh, '\n') + 1
	j.partial[step] = slices.Clone(fresh[end:])
	if end > 0 {
		j.lines(fresh[:end])
	}
	return size
}

func (d *door) report(w http.ResponseWriter, r *http.Request, j *work) error {
	return jobwire.Take(w, r, maxBody, func(report job.Report) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, st := range report.Steps {
			j.steps[st.ID] = st
		}
		return nil
	})
}

// control answers when the job is to stop, and else after some seconds.
func (d *door) control(w http.ResponseWriter, r *http.Request, j *work) error {
	ctx, cancel := context.WithTimeout(r.Context(), jobwire.WaitTime(r, maxWait))
	defer cancel()
	var news job.Control
	select {
	case <-j.canceled:
		news.Cancel = true
	case <-ctx.Done():
	}
	httpx.WriteJSON(w, http.StatusOK, news)
	return nil
}

func (d *door) publishTests(w http.ResponseWriter, r *http.Request, j *work) error {
	return jobwire.Take(w, r, maxBody, func(tests job.TestRun) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.tests = slices.DeleteFunc(j.tests, func(old job.TestRun) bool { return old.Step == tests.Step && old.Title == tests.Title })
		j.tests = append(j.tests, tests)
		return nil
	})
}

func (d *door) leaveTestAttachment(w http.ResponseWriter, _ *http.Request, _ *work) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *door) publishCoverage(w http.ResponseWriter, r *http.Request, j *work) error {
	return jobwire.Take(w, r, maxBody, func(c job.Coverage) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.covered = slices.DeleteFunc(j.covered, func(old job.Coverage) bool { return old.Step == c.Step })
		j.covered = append(j.covered, c)
		return nil
	})
}

// summary is taken and not shown: the log says what the step did.
func (d *door) summary(w http.ResponseWriter, r *http.Request, _ *work) error {
	return jobwire.Take(w, r, maxBody, func(job.Summary) error { return nil })
}

// task gives the files of a task as a zip file.
func (d *door) task(w http.ResponseWriter, r *http.Request, _ *work) error {
	t := d.tasks[slipway.Digest(r.PathValue("digest"))]
	if t == nil {
		return slipway.NotFound("there is no task %s: give its folder with --task", r.PathValue("digest"))
	}
	w.Header().Set("Content-Type", "application/zip")
	_, _ = t.WriteTo(w) // a client that went away asks again
	return nil
}

func (d *door) complete(w http.ResponseWriter, r *http.Request, j *work) error {
	return jobwire.Take(w, r, maxBody, func(end job.Completion) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		if !j.over {
			j.over = true
			j.end <- end
		}
		return nil
	})
}

// file is where an artifact lies, as the tar file that the agent sends.
func (d *door) file(name string) string { return filepath.Join(d.folder, fmt.Sprintf("%x.tar", name)) }

func (d *door) putArtifact(w http.ResponseWriter, r *http.Request, j *work) error {
	name := r.PathValue("name")
	if name == "" || len(name) > maxTarget/4 {
		return slipway.Invalid("artifact name %q: use up to %d characters", name, maxTarget/4)
	}
	id, add := j.assignment.Job, r.URL.Query().Get("add") == "true"
	if add { // of two that add at once, the second one adds to what the first one made
		d.adding.Lock()
		defer d.adding.Unlock()
	}
	d.mu.Lock()
	owner, taken := d.artifacts[name]
	d.mu.Unlock()
	add = add && taken
	if taken && owner != id && !add {
		return slipway.Conflict("artifact %q exists already: another job of the run published it", name)
	}
	file, err := os.CreateTemp(d.folder, "upload-*")
	if err != nil {
		return fmt.Errorf("store artifact %q: %w", name, err)
	}
	size, err := d.storeArtifact(file, name, http.MaxBytesReader(w, r.Body, job.MaxArtifact), add)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), d.file(name))
	}
	if err != nil {
		os.Remove(file.Name())
		return slipway.Unavailable("artifact %q did not arrive whole", name).Because(err)
	}
	d.mu.Lock()
	d.artifacts[name] = id
	d.mu.Unlock()
	httpx.WriteJSON(w, http.StatusCreated, job.Artifact{Name: name, Size: size})
	return nil
}

// storeArtifact writes what is sent to a file, with add together with the artifact that is there.
func (d *door) storeArtifact(file *os.File, name string, sent io.Reader, add bool) (size int64, err error) {
	if !add {
		return io.Copy(file, sent)
	}
	old, err := os.Open(d.file(name))
	if err != nil {
		return 0, err
	}
	defer old.Close()
	if err := job.MergeTar(file, sent, old); err != nil {
		return 0, err
	}
	return file.Seek(0, io.SeekCurrent)
}

// names are the artifacts, in order.
func (d *door) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, 0, len(d.artifacts))
	for name := range d.artifacts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (d *door) listArtifacts(w http.ResponseWriter, _ *http.Request, _ *work) error {
	list := []job.Artifact{}
	for _, name := range d.names() {
		list = append(list, job.Artifact{Name: name})
	}
	httpx.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (d *door) getArtifact(w http.ResponseWriter, r *http.Request, _ *work) error {
	name := r.PathValue("name")
	if !slices.Contains(d.names(), name) {
		return slipway.NotFound("the run has no artifact %q", name)
	}
	file, err := os.Open(d.file(name))
	if err != nil {
		return fmt.Errorf("read artifact %q: %w", name, err)
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/x-tar")
	_, _ = io.Copy(w, file) // a client that went away asks again
	return nil
}
