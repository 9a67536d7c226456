package repos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway"
	"slipway/internal/db"
)

// Transport is one exchange of git's pack protocol, in its stateless form as smart HTTP has it, or the whole as SSH has it.
type Transport struct {
	Stateful  bool      // the whole, with refs told first
	Advertise bool      // only tell the refs or capabilities, In is not read
	Protocol  string    // the client's Git-Protocol header, as `version=2`; what looks odd is ignored
	In        io.Reader // the request; a read may still be under way when the exchange is over
	Out       io.Writer // the answer, written as it comes
	MaxPack   int64     // bytes that a push may send; 0 for no limit
}

var protocolForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9=:._-]{1,256}$`) })

// exchange is the process of one service, upload-pack, receive-pack or upload-archive.
type exchange struct {
	cmd    *exec.Cmd
	stderr *limitedBuffer
	// in is the request, nil where none is read; drained is closed when all of a stateless one has been read.
	in       io.Reader
	stateful bool
	drained  chan struct{}
}

func (s *Service) transport(ctx context.Context, id slipway.RepositoryID, service string, t Transport) *exchange {
	args := []string{service, "--stateless-rpc", s.dir(id)}
	switch {
	case t.Stateful:
		args = []string{service, s.dir(id)}
	case t.Advertise:
		args = []string{service, "--stateless-rpc", "--advertise-refs", s.dir(id)}
	}
	if t.MaxPack > 0 {
		args = append([]string{"-c", fmt.Sprintf("receive.maxInputSize=%d", t.MaxPack)}, args...)
	}
	cmd := s.git.prepare(ctx, "", args...)
	cmd.Dir = s.folder
	if protocolForm().MatchString(t.Protocol) {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "GIT_PROTOCOL="+t.Protocol)
	}
	x := &exchange{cmd: cmd, stderr: &limitedBuffer{limit: maxStderr}, stateful: t.Stateful, drained: make(chan struct{})}
	if t.Stateful || !t.Advertise {
		x.in = t.In
	}
	cmd.Stdout, cmd.Stderr = wide{t.Out}, x.stderr
	return x
}

// start starts the process and has it read the request.
func (x *exchange) start() error {
	if x.in == nil {
		close(x.drained)
		return x.cmd.Start()
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	x.cmd.Stdin = theirs
	err = x.cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = ours.Close()
		return err
	}
	go func() {
		defer close(x.drained)
		// Git ends when it has all, whether or not the client ends its side: then nobody reads from the socket, and the copying ends with the client.
		_, err := io.CopyBuffer(struct{ io.Writer }{ours}, x.in, make([]byte, copied)) // which takes the buffer
		_ = ours.Close()
		if err != nil && !x.stateful { // git has refused it: a client reads the reason when it has sent everything
			_, _ = io.Copy(io.Discard, io.LimitReader(x.in, maxDrained))
		}
	}()
	return nil
}

// wait waits for the end of the process and of what it started, and until a stateless request has been read.
func (x *exchange) wait(ctx context.Context) error {
	err := x.cmd.Wait()
	killGroup(x.cmd)
	if !x.stateful {
		select {
		case <-x.drained:
		case <-ctx.Done():
		}
	}
	return err
}

func (x *exchange) run(ctx context.Context) error {
	if err := x.start(); err != nil {
		return err
	}
	return x.wait(ctx)
}

// socketPair makes two connected stream sockets. Git reads requests from one, not from a pipe: it reads a pack in parts of 4 KiB, each of which
// makes room for a page in a full pipe and wakes who writes to it, while a socket waits until most of it is empty.
func socketPair() (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open sockets: %w", err)
	}
	_ = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, copied) // as much of it as the kernel lets it have
	if err := unix.SetNonblock(pair[0], true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open sockets: %w", err), unix.Close(pair[0]), unix.Close(pair[1]))
	}
	return os.NewFile(uintptr(pair[0]), "request"), os.NewFile(uintptr(pair[1]), "request"), nil
}

// copied is how much of a request or an answer goes between git and its client at once, in bytes: at 32 KiB, which a pipe and a copy have by
// themselves, waking one another costs as much as the copying.
const copied = 256 << 10

// wide takes what comes from a pipe in large parts.
type wide struct{ io.Writer }

// ReadFrom is what os/exec copies by.
func (w wide) ReadFrom(pipe io.Reader) (int64, error) {
	widen(pipe)
	return io.CopyBuffer(struct{ io.Writer }{w.Writer}, struct{ io.Reader }{pipe}, make([]byte, copied)) // which take the buffer
}

// widen lets a pipe hold as much, if the kernel lets it.
func widen(pipe any) {
	file, ok := pipe.(interface {
		SyscallConn() (syscall.RawConn, error)
	})
	if !ok {
		return
	}
	if conn, err := file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, copied) })
	}
}

// maxDrained bounds what is read of a push that has been refused, in bytes.
const maxDrained = 4 << 30

// transportError is how a process ended. One that ended well although the client did not take or send everything
// did its work.
func transportError(ctx context.Context, service string, stderr *limitedBuffer, err error) error {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &gitError{verb: service, stderr: strings.TrimSpace(stderr.buf.String()), err: err}
}

// UploadArchive serves `git archive --remote`. It is stateful alone.
func (s *Service) UploadArchive(ctx context.Context, id slipway.RepositoryID, t Transport) error {
	x := s.transport(ctx, id, "upload-archive", t)
	return transportError(ctx, "upload-archive", x.stderr, x.run(ctx))
}

// UploadPack serves one step of a clone or fetch. It ends git when ctx ends.
func (s *Service) UploadPack(ctx context.Context, id slipway.RepositoryID, t Transport) error {
	x := s.transport(ctx, id, "upload-pack", t)
	return transportError(ctx, "upload-pack", x.stderr, x.run(ctx))
}

const (
	// announceTimeout bounds what happens between git's having the refs and its answer to the pusher.
	announceTimeout = time.Minute
	// checkTimeout bounds looking at what was pushed before the refs move.
	checkTimeout = 2 * time.Minute
)

// ReceivePack serves one step of a push by actor. While the objects are in git's quarantine it asks whether the refs may move
// (checkPush); refused, nothing of the push stays. Once the refs are safe on disk it publishes their events, opens the
// pull request that its options ask for, then calls onPushed, which may be nil, and shows the pusher the lines that it returns. Refs that moved are announced even
// when ctx ends in the middle.
func (s *Service) ReceivePack(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, t Transport, onPushed func(context.Context, Received) []string) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if err := s.limitPack(ctx, r, &t); err != nil {
		return err
	}
	var tap *pushTap
	if !t.Advertise || t.Stateful {
		index, err := s.newPushIndex(r, t.MaxPack)
		if err != nil {
			return err
		}
		if index != nil {
			defer index.close()
			index.answer = &pushAnswer{out: t.Out}
			t.Out = index.answer
		}
		tap = newPushTap(t.In, r.ObjectFormat, index)
		defer tap.close()
		t.In = tap
	}
	x := s.transport(ctx, id, "receive-pack", t)
	if t.Advertise {
		return transportError(ctx, "receive-pack", x.stderr, x.run(ctx))
	}
	if tap.index != nil {
		x.cmd.Env = append(x.cmd.Env[:len(x.cmd.Env):len(x.cmd.Env)], "GIT_ALTERNATE_OBJECT_DIRECTORIES="+tap.index.folder)
	}
	x.limitThreads(int(s.receiving.Add(1)))
	defer func() {
		if s.receiving.Add(-1) == 0 {
			s.requestUpkeep() // which may have waited
		}
	}()
	lasting := context.WithoutCancel(ctx)
	push, err := s.notePush(lasting, id, actor)
	if err != nil {
		return err
	}
	hook, err := s.newHook(x.cmd)
	if err != nil {
		return err
	}
	if err := x.start(); err != nil {
		hook.close()
		return fmt.Errorf("start git receive-pack: %w", err)
	}
	var options []string // known from the check on
	said := hook.serve(pushDoor{
		complete: func() []string { return s.completeTips(ctx, id, tap) },
		check: func(ask pushCheck) ([]string, bool) {
			options, ask.tap = ask.options, tap
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			return s.allowIndexed(ctx, id, actor, ask, tap.index)
		},
		move: func(moves []refMove, atomic bool) (map[string]bool, error) {
			return s.moveMany(lasting, r, moves, atomic)
		},
		moved: func(names []string) ([]string, error) {
			ctx, cancel := context.WithTimeout(lasting, announceTimeout)
			defer cancel()
			if len(names) == 0 { // neither branches nor tags
				return nil, nil
			}
			list, err := s.Announce(ctx, id, actor, names...)
			if err != nil || len(list) == 0 {
				return nil, err
			}
			received := s.receivePullRequests(ctx, id, actor, list, options)
			if onPushed == nil {
				return nil, nil
			}
			return onPushed(ctx, received), nil
		},
	})
	err = x.wait(ctx)
	heard, hookErr := said()
	if hookErr != nil || !heard && err != nil {
		// Git was ended before its hook, perhaps with refs moved, or announcing failed: compare everything. A push
		// that moves nothing ends well without a hook.
		if _, again := s.Announce(lasting, id, actor); again != nil {
			return fmt.Errorf("announce push: %w", errors.Join(hookErr, again))
		}
	}
	if forget := s.forgetPush(lasting, push); forget != nil {
		return forget
	}
	return transportError(ctx, "receive-pack", x.stderr, err)
}

// limitThreads shares half of the processors among the pushes that are under way, of which the other half receives and scans what comes: git's
// threads wait for one another at each of many small differences, so that two of them are slower than one on two processors.
func (x *exchange) limitThreads(pushes int) {
	threads := max(1, runtime.NumCPU()/2/pushes)
	x.cmd.Args = slices.Insert(x.cmd.Args, 1, "-c", fmt.Sprintf("pack.threads=%d", threads))
}

// limitPack takes the repository's limit of a push, when it is the lower one, and has the pusher told of it.
func (s *Service) limitPack(ctx context.Context, r Repository, t *Transport) error {
	_, l, err := s.RepositoryLimits(ctx, r)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("This server takes at most %d bytes of a push: push in parts (git push origin COMMIT:BRANCH with older commits first).", t.MaxPack)
	if l.Pack > 0 && (t.MaxPack == 0 || l.Pack < t.MaxPack) {
		t.MaxPack = l.Pack
		line = fmt.Sprintf("Limit pack: a push may have %d bytes. Push in parts (git push origin COMMIT:BRANCH with older commits first), or keep large files with Git LFS. %s", l.Pack, limitAdvice)
	}
	if t.MaxPack > 0 && !t.Advertise {
		t.Out = &limitTeller{out: t.Out, line: line}
	}
	return nil
}

// notePush remembers who pushes until the events are out.
func (s *Service) notePush(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor) (push int64, err error) {
	who, err := json.Marshal(actor)
	if err != nil {
		return 0, fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `INSERT INTO repository_pushes (repository, actor, started) VALUES ($1, $2, $3) RETURNING id`
		return tx.QueryRowContext(ctx, insert, string(id), string(who), db.Micros(s.clock.Now())).Scan(&push)
	})
	if err != nil {
		return 0, fmt.Errorf("note push to repository %s: %w", id, err)
	}
	return push, nil
}

func (s *Service) forgetPush(ctx context.Context, push int64) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM repository_pushes WHERE id = $1`, push); err != nil {
		return fmt.Errorf("forget push %d: %w", push, err)
	}
	return nil
}
