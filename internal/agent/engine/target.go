package engine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// StartTargets starts the containers in which steps of the job run, each with an agent of its own, which starts programs for that of the
// job. folder is the job's, at the same path for all of them; the agent's mounts have it.
func (b *Box) StartTargets(ctx context.Context, a Agent, folder string) error {
	for i := range b.Targets {
		if err := b.startTarget(ctx, &b.Targets[i], fmt.Sprintf("%s-target-%d", b.Name, i+1), a, folder); err != nil {
			return err
		}
	}
	return nil
}

func (b *Box) startTarget(ctx context.Context, t *plan.Container, name string, a Agent, folder string) error {
	if t.Image == "" {
		return slipway.Unsupported("target: %s of a step: the job runs in a container of its own here, beside which this machine is not: put the step into a job without container", t.Alias)
	}
	if err := b.Engine.Pull(ctx, t.Image, b.Say); err != nil {
		return err
	}
	b.started = append(b.started, name)
	cmd := b.Engine.Command(ctx)
	args := []string{"run", "--detach", "--name", name, "--label", label + "=" + b.Engine.process, "--workdir", folder, "--security-opt", "label=disable",
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
	args = append(append(args, environment(cmd, env)...), "--entrypoint", Programs+"/slipway-agent", t.Image, "target", folder, t.Alias)
	cmd.Args = append(cmd.Args, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return slipway.Unavailable("container %s (%s), in which steps run, does not start: %s", t.Alias, t.Image, lastLines(string(out)))
	}
	return nil
}

// targetUser is who works in the job's folder beside its own agent: the same user.
func (b *Box) targetUser(ctx context.Context) (string, error) {
	if b.Container == nil {
		if strings.Contains(filepath.Base(b.Engine.Program), "docker") {
			return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), nil
		}
		return "0", nil // podman's root is the user who calls it
	}
	user, err := b.jobUser(ctx)
	if _, number := strconv.Atoi(user); err != nil || number != nil {
		user = "0"
	}
	return user, err
}

// jobUser is the user of the job's container, "" for the usual one.
func (b *Box) jobUser(ctx context.Context) (string, error) {
	if u := b.Container.User; u != nil {
		return fmt.Sprint(*u), nil
	}
	return b.Engine.Do(ctx, "image", "inspect", "--format", "{{.Config.User}}", b.Container.Image)
}
