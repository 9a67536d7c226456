// Package engine runs the containers of a job, its own and its services, by the docker or podman of the machine that the job is on.
package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// Engine is a program that runs containers on this machine: docker or podman, which take the same words.
type Engine struct {
	Program string
	// Env is added to the environment of the program.
	Env     []string
	process string // names this process
	run     string // names this run of it
}

// label is on everything that a run makes at the engine; its value names the process that did.
const label = "dev.slipway.run"

// Find finds the program, or the first of docker and podman that answers. instead is what else can be done, for people.
func Find(ctx context.Context, wanted, instead string) (*Engine, error) {
	names := []string{"docker", "podman"}
	if wanted != "" {
		names = []string{wanted}
	}
	for _, name := range names {
		e := &Engine{Program: name, process: ProcessName(os.Getpid()), run: strings.ToLower(rand.Text()[:10])}
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		_, err := e.Do(limited, "ps", "--quiet", "--last", "1")
		cancel()
		if err == nil {
			return e, nil
		}
		if errors.Is(err, exec.ErrNotFound) && wanted != "" {
			return nil, slipway.Unavailable("there is no program %s on this machine: install it, or %s", wanted, instead)
		}
		if wanted != "" {
			return nil, slipway.Unavailable("%s does not answer: start it, or %s", wanted, instead).Because(err)
		}
	}
	return nil, slipway.Unavailable("neither docker nor podman answers on this machine: install one of them, or %s", instead)
}

// ProcessName names a process so that another one of the same number later has another name.
func ProcessName(pid int) string {
	return strconv.Itoa(pid) + "-" + startTime(pid)
}

// startTime is when a process began, in ticks since the machine did; "" if there is none, or the system does not tell.
func startTime(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The name of the program stands in brackets and may hold anything; field 22 is the 20th after it.
	if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// Alive reports that the process of a label is there still.
func Alive(name string) bool {
	text, began, _ := strings.Cut(name, "-")
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return false
	}
	if began != "" {
		return startTime(pid) == began
	}
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// Command is a command of the engine in a process group of its own, so that Ctrl-C reaches this program alone.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.Program, args...)
	if len(e.Env) > 0 {
		cmd.Env = append(os.Environ(), e.Env...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Do runs a command and gives its output.
func (e *Engine) Do(ctx context.Context, args ...string) (string, error) {
	cmd := e.Command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said := lastLines(stderr.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return "", fmt.Errorf("%s %s: %w", e.Program, args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// lastLines are the end of what a program said.
func lastLines(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 1000 {
		text = "…" + text[len(text)-1000:]
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// fullName is an image's name with its registry: without one, as with docker, that of Docker Hub. podman asks no registry by itself.
func fullName(image string) string {
	first, _, several := strings.Cut(image, "/")
	switch {
	case several && (strings.ContainsAny(first, ".:") || first == "localhost" || first != strings.ToLower(first)):
		return image
	case several:
		return "docker.io/" + image
	}
	return "docker.io/library/" + image
}

// Pull fetches an image that is not here, and tells each line of its progress.
func (e *Engine) Pull(ctx context.Context, image string, say func(string, ...any)) error {
	if _, err := e.Do(ctx, "image", "inspect", "--format", "{{.Id}}", image); err == nil {
		return nil
	}
	say("##[section]Pulling image %s", image)
	cmd := e.Command(ctx, "pull", fullName(image))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pull image %s: %w", image, err)
	}
	cmd.Stderr = cmd.Stdout // docker tells progress there, podman here
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pull image %s: %w", image, err)
	}
	last := ""
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		last = scanner.Text()
		say("%s: %s", image, last)
	}
	if err := cmd.Wait(); err != nil {
		return slipway.Unavailable("image %s cannot be pulled by %s: %s", image, e.Program, last)
	}
	return nil
}

// Name is that of a job's container and of what belongs to it.
func (e *Engine) Name(job slipway.JobID) string {
	return "slipway-run-" + e.process + "-" + e.run + "-" + job.String()
}

// Sweep removes what runs have left behind that were killed.
func (e *Engine) Sweep(ctx context.Context) error {
	for _, kind := range []struct {
		list, remove []string
		name         string
	}{
		{[]string{"ps", "--all"}, []string{"rm", "--force", "--volumes"}, "{{.Names}}"},
		{[]string{"network", "ls"}, []string{"network", "rm"}, "{{.Name}}"},
		{[]string{"volume", "ls"}, []string{"volume", "rm", "--force"}, "{{.Name}}"},
	} {
		list, err := e.Do(ctx, append(kind.list, "--filter", "label="+label, "--format", kind.name)...)
		if err != nil {
			return err
		}
		for _, name := range strings.Fields(list) {
			owner := OwnerOf(name)
			if owner == "" || Alive(owner) {
				continue
			}
			if kind.list[0] == "ps" {
				e.kill(ctx, name)
			}
			if _, err := e.Do(ctx, append(kind.remove, name)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// kill ends a container at once, if it runs: podman's rm would wait ten seconds for it.
func (e *Engine) kill(ctx context.Context, name string) {
	_, _ = e.Do(ctx, "kill", name) // one that has ended is no mistake
}

// OwnerOf is the process in a name: slipway-run-PID-START-RUN-JOB, and what follows.
func OwnerOf(name string) string {
	parts := strings.Split(strings.TrimPrefix(name, "slipway-run-"), "-")
	if !strings.HasPrefix(name, "slipway-run-") || len(parts) < 3 {
		return ""
	}
	return parts[0] + "-" + parts[1]
}

// environment are the flags that set variables of a container. Values go by the environment of the engine's program, so that no
// list of processes shows them.
func environment(cmd *exec.Cmd, values map[string]string) []string {
	var args []string
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	for name, value := range values {
		args = append(args, "--env", name)
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return args
}

// flags are the words by which the engine gives a container what the file asks for. volumes are at the engine by the names in the file.
func flags(c *plan.Container, volumes map[string]string) []string {
	var args []string
	add := func(name, format string, values ...any) { args = append(args, name, fmt.Sprintf(format, values...)) }
	if c.User != nil {
		add("--user", "%d", *c.User)
	}
	for _, v := range c.Volumes {
		mode := "rw"
		if v.ReadOnly {
			mode = "ro"
		}
		if v.Name == "" {
			add("--volume", "%s", v.Path)
		} else {
			add("--volume", "%s:%s:%s", volumes[v.Name], v.Path, mode)
		}
	}
	o := &c.Options
	if o.Memory > 0 {
		add("--memory", "%d", o.Memory)
	}
	if o.MilliCPU > 0 {
		add("--cpus", "%.3f", float64(o.MilliCPU)/1000)
	}
	if o.SharedMemory > 0 {
		add("--shm-size", "%d", o.SharedMemory)
	}
	for _, path := range o.Tmpfs {
		add("--tmpfs", "%s", path)
	}
	for _, h := range o.Hosts {
		add("--add-host", "%s:%s", h.Name, h.Address)
	}
	return args
}
