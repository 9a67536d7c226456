package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"slipway"
)

const (
	// concurrentCommands bounds the short git commands of pages and events that run at once.
	concurrentCommands = 16
	// concurrentLong bounds those that may take seconds (searches, blame, the history of a path), so that they never hold up the short ones.
	concurrentLong = 4
	// commandTimeout bounds one of them.
	commandTimeout = time.Minute
	// stopGrace is how long a git process may take to clean up (lock files) after SIGTERM.
	stopGrace = 5 * time.Second
	// niceness is that of work in the background (nice(1)).
	niceness = 15
	// maxStderr bounds what is kept of a command's complaints, in bytes.
	maxStderr = 8 << 10
)

// The hooks tell the server (descriptor 3, each message ended by an empty line) and show the pusher what it answers
// (descriptor 4). Git commands of Slipway itself have neither descriptor.
//
// procReceive stands between the two others, once the objects are in the repository: git says which refs are to move, and is told which of them have
// been moved (answerMoves), over descriptor 5.
//
// preReceive asks whether the refs may move, while git still holds the objects in quarantine (git-receive-pack(1)): refused, they are
// gone. The answer is lines that begin with a hyphen, and then ok or no. postReceive says which refs have moved.
//
// completeTips is no hook but core.alternateRefsCommand (git-config(1)): before preReceive git walks through all that was pushed, to see whether it
// lacks an object that it names, as far as what this command names, which the server knows to lack none (Service.completeTips).
const (
	completeTips = `#!/bin/sh
[ -n "$SLIPWAY_PUSH" ] || exit 0
echo complete >&3 && echo >&3 || exit 0
while IFS= read -r line <&4 && [ -n "$line" ]; do
	echo "$line"
done
`
	preReceive = `#!/bin/sh
[ -n "$SLIPWAY_PUSH" ] || exit 0
{
	echo "check $GIT_QUARANTINE_PATH"
	i=0
	while [ "$i" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
		eval "option=\$GIT_PUSH_OPTION_$i"
		printf 'option %s\n' "$option"
		i=$((i + 1))
	done
	cat
	echo
} >&3 || exit 1
while IFS= read -r line <&4; do
	case "$line" in
	ok) exit 0 ;;
	no) exit 1 ;;
	*) printf '%s\n' "${line#-}" ;;
	esac
done
echo "the server does not answer: push again"
exit 1
`
	procReceive = `#!/bin/sh
[ -n "$SLIPWAY_PUSH" ] || exit 0
exec 6<&0
echo move >&3 && echo >&3 || exit 1
cat <&6 >&5 &
exec cat <&5
`
	postReceive = `#!/bin/sh
[ -n "$SLIPWAY_PUSH" ] || exit 0
echo moved >&3 && cat >&3 && echo >&3 && exec cat <&4
`
)

// settings are given to every git process; the repositories' own config files hold nothing but their format.
var settings = []string{
	"safe.directory=*",
	"core.fsync=all", "core.fsyncMethod=batch", // objects and refs are on disk before a push is acknowledged
	"core.quotePath=false", "core.protectHFS=true", "core.protectNTFS=true",
	"transfer.hideRefs=refs/slipway", "receive.hideRefs=refs/pull", "transfer.fsckObjects=true",
	// Histories older than these rules exist and are harmless; the large hosts accept them too.
	"receive.fsck.badTimezone=ignore", "receive.fsck.missingSpaceBeforeDate=ignore", "receive.fsck.zeroPaddedFilemode=ignore",
	"receive.autogc=false", "receive.advertiseAtomic=true", "receive.advertisePushOptions=true",
	"uploadpack.allowFilter=true", "uploadpack.allowAnySHA1InWant=true",
	"gc.auto=2000", "gc.autoPackLimit=40", "gc.autoDetach=false", "repack.writeBitmaps=true", "pack.threads=2",
	"protocol.allow=never", "init.defaultBranch=main", "advice.detachedHead=false",
}

// program is the git program with the environment that all its processes get.
type program struct {
	path    string
	env     []string // of all processes
	base    []string // without settings
	hooks   string
	scratch string // folder of short-lived files
	slots   chan struct{}
	long    chan struct{} // slots of commands that may take seconds
}

func openProgram(ctx context.Context, folder string) (*program, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, slipway.Unavailable("the program git is not installed: install Debian's package git").Because(err)
	}
	home, hooks, scratch := filepath.Join(folder, "home"), filepath.Join(folder, "hooks"), filepath.Join(folder, "scratch")
	if err := os.RemoveAll(scratch); err != nil {
		return nil, fmt.Errorf("empty folder: %w", err)
	}
	for _, f := range []string{home, hooks, scratch} {
		if err := makeFolder(f); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"pre-receive": preReceive, "proc-receive": procReceive, "post-receive": postReceive, "complete-tips": completeTips} {
		if err := renameio.WriteFile(filepath.Join(hooks, name), []byte(text), 0o700); err != nil {
			return nil, fmt.Errorf("write hook: %w", err)
		}
		if err := tryHook(ctx, filepath.Join(hooks, name)); err != nil {
			return nil, err
		}
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "LC_ALL=C.UTF-8", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_PAGER=cat",
	}
	p := &program{path: path, base: env, hooks: hooks, scratch: scratch, slots: make(chan struct{}, concurrentCommands), long: make(chan struct{}, concurrentLong)}
	p.env = p.environment(nil)
	return p, p.checkVersion(ctx)
}

// environment is that of all git processes with more settings, as KEY=VALUE. They may be secret: nobody sees another's environment.
func (p *program) environment(more []string) []string {
	own := []string{"core.hooksPath=" + p.hooks, "core.alternateRefsCommand='" + strings.ReplaceAll(filepath.Join(p.hooks, "complete-tips"), "'", `'\''`) + "'"}
	all := append(append(own, settings...), more...)
	env := slices.Clone(p.base)
	for i, s := range all {
		key, value := cutSetting(s)
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(all)))
}

// cutSetting parts KEY=VALUE where the key's last part ends: the URL in a key may hold an equals sign.
func cutSetting(setting string) (key, value string) {
	const header = ".extraHeader="
	if i := strings.Index(setting, header); i >= 0 {
		return setting[:i+len(header)-1], setting[i+len(header):]
	}
	key, value, _ = strings.Cut(setting, "=")
	return key, value
}

// tryHook makes sure that the hook runs: policies and events in time depend on it. Without SLIPWAY_PUSH it does nothing.
func tryHook(ctx context.Context, path string) error {
	for try := 1; ; try++ {
		out, err := exec.CommandContext(ctx, path).CombinedOutput()
		if err == nil {
			return nil
		}
		// Another process that was being started while the file was written holds it open until it runs.
		if try < 100 && errors.Is(err, syscall.ETXTBSY) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		return slipway.Unavailable("programs cannot run from the data folder (%s): mount it without noexec", path).Because(fmt.Errorf("%w: %s", err, out))
	}
}

// checkVersion wants 2.38: the first with merge-tree --write-tree.
func (p *program) checkVersion(ctx context.Context) error {
	out, err := p.run(ctx, command{args: []string{"version"}})
	if err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("read git's version from %q: %w", out, err)
	}
	if major < 2 || major == 2 && minor < 38 {
		return slipway.Unavailable("git is version %d.%d: 2.38 or later is needed", major, minor)
	}
	return nil
}

// prepare makes a command in a process group of its own, so that what git starts ends with it. When ctx ends the
// group gets SIGTERM, upon which git removes its lock files, and is killed if that does not end it.
func (p *program) prepare(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = p.env
	if dir != "" {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "GIT_DIR="+dir)
		cmd.Dir = dir
	}
	// Should the server die, git ends too and the next start finds refs that stand still.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd
}

// killGroup ends whatever is left of a process group whose leader has been waited for.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}

// command is one short git command.
type command struct {
	dir   string
	args  []string
	env   []string
	stdin io.Reader
	limit int64         // of the output in bytes; 0 means 16 MiB
	time  time.Duration // 0 means commandTimeout
	out   io.Writer     // gets the output as it comes, instead of the caller; an error of its own ends the command
	long  bool          // it may take seconds: it waits for others of its kind alone
	nice  bool          // it gives way to others
}

// errOutputLimit says that a command's output was cut at its limit; what came before it is returned with it.
var errOutputLimit = errors.New("git's output is larger than the limit")

// gitError is a git command that failed.
type gitError struct {
	verb   string
	stderr string
	err    error
}

func (e *gitError) Error() string { return fmt.Sprintf("git %s: %v: %s", e.verb, e.err, e.stderr) }
func (e *gitError) Unwrap() error { return e.err }

// run runs a short command and returns what it wrote to its standard output.
func (p *program) run(ctx context.Context, c command) ([]byte, error) {
	slots := p.slots
	if c.long {
		slots = p.long
	}
	if !c.nice { // there is one of them at a time, and it takes long
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.time == 0 {
		c.time = commandTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.time)
	defer cancel()
	cmd := p.prepare(ctx, c.dir, c.args...)
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], c.env...)
	cmd.Stdin = c.stdin
	if c.limit == 0 {
		c.limit = 16 << 20
	}
	out := &limitedBuffer{limit: c.limit, full: cancel}
	stderr := &limitedBuffer{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = out, stderr
	if c.out != nil {
		cmd.Stdout = &stoppingWriter{to: c.out, stop: cancel}
	}
	err := cmd.Start()
	if err == nil {
		if c.nice {
			_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, niceness) // what it starts inherits it
		}
		err = cmd.Wait()
	}
	if w, ok := cmd.Stdout.(*stoppingWriter); ok && w.err != nil {
		return nil, w.err
	}
	if out.cut {
		return out.buf.Bytes(), errOutputLimit
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return out.buf.Bytes(), &gitError{verb: verb(c.args), stderr: strings.TrimSpace(stderr.buf.String()), err: err}
	}
	return out.buf.Bytes(), nil
}

// stoppingWriter ends the command when what takes its output wants no more of it.
type stoppingWriter struct {
	to   io.Writer
	stop func()
	err  error
}

func (w *stoppingWriter) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	if err != nil && w.err == nil {
		w.err = err
		w.stop()
	}
	return n, err
}

// verb is the command among git's arguments.
func verb(args []string) string {
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	return args[0]
}

// exitCode is the status with which the git command behind err ended, -1 when it did not end by itself.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// limitedBuffer keeps the first limit bytes, swallows the rest, and calls full once.
type limitedBuffer struct {
	buf   bytes.Buffer
	limit int64
	cut   bool
	full  func()
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := b.limit - int64(b.buf.Len())
	if int64(len(p)) <= room {
		return b.buf.Write(p)
	}
	b.buf.Write(p[:max(room, 0)])
	if !b.cut {
		b.cut = true
		if b.full != nil {
			b.full()
		}
	}
	return len(p), nil
}
