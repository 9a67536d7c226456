package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway"
	"slipway/internal/images"

	"github.com/spf13/pflag"
)

// runFlags are those of `docker run` and `docker create`.
type runFlags struct {
	name, platform, entrypoint, dir, user, hostname, network string
	env, envFiles, volumes, mounts, hosts                    []string
	interactive, tty                                         bool
}

// refusedRun are flags of `docker run` that a container at the builder cannot have, with what to write instead.
var refusedRun = []struct{ name, short, instead string }{
	{"detach", "d", "a container ends with its command here; write what is to run beside the steps under the job's `services:`"},
	{"publish", "p", "nothing reaches a container at the builder; write what is to be reached under the job's `services:`"},
	{"publish-all", "P", "nothing reaches a container at the builder; write what is to be reached under the job's `services:`"},
	{"privileged", "", "the builder gives no container more than Docker's default rights"},
	{"cap-add", "", "the builder gives no container more than Docker's default rights"},
	{"cap-drop", "", "a container has Docker's default rights; leave it out"},
	{"security-opt", "", "a container has Docker's default rights; leave it out"},
	{"device", "", "no device is passed to a container"},
	{"gpus", "", "no device is passed to a container; run the step in a job whose pool has them"},
	{"memory", "m", "a container may use what the builder may; leave it out"},
	{"cpus", "", "a container may use what the builder may; leave it out"},
	{"link", "", "a container at the builder does not see others; write the services under the job's `services:` and run the step in the job"},
	{"volumes-from", "", "a container leaves nothing behind; mount a folder of the job with -v"},
	{"tmpfs", "", "a container's own folders end with it; leave it out"},
	{"restart", "", "a container ends with its command; leave it out"},
	{"read-only", "", "a container's own files end with it; leave it out"},
	{"ulimit", "", "a container has the builder's limits; leave it out"},
	{"shm-size", "", "a container has the builder's /dev/shm; leave it out"},
	{"pid", "", "a container has processes of its own; leave it out"},
	{"ipc", "", "a container has an IPC namespace of its own; leave it out"},
	{"cidfile", "", "a container leaves nothing behind; leave it out"},
	{"health-cmd", "", "a container ends with its command; leave it out"},
}

func addRunFlags(flags *pflag.FlagSet) *runFlags {
	flags.SetInterspersed(false) // what follows the image is its command's
	var o runFlags
	flags.StringVar(&o.name, "name", "", "the container's name")
	flags.StringVar(&o.platform, "platform", "", "as linux/amd64")
	flags.StringVar(&o.entrypoint, "entrypoint", "", "in place of the image's")
	flags.StringVarP(&o.dir, "workdir", "w", "", "the folder to work in")
	flags.StringVarP(&o.user, "user", "u", "", "NAME or UID[:GID]")
	flags.StringVarP(&o.hostname, "hostname", "h", "", "the container's host name")
	flags.StringVar(&o.network, "network", "", "default, bridge or none")
	flags.StringVar(&o.network, "net", "", "as --network")
	flags.StringArrayVarP(&o.env, "env", "e", nil, "NAME=VALUE, or NAME for the job's value")
	flags.StringArrayVar(&o.envFiles, "env-file", nil, "a file of NAME=VALUE lines")
	flags.StringArrayVarP(&o.volumes, "volume", "v", nil, "PATH:TARGET[:ro], a folder or file of the job")
	flags.StringArrayVar(&o.mounts, "mount", nil, "type=bind,source=PATH,target=TARGET[,readonly]")
	flags.StringArrayVar(&o.hosts, "add-host", nil, "NAME:ADDRESS")
	flags.BoolVarP(&o.interactive, "interactive", "i", false, "pass standard input on")
	flags.BoolVarP(&o.tty, "tty", "t", false, "with a terminal")
	flags.Bool("rm", false, "nothing to do: no container is left")
	flags.Bool("init", false, "nothing to do")
	flags.BoolP("quiet", "q", false, "nothing to do")
	flags.String("pull", "", "nothing to do: the builder looks a tag up each time")
	flags.StringArrayP("label", "l", nil, "nothing to do")
	for _, f := range refusedRun {
		flags.StringArrayP(f.name, f.short, nil, "not supported")
		switch f.name {
		case "detach", "publish-all", "privileged", "read-only":
			flags.Lookup(f.name).NoOptDefVal = "true"
		}
	}
	return &o
}

// refuse tells of the first flag that does not work here.
func (o *runFlags) refuse(flags *pflag.FlagSet, command string) error {
	for _, f := range refusedRun {
		// docker create runs nothing, so these mean nothing to what can be done with its container.
		if flags.Lookup(f.name).Changed && command == "run" {
			return slipway.Unsupported("docker run --%s is not supported by Slipway's docker: %s. What needs an engine finds one elsewhere: docker's own client, with DOCKER_HOST of a machine that has one", f.name, f.instead)
		}
	}
	switch o.network {
	case "", "default", "bridge", "none":
	default:
		return slipway.Unsupported("docker %s --network %s is not supported: a container at the builder reaches other machines with default, and nothing with none; the job's services are seen by its steps alone", command, o.network)
	}
	return nil
}

// exitError is the exit code of a command that `docker run` ran.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("the command ended with exit code %d", int(e)) }

// runContainer does `docker run`: the builder runs the command in a container of the image, with folders of the job, and is done when it ends.
func (p program) runContainer(ctx context.Context, args []string) error {
	flags := p.flags("run")
	o := addRunFlags(flags)
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if err := o.refuse(flags, "run"); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return usageError{errors.New("docker run needs the name of an image")}
	}
	process, err := p.process(o, flags)
	if err != nil {
		return err
	}
	r, err := p.runnable(ctx, flags.Arg(0), o.platform)
	if err != nil {
		return err
	}
	if len(r.Linked) > 0 {
		return slipway.Unsupported("%s begins with another target of its bake or compose file: push it and run it by its name in the registry", flags.Arg(0))
	}
	if r, err = p.buildable(r); err != nil {
		return err
	}
	build, err := p.options(r, solveOptions{})
	if err != nil {
		return err
	}
	dial, err := p.builder()
	if err != nil {
		return err
	}
	code, err := images.Run(ctx, dial, build, process, nil)
	if err != nil {
		return err
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// process is the command that the flags describe.
func (p program) process(o *runFlags, flags *pflag.FlagSet) (images.Process, error) {
	process := images.Process{Args: flags.Args()[1:], Dir: o.dir, User: o.user, Hostname: o.hostname, NoNetwork: o.network == "none", TTY: o.tty, Stdout: p.stdout, Stderr: p.stderr}
	if flags.Lookup("entrypoint").Changed {
		process.Entrypoint = []string{}
		if o.entrypoint != "" {
			process.Entrypoint = []string{o.entrypoint}
		}
	}
	if o.interactive {
		process.Stdin = p.stdin
	}
	for _, h := range o.hosts {
		name, address, _ := strings.Cut(h, ":")
		process.Hosts = append(process.Hosts, name+"="+strings.Trim(address, "[]"))
	}
	for _, file := range o.envFiles {
		lines, err := p.envFile(file)
		if err != nil {
			return process, err
		}
		process.Env = append(process.Env, lines...)
	}
	process.Env = append(process.Env, p.environment(o.env)...)
	for _, text := range o.volumes {
		v, err := p.volume(text)
		if err != nil {
			return process, err
		}
		process.Volumes = append(process.Volumes, v)
	}
	for _, text := range o.mounts {
		v, err := p.mount(text)
		if err != nil {
			return process, err
		}
		process.Volumes = append(process.Volumes, v)
	}
	return process, nil
}

// environment completes NAME by the job's value; a variable that is not set is left out, as docker does.
func (p program) environment(list []string) []string {
	var out []string
	for _, pair := range list {
		if !strings.Contains(pair, "=") {
			value := p.getenv(pair)
			if value == "" {
				continue
			}
			pair += "=" + value
		}
		out = append(out, pair)
	}
	return out
}

// maxEnvFile bounds a file of variables, in bytes.
const maxEnvFile = 1 << 20

func (p program) envFile(name string) ([]string, error) {
	path, err := p.abs(name)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, slipway.NotFound("--env-file %s: there is no such file", name)
	}
	if fi.Size() > maxEnvFile {
		return nil, slipway.Limit("--env-file %s is larger than %d bytes", name, maxEnvFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	var list []string
	for lines := bufio.NewScanner(strings.NewReader(string(b))); lines.Scan(); {
		if line := strings.TrimLeft(lines.Text(), " \t"); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return p.environment(list), nil
}

// volume reads -v PATH:TARGET[:OPTIONS].
func (p program) volume(text string) (images.Volume, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return images.Volume{}, slipway.Unsupported("-v %s: write PATH:TARGET with a folder or file of the job, since a container leaves nothing behind", text)
	}
	v := images.Volume{Source: parts[0], Target: parts[1]}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			switch option {
			case "ro":
				v.ReadOnly = true
			case "rw", "z", "Z", "cached", "delegated", "consistent":
			default:
				return v, slipway.Unsupported("-v %s: the option %s is not supported: write ro or rw", text, option)
			}
		}
	}
	return p.checkVolume(v, text)
}

// mount reads --mount.
func (p program) mount(text string) (images.Volume, error) {
	v, kind := images.Volume{}, "volume"
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "type":
			kind = value
		case "source", "src":
			v.Source = value
		case "target", "destination", "dst":
			v.Target = value
		case "readonly", "ro":
			v.ReadOnly = value != "false" && value != "0"
		case "consistency", "bind-propagation":
		default:
			return v, slipway.Unsupported("--mount %s: %s is not supported", text, key)
		}
	}
	if kind != "bind" {
		return v, slipway.Unsupported("--mount %s: type=%s is not supported: a container leaves nothing behind, so write type=bind with a folder of the job", text, kind)
	}
	return p.checkVolume(v, text)
}

func (p program) checkVolume(v images.Volume, text string) (images.Volume, error) {
	switch {
	case strings.HasSuffix(v.Source, "docker.sock"):
		return v, slipway.Unsupported("-v %s: there is no engine behind a socket: run docker in a step of the job, where it builds and pushes", text)
	case !strings.HasPrefix(v.Target, "/"):
		return v, slipway.Invalid("-v %s: the path in the container is not absolute", text)
	case !strings.HasPrefix(v.Source, "/") && !strings.HasPrefix(v.Source, "."):
		return v, slipway.Unsupported("-v %s: there are no named volumes: name a folder of the job, as ./%s", text, filepath.Base(v.Source))
	}
	var err error
	v.Source, err = p.abs(v.Source)
	return v, err
}
