package repos

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway"
)

// maxTips bounds the objects that a push names of which pushCommands knows.
const maxTips = 10_000

// pushCommands reads the commands and passes the options of a push, which are pkt-lines (gitprotocol-pack(5)), up to its pack.
type pushCommands struct {
	line []byte // what has come of the present one
	want int    // its size; 0 while its head comes
	part int    // of marks that have come behind parts, of which the first are the commands
	many bool   // more than commands that make refs have come, or too many of these
	tips []string
	// told says that the client shows what the server says before its report (side-band-64k of gitprotocol-capabilities(5)), quiet that it wants no progress.
	told, quiet bool
}

const packMark = "PACK"

// read takes what comes next, and says how many of its bytes are before the pack: less than none when the pack's mark began earlier. begun is false
// while no pack has.
func (c *pushCommands) read(b []byte) (before int, begun bool, err error) {
	for rest := b; ; {
		need := max(c.want, len(packMark)) - len(c.line)
		if len(rest) < need {
			c.line = append(c.line, rest...)
			return len(b), false, nil
		}
		c.line, rest = append(c.line, rest[:need]...), rest[need:]
		if c.want > 0 {
			c.command(c.line[4:])
			c.line, c.want = c.line[:0], 0
			continue
		}
		if string(c.line) == packMark {
			return len(b) - len(rest) - len(packMark), true, nil
		}
		size, err := strconv.ParseUint(string(c.line), 16, 16)
		if err != nil {
			return 0, false, fmt.Errorf("read the commands of a push: %w", err)
		}
		if size <= 4 { // a mark
			c.line = c.line[:0]
			c.part++
			continue
		}
		c.want = int(size)
	}
}

func (c *pushCommands) command(line []byte) {
	if c.part > 0 {
		return
	}
	before, after, ok := parseCommand(line)
	if _, capabilities, first := bytes.Cut(line, []byte{0}); first {
		list := strings.Fields(string(capabilities))
		c.told, c.quiet = slices.Contains(list, "side-band-64k"), slices.Contains(list, "quiet")
	}
	if c.many = c.many || !ok || !before.IsZero() || len(c.tips) == maxTips; c.many {
		c.tips = nil
	} else if !after.IsZero() {
		c.tips = append(c.tips, string(after))
	}
}

// parseCommand reads `OLD NEW REF`, of the first behind a NUL the capabilities. A shallow history and a signed push say other things.
func parseCommand(line []byte) (before, after slipway.CommitID, ok bool) {
	command, _, _ := bytes.Cut(line, []byte{0})
	f := strings.Split(strings.TrimSuffix(string(command), "\n"), " ")
	if len(f) != 3 || checkCommitID(slipway.CommitID(f[0])) != nil || checkCommitID(slipway.CommitID(f[1])) != nil {
		return "", "", false
	}
	return pushedCommit(f[0]), pushedCommit(f[1]), true
}
