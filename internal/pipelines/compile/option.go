package compile

import (
	"maps"
	"math"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/internal/pipelines/plan"
)

// The options of docker create that have no meaning for a pod and do no harm if they are left out, with their value and
// without one.
var (
	idleOptions = []string{"--name", "--hostname", "-h", "--network", "--net", "--network-alias", "--cpu-count", "--cpu-shares", "-c",
		"--memory-swap", "--memory-reservation", "--pull", "--restart", "--label", "-l", "--stop-timeout", "--log-driver", "--log-opt", "--ulimit", "--platform"}
	idleFlags = []string{"--init", "--rm", "-i", "-t", "-it", "-d", "--interactive", "--tty", "--detach", "--no-healthcheck"}
)

// optionReaders read the options that a pod takes; each says what is wrong with its value, "" for nothing.
var optionReaders = map[string]func(r *plan.Container, value string) string{
	"--env": optionEnv, "-e": optionEnv, "--user": optionUser, "-u": optionUser, "--volume": optionVolume, "-v": optionVolume,
	"--memory": optionMemory, "-m": optionMemory, "--cpus": optionCPUs, "--shm-size": optionSharedMemory, "--tmpfs": optionTmpfs, "--add-host": optionHost,
	"--entrypoint": optionEntrypoint, "--workdir": optionWorkingDirectory, "-w": optionWorkingDirectory,
	"--health-cmd": optionHealthCommand, "--health-interval": optionHealthInterval, "--health-timeout": optionHealthTimeout,
	"--health-retries": optionHealthRetries, "--health-start-period": optionHealthStart,
}

// containerOptions reads the options of docker create of a container.
func (c *compiler) containerOptions(o object, r *plan.Container) {
	n := o.get("options")
	text := o.text("options")
	if text == "" {
		return
	}
	words, ok := optionWords(text)
	if !ok {
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
		read := optionReaders[name]
		switch {
		case strings.Contains(name, "$(") || strings.Contains(value, "$(") && name != "-e" && name != "--env" && !slices.Contains(idleOptions, name):
			c.problems.Unsupported(n.At, "option %s of a container must be known when the run is made: write it without macros, which only -e and --env take", strings.TrimSpace(name+" "+value))
		case strings.Contains(value, "docker.sock"):
			c.problems.Unsupported(n.At, "option %s %s of a container: jobs are pods without a Docker daemon; build images with Docker@2", name, value)
		case read != nil:
			if wrong := read(r, value); wrong != "" {
				c.problems.Unsupported(n.At, "option %s %s of a container: %s", name, value, wrong)
			}
		case slices.Contains(idleOptions, name):
			idle = append(idle, name)
		default:
			c.problems.Unsupported(n.At, "option %s of a container is not there: a pod does not take it; leave it out", name)
		}
	}
	if len(idle) > 0 {
		c.warnOf(n.At, "these options of a container have no effect, since jobs are pods: %s", strings.Join(idle, ", "))
	}
	if h := r.Options.Health; h != nil && h.Command == "" {
		c.warnOf(n.At, "options --health-… of a container have no effect without --health-cmd: checks that an image brings along are not known to a pod")
		r.Options.Health = nil
	}
}

// containerVolumes are the folders that a container shares with the others of its job.
func (c *compiler) containerVolumes(o object, r *plan.Container) {
	for _, text := range o.texts("volumes") {
		if wrong := optionVolume(r, text); wrong != "" {
			c.problems.Unsupported(o.get("volumes").At, "volume %s of a container: %s", text, wrong)
		}
	}
}

func optionEnv(r *plan.Container, value string) string {
	name, text, ok := strings.Cut(value, "=")
	if !ok || name == "" {
		return "it is NAME=VALUE: write it under env"
	}
	if r.Env == nil {
		r.Env = map[string]string{}
	}
	if _, given := r.Env[name]; !given {
		r.Env[name] = text
	}
	return ""
}

func optionUser(r *plan.Container, value string) string {
	name, _, _ := strings.Cut(value, ":")
	if name == "root" {
		name = "0"
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil || id < 0 {
		return "a pod takes a user's number, such as --user 0"
	}
	r.User = &id
	return ""
}

const maxVolumes = 50 // of a container

// optionVolume reads NAME:PATH, with :ro or :rw behind it, or PATH.
func optionVolume(r *plan.Container, value string) string {
	parts := strings.Split(value, ":")
	v := plan.Volume{Path: parts[0]}
	if len(parts) > 1 && parts[1] != "ro" && parts[1] != "rw" {
		v.Name, v.Path = parts[0], parts[1]
		parts = parts[1:]
	}
	switch {
	case strings.Contains(value, "docker.sock"):
		return "jobs are pods without a Docker daemon; build images with Docker@2"
	case strings.ContainsAny(v.Name, `/\~.$`):
		return "a pod does not reach folders of its node: write NAME:PATH for a folder that the containers of the job share, or keep it by the task Cache@2"
	case !path.IsAbs(v.Path) || path.Clean(v.Path) == "/" || path.Clean(v.Path) != strings.TrimSuffix(v.Path, "/"):
		return "the path in the container must be an absolute one"
	case len(parts) > 2 || len(parts) == 2 && parts[1] != "ro" && parts[1] != "rw":
		return "write NAME:PATH, or NAME:PATH:ro"
	case len(r.Volumes) >= maxVolumes:
		return "a container has at most 50 volumes"
	}
	v.Path, v.ReadOnly = path.Clean(v.Path), len(parts) == 2 && parts[1] == "ro"
	r.Volumes = append(r.Volumes, v)
	return ""
}

// bytesOf reads a size as docker does: a number with b, k, m, g or t behind it.
func bytesOf(text string) (int64, bool) {
	digits := strings.TrimRight(strings.ToLower(text), "bkmgti")
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(text)[len(digits):], "b"), "i")
	power := strings.Index(" kmgt", unit)
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil || len(unit) > 1 || unit != "" && power < 1 || number < 0 {
		return 0, false
	}
	size := number * math.Pow(1024, float64(max(power, 0)))
	return int64(size), size < math.MaxInt64
}

func optionMemory(r *plan.Container, value string) string {
	return optionSize(&r.Options.Memory, value)
}

func optionSharedMemory(r *plan.Container, value string) string {
	return optionSize(&r.Options.SharedMemory, value)
}

func optionSize(into *int64, value string) string {
	size, ok := bytesOf(value)
	if !ok || size == 0 {
		return "it is a number of bytes, such as 512m or 2g"
	}
	*into = size
	return ""
}

func optionCPUs(r *plan.Container, value string) string {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n >= 0.001 && n <= 1024) {
		return "it is a number of processors, such as 1.5"
	}
	r.Options.MilliCPU = int64(n * 1000)
	return ""
}

func optionTmpfs(r *plan.Container, value string) string {
	folder, _, _ := strings.Cut(value, ":")
	if !path.IsAbs(folder) || path.Clean(folder) == "/" {
		return "it is an absolute path in the container"
	}
	r.Options.Tmpfs = append(r.Options.Tmpfs, path.Clean(folder))
	return ""
}

func optionHost(r *plan.Container, value string) string {
	at := strings.IndexAny(value, ":=")
	if at <= 0 {
		return "it is NAME:ADDRESS"
	}
	name, address := value[:at], strings.Trim(value[at+1:], "[]")
	if _, err := netip.ParseAddr(address); err != nil {
		return "it is NAME:ADDRESS, the address an IP address"
	}
	r.Options.Hosts = append(r.Options.Hosts, plan.Host{Name: strings.ToLower(name), Address: address})
	return ""
}

func optionEntrypoint(r *plan.Container, value string) string {
	r.Options.Entrypoint = value
	return ""
}

func optionWorkingDirectory(r *plan.Container, value string) string {
	if !path.IsAbs(value) {
		return "it is an absolute path in the container"
	}
	r.Options.WorkingDirectory = value
	return ""
}

// health is the container's check with docker's times, which options change.
func health(r *plan.Container) *plan.HealthCheck {
	if r.Options.Health == nil {
		r.Options.Health = &plan.HealthCheck{Interval: 30, Timeout: 30, Retries: 3}
	}
	return r.Options.Health
}

func optionHealthCommand(r *plan.Container, value string) string {
	health(r).Command = value
	return ""
}

func optionHealthInterval(r *plan.Container, value string) string {
	return seconds(&health(r).Interval, value)
}

func optionHealthTimeout(r *plan.Container, value string) string {
	return seconds(&health(r).Timeout, value)
}

func optionHealthStart(r *plan.Container, value string) string {
	return seconds(&health(r).Start, value)
}

func optionHealthRetries(r *plan.Container, value string) string {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 1000 {
		return "it is a number from 1 to 1000"
	}
	health(r).Retries = n
	return ""
}

// seconds reads a time as docker writes it, such as 10s or 1m30s.
func seconds(into *int, value string) string {
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Millisecond || d > time.Hour {
		return "it is a time of up to an hour, such as 10s"
	}
	*into = max(int(math.Ceil(d.Seconds())), 1)
	return ""
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
