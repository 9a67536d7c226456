package engine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// HasHost reports whether steps of the job, which runs in a container, run on this machine itself. Then the job's folder has one path for
// both, and whoever runs the job serves plan.TargetHost there.
func (b *Box) HasHost() bool {
	return slices.ContainsFunc(b.Targets, onHost)
}

func onHost(t plan.Container) bool { return t.Alias == plan.TargetHost }

// StartTargets starts the containers in which steps of the job run, each with an agent of its own, which starts programs for that of the
// job. The agent's folder is the job's, at the same path for all of them; its mounts have it.
func (b *Box) StartTargets(ctx context.Context, a Agent) error {
	for i := range b.Targets {
		if onHost(b.Targets[i]) {
			continue
		}
		if err := b.startTarget(ctx, &b.Targets[i], fmt.Sprintf("%s-target-%d", b.Name, i+1), a); err != nil {
			return err
		}
	}
	return nil
}

func (b *Box) startTarget(ctx context.Context, t *plan.Container, name string, a Agent) error {
	if err := b.Engine.Pull(ctx, t.Image, b.Say); err != nil {
		return err
	}
	b.started = append(b.started, name)
	cmd := b.Engine.Command(ctx)
	args := []string{"run", "--detach", "--name", name, "--label", label + "=" + b.Engine.process, "--workdir", a.Folder, "--security-opt", "label=disable",
		"--volume", a.Program + ":" + Programs + "/slipway-agent:ro"}
	if t.User == nil {
		user, err := b.targetUser(ctx)
		if err != nil {
			return err
		}
		args = append(args, "--user", user)
	}
	if b.network {
		args = append(args, "--network", b.Name)
	}
	args = append(append(args, flags(t, b.volumes)...), a.Mounts...)
	env := maps.Clone(t.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, a.Env)
	args = append(append(args, environment(cmd, env)...), "--entrypoint", Programs+"/slipway-agent", t.Image, "target", a.Folder, t.Alias)
	cmd.Args = append(cmd.Args, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return slipway.Unavailable("container %s (%s), in which steps run, does not start: %s", t.Alias, t.Image, lastLines(string(out)))
	}
	return nil
}

// targetUser is who works in the job's folder beside its own agent: the same user.
func (b *Box) targetUser(ctx context.Context) (string, error) {
	if b.Container == nil {
		return b.Engine.OwnUser(), nil
	}
	if b.Container.User == nil && b.User != "" {
		return b.User, nil
	}
	user, err := b.jobUser(ctx)
	if _, number := strconv.Atoi(user); err != nil || number != nil {
		user = "0"
	}
	return user, err
}

// OwnUser is the user in containers who is this process' outside of them.
func (e *Engine) OwnUser() string {
	if strings.Contains(filepath.Base(e.Program), "docker") {
		return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	}
	return "0" // podman's root is the user who calls it
}

// jobUser is the user of the job's container, "" for the usual one.
func (b *Box) jobUser(ctx context.Context) (string, error) {
	if u := b.Container.User; u != nil {
		return fmt.Sprint(*u), nil
	}
	return b.Engine.Do(ctx, "image", "inspect", "--format", "{{.Config.User}}", b.Container.Image)
}
