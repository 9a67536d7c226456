package github

import (
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// waits carries `concurrency` of the workflow over, where there is a group for each branch. Runs that wait for the one under way, of which
// the newest is kept, are what `batch` makes of pushes; a run that a newer one cancels is what pull requests do by themselves.
func (w *workflow) waits(trigger *draft.Map, push *yaml.Node, events map[string]*yaml.Node) {
	n := w.root.Get("concurrency")
	if n == nil {
		return
	}
	group, cancel := n, "false"
	if n.Kind == yaml.Map {
		group = n.Get("group")
		if c := n.Get("cancel-in-progress"); c != nil {
			cancel = strings.ToLower(c.Text)
		}
	}
	if group == nil || !perBranch(group.Text) {
		w.note(n.At, "concurrency is left out: its group is not one for each branch", "write batch under trigger, or an exclusive lock on an environment")
		return
	}
	pulled := events["pull_request"] != nil || events["pull_request_target"] != nil
	byEvent := strings.Contains(cancel, "pull_request")
	switch {
	case push != nil && (cancel == "false" || byEvent):
		trigger.Put("batch", yaml.Plain("true", n.At))
	case push != nil:
		w.note(n.At, "a push does not cancel the run of the one before it", "write batch under trigger to hold pushes back while a run is under way")
	}
	if pulled && cancel == "false" {
		w.note(n.At, "a push to a pull request cancels its run", "write autoCancel: false under pr")
	}
}

// perBranch reports a group of which every branch or pull request has its own.
func perBranch(group string) bool {
	for _, name := range []string{"github.ref", "github.head_ref", "github.event.pull_request.number", "github.event.number"} {
		if strings.Contains(group, name) {
			return true
		}
	}
	return false
}
