package repos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"slipway"
)

// hook is the conversation with the hooks of one receive-pack process, over two pipes and a socket that git and the hooks inherit as
// descriptors 3, 4 and 5.
type hook struct {
	ask      *os.File // what the hooks say
	answer   *os.File // what they show
	moves    *os.File // what git and the server tell each other of moves
	children []*os.File
}

func (s *Service) newHook(cmd *exec.Cmd) (*hook, error) {
	ask, told, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	shown, answer, err := os.Pipe()
	if err != nil {
		ask.Close()
		told.Close()
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	moves, inner, err := socketPair()
	if err != nil {
		return nil, errors.Join(err, ask.Close(), told.Close(), shown.Close(), answer.Close())
	}
	children := []*os.File{told, shown, inner}
	cmd.ExtraFiles = children
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "SLIPWAY_PUSH=1")
	cmd.Args = slices.Insert(cmd.Args, 1, "-c", "receive.procReceiveRefs=refs")
	return &hook{ask: ask, answer: answer, moves: moves, children: children}, nil
}

func (h *hook) close() {
	for _, f := range append(h.children, h.ask, h.answer, h.moves) {
		_ = f.Close()
	}
}

// pushDoor answers the hooks of a push.
type pushDoor struct {
	complete func() []string                                                      // objects in quarantine that lack nothing, as far as is known
	check    func(ask pushCheck) (lines []string, allowed bool)                   // before the refs move
	move     func(moves []refMove, atomic bool) (done map[string]bool, err error) // as moveMany
	moved    func(refs []string) ([]string, error)                                // after it
}

// serve answers the hooks in a goroutine. The function returned waits for that to end and says whether the refs that moved
// were heard of; it is called after the process has ended, which ends the conversation too.
func (h *hook) serve(d pushDoor) func() (bool, error) {
	for _, child := range h.children {
		_ = child.Close()
	}
	h.children = nil
	type outcome struct {
		heard bool
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer h.close()
		in := bufio.NewScanner(h.ask)
		m, ok := readMessage(in)
		for ok && m.kind == "complete" {
			for _, tip := range d.complete() {
				_, _ = io.WriteString(h.answer, tip+"\n")
			}
			_, _ = io.WriteString(h.answer, "\n")
			m, ok = readMessage(in)
		}
		if ok && m.kind == "check" {
			lines, allowed := d.check(m.pushCheck)
			_, _ = io.WriteString(h.answer, verdict(lines, allowed)) // the pusher may have gone
			m, ok = readMessage(in)
		}
		var moving error
		if ok && m.kind == "move" {
			moving = answerMoves(h.moves, d.move)
			_ = h.moves.Close() // which ends the hook
			m, ok = readMessage(in)
		}
		if !ok || m.kind != "moved" {
			done <- outcome{err: moving}
			return
		}
		lines, err := d.moved(m.announced())
		err = errors.Join(err, moving)
		if err == nil && len(lines) > 0 {
			_, _ = io.WriteString(h.answer, strings.Join(lines, "\n")+"\n")
		}
		done <- outcome{heard: true, err: err}
	}()
	return func() (bool, error) {
		o := <-done
		return o.heard, o.err
	}
}

func verdict(lines []string, allowed bool) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("-" + strings.ReplaceAll(l, "\n", "\n-") + "\n")
	}
	if allowed {
		return b.String() + "ok\n"
	}
	return b.String() + "no\n"
}

// pushCheck is what a push would do.
type pushCheck struct {
	quarantine string // folder of the objects that it brings
	options    []string
	moves      []refMove // a zero side is a ref that is made or deleted
	tap        *pushTap  // has scanned what came; nil where nothing did
}

// hookMessage is what one hook says.
type hookMessage struct {
	kind string // complete, check, move, moved
	pushCheck
}

// announced are the names of branches and tags among the moves.
func (m hookMessage) announced() []string {
	var names []string
	for _, one := range m.moves {
		if strings.HasPrefix(one.Ref, branchPrefix) || strings.HasPrefix(one.Ref, tagPrefix) {
			names = append(names, one.Ref)
		}
	}
	return names
}

// readMessage reads lines up to an empty one: the kind, options, and `OLD NEW REF` for each ref.
func readMessage(lines *bufio.Scanner) (m hookMessage, complete bool) {
	for first := true; lines.Scan(); first = false {
		text := lines.Text()
		if text == "" && !first {
			return m, true
		}
		if first {
			m.kind, m.quarantine, _ = strings.Cut(text, " ")
			continue
		}
		if option, ok := strings.CutPrefix(text, "option "); ok {
			m.options = append(m.options, option)
			continue
		}
		if f := strings.Fields(text); len(f) == 3 {
			m.moves = append(m.moves, refMove{Ref: f[2], Before: pushedCommit(f[0]), After: pushedCommit(f[1])})
		}
	}
	return m, false
}

// pushedCommit is an object name of git's, zero for its row of zeros.
func pushedCommit(name string) slipway.CommitID {
	if strings.Trim(name, "0") == "" {
		return ""
	}
	return slipway.CommitID(name)
}
