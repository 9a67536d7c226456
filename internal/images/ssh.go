package images

import (
	"os"
	"strings"

	"slipway"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
)

// SSH lets RUN --mount=type=ssh,id=ID use an agent or keys of this machine. No private key leaves it.
type SSH struct {
	ID    string   `json:"id"`              // default when a mount names none
	Paths []string `json:"paths,omitempty"` // an agent's socket, or files of private keys without passphrase
	Raw   bool     `json:"raw,omitempty"`   // the one path is a socket of another kind, which is passed on as it is
}

// ParseSSH reads docker's `--ssh`: default, or ID=PATH[,PATH]. Without a path it is the agent of agent, the value of SSH_AUTH_SOCK.
func ParseSSH(s, agent string) (SSH, error) {
	id, paths, _ := strings.Cut(s, "=")
	if id == "" {
		return SSH{}, slipway.Invalid("--ssh %q: write default, or ID=PATH of an agent's socket or of a key", s)
	}
	out := SSH{ID: id}
	if paths != "" {
		out.Paths = strings.Split(paths, ",")
	}
	if len(out.Paths) == 0 {
		if agent == "" {
			return SSH{}, slipway.Invalid("--ssh %s: there is no agent, since SSH_AUTH_SOCK is not set; start one with the task InstallSSHKey@0 or ssh-agent, or name a key, as in --ssh %s=FILE", s, id)
		}
		out.Paths = []string{agent}
	}
	for _, p := range out.Paths {
		if _, err := os.Stat(p); err != nil {
			return SSH{}, slipway.Invalid("--ssh %s: there is no %s", id, p).Because(err)
		}
	}
	return out, nil
}

func forwardSSH(list []SSH) (session.Attachable, error) {
	var agents []sshprovider.AgentConfig
	for _, s := range list {
		agents = append(agents, sshprovider.AgentConfig{ID: s.ID, Paths: s.Paths, Raw: s.Raw})
	}
	provider, err := sshprovider.NewSSHAgentProvider(agents)
	if err != nil {
		return nil, slipway.Invalid("--ssh: %v", err)
	}
	return provider, nil
}
