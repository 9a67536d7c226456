package filecommands

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// watch says when a run of a working tree is to be followed by another.
type watch struct {
	tree    func(context.Context) (string, error)                             // names the working tree as it is
	changes func(ctx context.Context, before, after string) ([]string, error) // the files that count in which two trees differ
	said    io.Writer

	before string   // the tree with which the run began
	during []string // files that changed while the run before this one ran
}

// watchInterval is how often the working tree is looked at while nothing runs.
const watchInterval = 500 * time.Millisecond

// begin is called when a run begins.
func (w *watch) begin(ctx context.Context) (err error) {
	w.before, err = w.tree(ctx)
	return err
}

// await waits, after a run, until there is a reason for another; false says that ctx ended first. A file that changed while the run
// was under way is one, but for the second time in a row: then it is most likely the run that writes it, which would never end.
func (w *watch) await(ctx context.Context) bool {
	now, changed := w.look(ctx, w.before)
	again := slices.DeleteFunc(slices.Clone(changed), func(file string) bool { return slices.Contains(w.during, file) })
	w.during = changed
	if len(again) > 0 {
		fmt.Fprintf(w.said, "runs again: %s changed while it ran\n", someOf(again))
		return true
	}
	if len(changed) > 0 {
		fmt.Fprintf(w.said, "%s changed during this run and the one before, most likely by one of its steps, and so that starts no other: let the step write outside of the folder, or name the file in .gitignore; if it was you, save it again\n", someOf(changed))
	}
	fmt.Fprintln(w.said, "waiting for a change of the files; Ctrl-C ends it")
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if now, changed = w.look(ctx, now); len(changed) > 0 {
				return true
			}
		}
	}
}

// look gives the tree as it is now, and the files in which it is another than before. While it cannot be read, it is as it was.
func (w *watch) look(ctx context.Context, before string) (now string, changed []string) {
	now, err := w.tree(ctx)
	if err != nil || now == before {
		return before, nil
	}
	if changed, err = w.changes(ctx, before, now); err != nil {
		return before, nil
	}
	return now, changed
}

// someOf are a few names, and how many more there are.
func someOf(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
