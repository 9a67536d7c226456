package repos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// answerMoves has the conversation of git's proc-receive hook (githooks(5)): git says which refs are to move, move makes those that it takes, and git
// makes the others. Where move fails, the push of what it had taken fails.
func answerMoves(git io.ReadWriter, move func(moves []refMove, atomic bool) (map[string]bool, error)) error {
	in := bufio.NewReader(io.LimitReader(git, refsBytes))
	greeting, err := readPackets(in)
	if err != nil {
		return err
	}
	if len(greeting) == 0 {
		return errors.New("git's hook proc-receive has said nothing")
	}
	_, features, _ := strings.Cut(greeting[0], "\x00")
	if _, err := io.WriteString(git, packet("version=1\x00atomic\n")+endOfPackets); err != nil {
		return fmt.Errorf("answer git's hook proc-receive: %w", err)
	}
	commands, err := readPackets(in)
	if err != nil {
		return err
	}
	moves := make([]refMove, len(commands))
	for i, line := range commands {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("git's hook proc-receive has said %q", shorten(line, 200))
		}
		moves[i] = refMove{Before: pushedCommit(f[0]), After: pushedCommit(f[1]), Ref: f[2]}
	}
	done, failure := move(moves, slices.Contains(strings.Fields(features), "atomic"))
	out := bufio.NewWriter(git)
	for _, m := range moves {
		switch {
		case !done[m.Ref]:
			_, _ = out.WriteString(packet("ok "+m.Ref+"\n") + packet("option fall-through\n"))
		case failure != nil:
			_, _ = out.WriteString(packet("ng " + m.Ref + " the server could not write it to disk\n"))
		default:
			_, _ = out.WriteString(packet("ok " + m.Ref + "\n"))
		}
	}
	_, _ = out.WriteString(endOfPackets)
	if err := out.Flush(); err != nil {
		failure = errors.Join(failure, fmt.Errorf("answer git's hook proc-receive: %w", err))
	}
	return failure
}

// endOfPackets is the packet that ends others (gitprotocol-common(5), flush-pkt).
const endOfPackets = "0000"

// packet is one of git's packets (pkt-line).
func packet(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// readPackets reads packets up to the one that ends them, without their line ends.
func readPackets(in io.Reader) (list []string, err error) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil, fmt.Errorf("read from git's hook proc-receive: %w", err)
		}
		size, err := strconv.ParseUint(string(head[:]), 16, 16)
		if err != nil || size > 0 && size < 4 {
			return nil, fmt.Errorf("git's hook proc-receive sent a packet that begins with %q", head)
		}
		if size == 0 {
			return list, nil
		}
		text := make([]byte, size-4)
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, fmt.Errorf("read from git's hook proc-receive: %w", err)
		}
		list = append(list, strings.TrimSuffix(string(text), "\n"))
	}
}
