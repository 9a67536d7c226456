package repos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// concurrentReaders bounds the cat-file processes in use at once, over all repositories.
	concurrentReaders = 32
	// idleReaders bounds those kept waiting in all, idleReadersEach for one repository.
	idleReaders, idleReadersEach = 64, 4
	// idleReaderTime is how long one waits for its next use.
	idleReaderTime = time.Minute
	// pipelined is how many `info` commands are written before their answers are read: few enough that neither
	// pipe (64 KiB) fills.
	pipelined = 64
)

// object is what `info` tells of one object.
type object struct {
	id   string // full object name; empty when there is no such object
	kind string // commit, tree, blob, tag
	size int64
}

func (o object) missing() bool { return o.id == "" }

// reader is one `git cat-file --batch-command` process. It serves one caller at a time.
type reader struct {
	dir   string
	cmd   *exec.Cmd
	stop  context.CancelFunc
	in    io.WriteCloser
	out   *bufio.Reader
	since time.Time // when it became idle
	bad   bool      // its answers no longer match the questions
}

// readers keeps idle readers by repository folder.
type readers struct {
	git    *program
	slots  chan struct{}
	mu     sync.Mutex // guards what follows
	idle   map[string][]*reader
	count  int
	closed bool
}

func newReaders(git *program) *readers {
	return &readers{git: git, slots: make(chan struct{}, concurrentReaders), idle: map[string][]*reader{}}
}

var errClosed = errors.New("the repositories are closed")

// with lends a reader of the repository to f. A reader whose conversation broke off is ended.
func (p *readers) with(ctx context.Context, dir string, f func(r *reader) error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r, err := p.take(dir)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, r.stop)
	err = f(r)
	if !stop() || r.bad {
		r.end()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	p.give(r)
	return err
}

func (p *readers) take(dir string) (*reader, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if list := p.idle[dir]; len(list) > 0 {
		r := list[len(list)-1]
		p.idle[dir] = list[:len(list)-1]
		p.count--
		p.mu.Unlock()
		return r, nil
	}
	p.mu.Unlock()
	return p.start(dir)
}

func (p *readers) start(dir string) (*reader, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{dir: dir, stop: cancel}
	r.cmd = p.git.prepare(ctx, dir, "cat-file", "--batch-command")
	in, err := r.cmd.StdinPipe()
	if err == nil {
		var out io.ReadCloser
		if out, err = r.cmd.StdoutPipe(); err == nil {
			r.in, r.out = in, bufio.NewReaderSize(out, 32<<10)
			err = r.cmd.Start()
		}
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	return r, nil
}

func (p *readers) give(r *reader) {
	r.since = time.Now()
	p.mu.Lock()
	keep := !p.closed && p.count < idleReaders && len(p.idle[r.dir]) < idleReadersEach
	if keep {
		p.idle[r.dir] = append(p.idle[r.dir], r)
		p.count++
	}
	p.mu.Unlock()
	if !keep {
		r.end()
	}
}

// dropIf ends the idle readers that match.
func (p *readers) dropIf(match func(r *reader) bool) {
	var gone []*reader
	p.mu.Lock()
	for dir, list := range p.idle {
		var kept []*reader
		for _, r := range list {
			if match(r) {
				gone = append(gone, r)
			} else {
				kept = append(kept, r)
			}
		}
		if p.idle[dir] = kept; len(kept) == 0 {
			delete(p.idle, dir)
		}
	}
	p.count -= len(gone)
	p.mu.Unlock()
	for _, r := range gone {
		r.end()
	}
}

// drop ends the idle readers of one repository.
func (p *readers) drop(dir string) { p.dropIf(func(r *reader) bool { return r.dir == dir }) }

// expire ends the readers that were not used for a while.
func (p *readers) expire(now time.Time) {
	p.dropIf(func(r *reader) bool { return now.Sub(r.since) > idleReaderTime })
}

func (p *readers) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.dropIf(func(*reader) bool { return true })
}

// end closes the process's input, which ends it, or kills it when it was stopped, and waits for it.
func (r *reader) end() {
	if r.bad {
		r.stop()
	}
	_ = r.in.Close()
	_, _ = io.Copy(io.Discard, r.out)
	_ = r.cmd.Wait() // how it ended tells nothing: whoever asked has the error already
	r.stop()
}

// fail marks the conversation as broken.
func (r *reader) fail(err error) error {
	r.bad = true
	return fmt.Errorf("git cat-file: %w", err)
}

// infos tells of several objects, each given as a name that cat-file understands (`COMMIT:path`, `HEX^{commit}`).
// What does not exist comes back as missing.
func (r *reader) infos(names []string) ([]object, error) {
	list := make([]object, 0, len(names))
	for len(names) > 0 {
		part := names[:min(pipelined, len(names))]
		names = names[len(part):]
		var ask strings.Builder
		for _, n := range part {
			if strings.ContainsAny(n, "\n\x00") {
				return nil, errors.New("object name with a line break")
			}
			ask.WriteString("info " + n + "\n")
		}
		if _, err := io.WriteString(r.in, ask.String()); err != nil {
			return nil, r.fail(err)
		}
		for range part {
			o, err := r.header()
			if err != nil {
				return nil, err
			}
			list = append(list, o)
		}
	}
	return list, nil
}

func (r *reader) info(name string) (object, error) {
	list, err := r.infos([]string{name})
	if err != nil {
		return object{}, err
	}
	return list[0], nil
}

// header reads `<oid> <type> <size>`, or `<name> missing` and the like.
func (r *reader) header() (object, error) {
	line, err := r.out.ReadString('\n')
	if err != nil {
		return object{}, r.fail(err)
	}
	fields := strings.Fields(line)
	n := len(fields)
	if n >= 2 && (fields[n-1] == "missing" || fields[n-1] == "ambiguous" || fields[n-1] == "submodule") {
		return object{}, nil
	}
	if n != 3 {
		return object{}, r.fail(fmt.Errorf("unexpected answer %q", line))
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return object{}, r.fail(err)
	}
	return object{id: fields[0], kind: fields[1], size: size}, nil
}

// errTooLarge says that an object is larger than the caller wants to read; its header is returned all the same.
var errTooLarge = errors.New("object is larger than the limit")

// contents reads a whole object of at most limit bytes; a missing one comes back as such.
func (r *reader) contents(name string, limit int64) (object, []byte, error) {
	o, err := r.info(name)
	if err != nil || o.missing() {
		return o, nil, err
	}
	if o.size > limit {
		return o, nil, errTooLarge
	}
	if _, err := io.WriteString(r.in, "contents "+o.id+"\n"); err != nil {
		return o, nil, r.fail(err)
	}
	again, err := r.header()
	if err != nil {
		return o, nil, err
	}
	if again != o {
		return o, nil, r.fail(fmt.Errorf("object %s changed while it was read", o.id))
	}
	data := make([]byte, o.size+1) // git ends the contents with a line feed of its own
	if _, err := io.ReadFull(r.out, data); err != nil {
		return o, nil, r.fail(err)
	}
	return o, data[:o.size], nil
}
