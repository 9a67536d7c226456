package repos

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// pushAnswer is the answer to a push, which git writes, and before it what the server says itself.
type pushAnswer struct {
	mu  sync.Mutex
	out io.Writer
}

func (a *pushAnswer) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out.Write(b)
}

// progressTime is how often a pusher hears of what goes on; nobody may take the connection for dead meanwhile.
const progressTime = time.Second

// progress shows a pusher how far the server is with the differences of a pack, in git's words, or keeps the connection of one that wants to see nothing. Git itself writes nothing
// until it has the pack.
func (a *pushAnswer) progress(c *pushCommands) func(done, all int) {
	if a == nil || !c.told {
		return nil
	}
	var last time.Time
	told := false
	return func(done, all int) {
		now := time.Now()
		switch {
		case last.IsZero():
			last = now
			return
		case done < all && now.Sub(last) >= progressTime:
			last, told = now, true
		case done == all && told:
		default: // what is soon over is not told
			return
		}
		text, end := "", "\r"
		if done == all {
			end = ", done.\n"
		}
		if !c.quiet {
			text = fmt.Sprintf("Resolving deltas: %3d%% (%d/%d)%s", 100*done/all, done, all, end)
		}
		_, _ = a.Write([]byte(packet("\x02" + text))) // who has gone is noticed by git
	}
}
