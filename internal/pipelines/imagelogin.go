package pipelines

import (
	"context"
	"slices"

	"slipway"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// imageLogins gives a pod the credentials that its images need.
type imageLogins struct {
	*Service
	ctx  context.Context
	run  *Run
	job  slipway.JobID
	vars variable.Set
	pod  *Pod
}

// image is the container's image, by its whole name. A container with a service connection gets its credentials.
func (l imageLogins) image(c *plan.Container) (string, error) {
	named, ok := c.Connection()
	if !ok {
		return c.Image, nil
	}
	if err := l.run.refuseFork("service connections"); err != nil {
		return "", err
	}
	use := connectionUse{run: l.run, job: l.job, purpose: usedForImages, actor: slipway.System}
	connection, err := l.openConnection(l.ctx, named.Name, named, use)
	if code := slipway.CodeOf(err); code == slipway.CodeNotFound || code == slipway.CodeForbidden {
		return "", slipway.Invalid("the image %s: %v", c.Image, err)
	}
	if err != nil {
		return "", err
	}
	login := RegistryLogin{Host: connection.RegistryHost()}
	if login.User, login.Password = connection.Credentials(); login.Password != "" && !slices.Contains(l.pod.Registries, login) {
		l.pod.Registries = append(l.pod.Registries, login)
	}
	return connection.ConnectionImage(c.Image), nil
}
