package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/pipelines/variable"
)

// How a process group is ended: an interrupt, then a request to terminate, then the end. The times are those of
// Azure's agent.
const (
	interruptGrace = 7500 * time.Millisecond
	terminateGrace = 2500 * time.Millisecond
	// outputGrace is how long the output of processes that a step left behind is awaited, and outputPatience how long it is read
	// when they go on writing.
	outputGrace    = 500 * time.Millisecond
	outputPatience = 5 * time.Second
)

// process is a program of a step.
type process struct {
	name   string
	args   []string
	dir    string
	env    map[string]string // beside the step's own
	stdin  io.Reader
	stdout io.Writer // the step's log when nil
	stderr io.Writer // as stdout when nil
}

// errExit is the exit of a program with a code that is not 0.
type errExit struct {
	name string
	code int
}

func (e errExit) Error() string { return fmt.Sprintf("%s exited with code %d", e.name, e.code) }

// run runs a program in a process group of its own and waits for it. When the step is stopped, so is the group. Processes
// that the program leaves behind go on until the job ends; what they write then is dropped.
func (t *task) run(p process) error {
	path := p.name
	if !filepath.IsAbs(path) {
		var err error
		if path, err = t.look(path); err != nil {
			return err
		}
	}
	if p.dir == "" {
		p.dir = t.folders.sources
	}
	if p.stdout == nil {
		p.stdout = t.log
	}
	out, err := newDrain(p.stdout)
	if err != nil {
		return err
	}
	drains := []*drain{out}
	stderr := out
	if p.stderr != nil {
		if stderr, err = newDrain(p.stderr); err != nil {
			return errors.Join(err, out.w.Close())
		}
		drains = append(drains, stderr)
	}
	stdin, feed, err := input(p.stdin)
	var started running
	if err == nil {
		started, err = t.start(invocation{path: path, args: p.args, dir: p.dir, env: t.environment(p.env), stdin: stdin, stdout: out.w, stderr: stderr.w, owner: t.owner})
		stdin.Close()
	}
	for _, d := range drains {
		d.start()
	}
	if err != nil {
		_ = feed(false)
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	fed := make(chan error, 1)
	go func() { fed <- feed(true) }()
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() { defer close(stopped); endGroup(t.ctx, t.atOnce(), started, done) }()
	err = started.wait()
	close(done)
	<-stopped
	if feedErr := <-fed; err == nil {
		err = feedErr
	}
	if leftovers(drains) {
		t.mu.Lock()
		t.left = append(t.left, started)
		t.mu.Unlock()
	} else {
		started.close()
	}
	return err
}

// input makes a file of what a program reads. The function feeds it, or gives it up.
func input(r io.Reader) (*os.File, func(start bool) error, error) {
	none := func(bool) error { return nil }
	if r == nil {
		f, err := os.Open(os.DevNull)
		return f, none, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, none, fmt.Errorf("make a pipe: %w", err)
	}
	return out, func(start bool) error {
		defer in.Close()
		if !start {
			return nil
		}
		if _, err := io.Copy(in, r); err != nil && !errors.Is(err, syscall.EPIPE) { // a program need not read all
			return fmt.Errorf("give the program its input: %w", err)
		}
		return nil
	}, nil
}

// atOnce is closed when processes are killed without being asked to end, nil if that never happens.
func (r *runner) atOnce() <-chan struct{} {
	if r.config.KillAtOnce {
		return r.hard.Done()
	}
	return nil
}

// endGroup ends a process group when ctx ends, step by step, or at once, until done.
func endGroup(ctx context.Context, atOnce <-chan struct{}, group running, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for _, s := range []struct {
		signal syscall.Signal
		grace  time.Duration
	}{{syscall.SIGINT, interruptGrace}, {syscall.SIGTERM, terminateGrace}} {
		group.signal(s.signal)
		timer := time.NewTimer(s.grace)
		select {
		case <-done:
			timer.Stop()
			group.signal(syscall.SIGKILL) // what its children left
			return
		case <-atOnce:
			timer.Stop()
			group.signal(syscall.SIGKILL)
			return
		case <-timer.C:
		}
	}
	group.signal(syscall.SIGKILL)
}

// endProcesses ends what steps left running.
func (r *runner) endProcesses() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, group := range r.left {
		group.signal(syscall.SIGKILL)
		group.close()
	}
	if err := endOwnLeft(r.folders.root); err != nil {
		r.config.Logger.Error("what the job left behind cannot be ended", "error", err)
	}
}

// drain copies what a process writes, through a pipe, so that a child left behind can go on writing without a reader.
type drain struct {
	r, w     *os.File
	to       io.Writer
	detached atomic.Bool
	end      chan struct{}

	mu      sync.Mutex
	waiting time.Time     // since when it waits for output; zero while it does what the output asks for
	working time.Time     // since when it does that; zero while it waits
	worked  time.Duration // what that took in all, of pieces that took long
}

// long is the time from which on a piece of output must have asked for an upload.
const long = 100 * time.Millisecond

// write does what a piece of output asks for.
func (d *drain) write(p []byte) {
	d.mu.Lock()
	d.waiting, d.working = time.Time{}, time.Now()
	d.mu.Unlock()
	_, _ = d.to.Write(p)
	d.mu.Lock()
	defer d.mu.Unlock()
	if took := time.Since(d.working); took >= long {
		d.worked += took
	}
	d.waiting, d.working = time.Now(), time.Time{}
}

// state is how it stands: idle is how long no output has come, and busy how long uploads took that the output asked for.
func (d *drain) state() (idle, busy time.Duration) {
	unread := false // of what the process wrote, since this process had no processor
	if c, err := d.r.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) {
			n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			unread = err == nil && n > 0
		})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	busy = d.worked
	if !d.working.IsZero() {
		if took := time.Since(d.working); took >= long {
			busy += took
		}
	}
	if !d.waiting.IsZero() && !unread {
		idle = time.Since(d.waiting)
	}
	return idle, busy
}

func newDrain(to io.Writer) (*drain, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	enlarge(w)
	return &drain{r: r, w: w, to: to, end: make(chan struct{})}, nil
}

// pipeSize is how much of a process's output waits for its reader, in bytes: a process that writes much seldom waits then.
const pipeSize = 256 << 10

// enlarge makes room in a pipe. A system that gives none leaves it as it was, which is slower and no more.
func enlarge(pipe *os.File) {
	if c, err := pipe.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

// start copies until the last writer is gone. It is called once the process has its end of the pipe, or failed to start.
func (d *drain) start() {
	d.w.Close()
	go func() {
		defer close(d.end)
		defer d.r.Close()
		d.mu.Lock()
		d.waiting = time.Now()
		d.mu.Unlock()
		buffer := make([]byte, pipeSize)
		for {
			n, err := d.r.Read(buffer)
			if n > 0 && !d.detached.Load() {
				d.write(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	}()
}

// leftovers waits for the end of the output; true says that some process still has the pipe open. Nothing is lost of what was
// written before, however long it takes to read it and to do what it asks for.
func leftovers(drains []*drain) bool {
	left, begun := false, time.Now()
	for _, d := range drains {
		_, before := d.state()
		for ended := false; !ended; {
			idle, busy := d.state()
			if idle >= outputGrace || time.Since(begun)-(busy-before) >= outputPatience {
				d.detached.Store(true)
				left = true
				break
			}
			timer := time.NewTimer(max(outputGrace-idle, 10*time.Millisecond))
			select {
			case <-d.end:
				ended = true
			case <-timer.C:
			}
			timer.Stop()
		}
	}
	return left
}

// look finds a program in the step's PATH.
func (t *task) look(name string) (string, error) {
	if path, ok := t.find(name, filepath.SplitList(t.searchPath())); ok {
		return path, nil
	}
	if t.target != nil {
		return "", fmt.Errorf("there is no program %q in the image of the container %s, which is the step's target", name, t.target.name)
	}
	return "", fmt.Errorf("there is no program %q in the job's image", name)
}

// searchPath is PATH with what task.prependpath put before it, and after it the agent's own folder, which holds docker.
func (t *task) searchPath() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.Clone(t.path)
	path := t.env["PATH"]
	if path == "" {
		path = valueOf(t.machine(), "PATH")
	}
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	list = append(list, path)
	if t.target != nil {
		list = append(list, t.target.programs)
	} else if own, err := os.Executable(); err == nil {
		list = append(list, filepath.Dir(own))
	}
	return strings.Join(list, string(os.PathListSeparator))
}

// environment is what a process sees: the machine's, then the variables and the step's env.
func (t *task) environment(more map[string]string) []string {
	env := map[string]string{}
	for _, pair := range t.machine() {
		if name, value, ok := strings.Cut(pair, "="); ok && !strings.HasPrefix(name, "SLIPWAY_") {
			env[name] = value
		}
	}
	t.mu.Lock()
	maps.Copy(env, t.setEnv)
	t.mu.Unlock()
	maps.Copy(env, t.env)
	t.cache.environment(env)
	// The docker program in the job works for the job alone, by its token.
	env["SLIPWAY_URL"], env["SLIPWAY_BUILDER_URL"] = t.config.URL, t.config.URL+"/_slipway/builder"
	env["SLIPWAY_REGISTRY_HOST"], env["SLIPWAY_JOB_TOKEN"], env["SLIPWAY_JOB"] = t.registry(), t.config.Token, t.config.Job.String()
	if d := t.builder; d != nil && d.path != "" {
		env["SLIPWAY_BUILDER_URL"] = "unix://" + d.path
		if env["BUILDKIT_HOST"] == "" {
			env["BUILDKIT_HOST"] = "unix://" + d.path // buildctl's own
		}
	}
	if t.record.ID != 0 {
		env[variable.EnvironmentName(variable.AgentJobStatus)] = t.vars.Text(variable.AgentJobStatus)
	}
	maps.Copy(env, more)
	env["PATH"] = t.searchPath()
	if env["HOME"] == "" {
		env["HOME"] = t.folders.root
	}
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// registry is the host name of the image registry.
func (r *runner) registry() string {
	if r.config.Registry != "" {
		return r.config.Registry
	}
	return r.work.Registry
}
