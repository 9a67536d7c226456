package supervisor

import "slipway/node/parts"

// group is the parts that share a process.
type group struct {
	name  string // of the process and its log
	parts []string
}

// groups names the processes: by their one part, "addons", or "node" when all is in one.
func (s *Supervisor) groups() []group {
	var groups []group
	all := parts.Groups(s.Config)
	for _, names := range all {
		name := names[0]
		switch {
		case len(all) == 1:
			name = "node"
		case len(names) > 1:
			name = "addons"
		}
		groups = append(groups, group{name: name, parts: names})
	}
	return groups
}
