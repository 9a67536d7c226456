package compile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/plan"
)

// The options of docker create that have no meaning for a pod and do no harm if they are left out, with their value and
// without one.
var (
	idleOptions = []string{"--name", "--hostname", "-h", "--network", "--net", "--cpus", "--cpu-count", "--cpu-shares", "-c", "--memory", "-m",
		"--memory-swap", "--pull", "--restart", "--label", "-l", "--workdir", "-w", "--entrypoint", "--stop-timeout", "--log-driver", "--log-opt",
		"--health-cmd", "--health-interval", "--health-timeout", "--health-retries", "--health-start-period"}
	idleFlags = []string{"--init", "--rm", "-i", "-t", "-it", "-d", "--interactive", "--tty", "--detach", "--no-healthcheck"}
)

// containerOptions reads the options of docker create of a container.
func (c *compiler) containerOptions(o object, r *plan.Container) {
	n := o.get("options")
	text := o.text("options")
	if text == "" {
		return
	}
	words, ok := optionWords(text)
	switch {
	case strings.Contains(text, "$("):
		c.problems.Unsupported(n.At, "options of a container must be known when the run is made: write them out, not %q", text)
		return
	case !ok:
		c.problems.Add(n.At, "options %q have a quote without its end", text)
		return
	}
	r.Env = maps.Clone(r.Env)
	var idle []string
	for len(words) > 0 {
		name, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		if slices.Contains(idleFlags, name) {
			idle = append(idle, name)
			continue
		}
		if !joined && len(words) > 0 && !strings.HasPrefix(words[0], "-") {
			value, words = words[0], words[1:]
		}
		switch {
		case name == "-e" || name == "--env":
			c.optionEnv(o, r, value)
		case name == "-u" || name == "--user":
			c.optionUser(o, r, value)
		case slices.Contains(idleOptions, name):
			idle = append(idle, name)
		case strings.Contains(value, "docker.sock"):
			c.problems.Unsupported(n.At, "option %s %s of a container: jobs are pods without a Docker daemon; build images with Docker@2", name, value)
		default:
			c.problems.Unsupported(n.At, "option %s of a container is not there: jobs are pods, which take --env and --user alone; leave it out", name)
		}
	}
	if len(idle) > 0 {
		c.warnOf(n.At, "these options of a container have no effect, since jobs are pods: %s", strings.Join(idle, ", "))
	}
}

func (c *compiler) optionEnv(o object, r *plan.Container, value string) {
	name, text, ok := strings.Cut(value, "=")
	if !ok || name == "" {
		c.problems.Unsupported(o.get("options").At, "option --env of a container is NAME=VALUE, not %q: write it under env", value)
		return
	}
	if r.Env == nil {
		r.Env = map[string]string{}
	}
	if _, given := r.Env[name]; !given {
		r.Env[name] = text
	}
}

func (c *compiler) optionUser(o object, r *plan.Container, value string) {
	name, _, _ := strings.Cut(value, ":")
	if name == "root" {
		name = "0"
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil || id < 0 {
		c.problems.Unsupported(o.get("options").At, "option --user %s of a container: a pod takes a user's number, such as --user 0", value)
		return
	}
	r.User = &id
}

// optionWords splits options at spaces outside of quotes.
func optionWords(text string) (words []string, ok bool) {
	var word strings.Builder
	quote, inside := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inside = r, true
		case quote == 0 && strings.ContainsRune(" \t\n", r):
			if inside {
				words = append(words, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words, quote == 0
}
