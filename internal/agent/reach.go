package agent

import (
	"strings"

	"slipway/internal/pipelines/job"
)

// reachServer puts the address by which this agent reaches the server in the place of the one by which pods do.
func reachServer(work *job.Assignment, url string) {
	if work.Server == "" || work.Server == url {
		return
	}
	own := func(text string) (string, bool) {
		rest, ok := strings.CutPrefix(text, work.Server)
		return url + rest, ok && (rest == "" || strings.ContainsRune("/?#", rune(rest[0])))
	}
	for alias, r := range work.Repositories {
		if text, ok := own(r.URL); ok {
			r.URL = text
			work.Repositories[alias] = r
		}
	}
	for _, name := range work.Variables.Names() {
		v, _ := work.Variables.Get(name)
		if text, ok := own(v.Text); ok {
			v.Text = text
			work.Variables.Put(name, v)
		}
	}
}
