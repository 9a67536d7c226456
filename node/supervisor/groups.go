package supervisor

import (
	"slipway/node/config"
	"slipway/node/parts"
)

// group is the parts that share a process.
type group struct {
	name  string // of the process and its log
	parts []string
}

// groups spreads the parts over processes.
func (s *Supervisor) groups() []group {
	if s.Config.Processes == config.Merged {
		return []group{{name: "node", parts: parts.Names()}}
	}
	var groups []group
	for _, name := range parts.Names() {
		groups = append(groups, group{name: name, parts: []string{name}})
	}
	return groups
}
