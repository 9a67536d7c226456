// Package embedded runs the programs that stand beside the server on one machine: the Kubernetes node and the image
// builder. They outlive a server that is killed, so that pods and running jobs go on, and the next server finds
// them again. It knows their command lines and progress lines, and nothing of what they do.
package embedded

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// Program is a program with a configuration file that reports its progress as JSON lines on standard output.
type Program struct {
	Name   string // for messages and file names: "node"
	Path   string
	Folder string // where its configuration, process id and output are kept
	Config any    // written as JSON
	// ReadyPhase is the phase whose state "ready" means that the program serves; empty for a program without
	// phases, which says `"ready": true`.
	ReadyPhase string
}

// Progress is one line of a program's progress.
type Progress struct {
	Time      string `json:"time"`
	Phase     string `json:"phase"`
	State     string `json:"state"` // starting, ready, failed, stopping, stopped
	Message   string `json:"message"`
	ElapsedMS int64  `json:"elapsedMs"`
	Ready     bool   `json:"ready"` // what a program without phases says
}

// Process is a running program.
type Process struct {
	program Program
	pid     atomic.Int64 // another one after Keep has started it again
}

func (p Program) process(pid int) *Process {
	r := &Process{program: p}
	r.pid.Store(int64(pid))
	return r
}

const (
	pollInterval = 50 * time.Millisecond
	maxLine      = 64 << 10
)

// Ensure returns once the program is ready: the one that runs already with the same program file and configuration, or
// a new one. progress is called for each line that it writes meanwhile.
func (p Program) Ensure(ctx context.Context, progress func(Progress)) (*Process, error) {
	if err := os.MkdirAll(p.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	config, err := json.MarshalIndent(p.Config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	identity, err := p.identity(config)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	if running, ok := p.find(); ok {
		same, err := os.ReadFile(p.file("identity"))
		if err == nil && string(same) == identity {
			return running, p.await(ctx, running.PID(), progress)
		}
		if err := running.Stop(ctx); err != nil {
			return nil, err
		}
	}
	for name, content := range map[string][]byte{"json": config, "identity": []byte(identity)} {
		if err := renameio.WriteFile(p.file(name), content, 0o600); err != nil {
			return nil, fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	process, err := p.start()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return process, p.await(ctx, process.PID(), progress)
}

func (p Program) file(kind string) string { return filepath.Join(p.Folder, p.Name+"."+kind) }

// identity changes with the program file and the configuration.
func (p Program) identity(config []byte) (string, error) {
	info, err := os.Stat(p.Path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, p.Path, info.Size(), info.ModTime().UnixNano())
	_, _ = h.Write(config)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// start runs the program in a session of its own, with its output in a file, so that it does not end with us.
func (p Program) start() (*Process, error) {
	out, err := os.Create(p.file("progress"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errs, err := os.Create(p.file("stderr"))
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	cmd := exec.Command(p.Path, "run", "--config", p.file("json"))
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go cmd.Wait() //nolint:errcheck // reaps the child; await and Stop see its end by its absence
	pid := cmd.Process.Pid
	started, err := startTime(pid)
	if err != nil {
		return nil, fmt.Errorf("it ended at once: %s", p.lastWords())
	}
	if err := renameio.WriteFile(p.file("pid"), fmt.Appendf(nil, "%d %s\n", pid, started), 0o600); err != nil {
		return nil, err
	}
	return p.process(pid), nil
}

// find returns the program's process when it still runs. The start time guards against a reused process id.
func (p Program) find() (*Process, bool) {
	b, err := os.ReadFile(p.file("pid"))
	if err != nil {
		return nil, false
	}
	var pid int
	var started string
	if _, err := fmt.Sscan(string(b), &pid, &started); err != nil || pid <= 1 {
		return nil, false
	}
	if now, err := startTime(pid); err != nil || now != started {
		return nil, false
	}
	return p.process(pid), true
}

// startTime is the process's start in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). A zombie counts
// as gone.
func startTime(pid int) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", errors.New("no such process")
	}
	return fields[19], nil
}

// await reads the progress file until the program is ready, has failed or is gone.
func (p Program) await(ctx context.Context, pid int, progress func(Progress)) error {
	f, err := os.Open(p.file("progress"))
	if err != nil {
		return fmt.Errorf("follow %s: %w", p.Name, err)
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, maxLine)
	var partial []byte
	for {
		chunk, err := lines.ReadBytes('\n')
		partial = append(partial, chunk...)
		if err == nil {
			line := bytes.TrimSpace(partial)
			partial = nil
			var step Progress
			if json.Unmarshal(line, &step) != nil {
				continue
			}
			progress(step)
			if step.State == "failed" {
				return fmt.Errorf("%s: %s", p.Name, step.Message)
			}
			if step.Ready && p.ReadyPhase == "" || step.State == "ready" && step.Phase == p.ReadyPhase {
				return nil
			}
			continue
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("follow %s: %w", p.Name, err)
		}
		if _, err := startTime(pid); err != nil {
			return fmt.Errorf("%s ended before it was ready: %s", p.Name, p.lastWords())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// lastWords is the end of what the program wrote to standard error.
func (p Program) lastWords() string {
	b, err := os.ReadFile(p.file("stderr"))
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return "it left no message; see " + p.Folder
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " / ")
}

// Alive reports whether the process still runs.
func (r *Process) Alive() bool {
	_, err := startTime(r.PID())
	return err == nil
}

// PID is the process's id on this machine.
func (r *Process) PID() int { return int(r.pid.Load()) }

// Stop asks the program to stop and clean up, and waits for it; when ctx ends first it is killed.
func (r *Process) Stop(ctx context.Context) error {
	if err := syscall.Kill(r.PID(), syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s: %w", r.program.Name, err)
	}
	for r.Alive() {
		select {
		case <-ctx.Done():
			_ = syscall.Kill(r.PID(), syscall.SIGKILL)
			return fmt.Errorf("stop %s: it did not end in time and was killed", r.program.Name)
		case <-time.After(pollInterval):
		}
	}
	if err := os.Remove(r.program.file("pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stop %s: %w", r.program.Name, err)
	}
	return nil
}

const (
	watchInterval  = 500 * time.Millisecond
	leastBackoff   = time.Second // before another attempt to start a program again
	mostBackoff    = time.Minute
	healthyAfterUp = time.Minute // a program that ran this long may be started again at once
)

// Keep starts the program again whenever it ends, until ctx does; with longer and longer waits when it does not stay.
// report is told of each end and each start, err being nil once the program is ready again.
func (r *Process) Keep(ctx context.Context, report func(ready bool, err error)) {
	backoff, since := leastBackoff, time.Now()
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if r.Alive() || ctx.Err() != nil {
			continue
		}
		if time.Since(since) > healthyAfterUp {
			backoff = leastBackoff
		}
		report(false, errors.New(r.program.lastWords()))
		again, err := r.program.Ensure(ctx, func(Progress) {})
		if again != nil {
			r.pid.Store(again.pid.Load())
		}
		since = time.Now()
		if err == nil {
			report(true, nil)
		} else if ctx.Err() == nil {
			report(false, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, mostBackoff)
	}
}

// StopLeftover stops the program that an earlier server left running, if there is one.
func (p Program) StopLeftover(ctx context.Context) error {
	if running, ok := p.find(); ok {
		return running.Stop(ctx)
	}
	return nil
}

// Name is the program's name.
func (r *Process) Name() string { return r.program.Name }
