package loop

import (
	"context"
	"fmt"
	"strings"

	"slipway/internal/clusters"
	"slipway/internal/registry/retention"
)

// ImagesInUse tells the registry what its retention rules must leave: what runs in a known cluster, what environments serve or deploy, and what
// they would go back to. A cluster that does not answer is an error, and nothing is removed then.
func (l *Loop) ImagesInUse(ctx context.Context) ([]retention.Use, error) {
	needed, err := l.Environments.NeededImages(ctx)
	if err != nil {
		return nil, err
	}
	var uses []retention.Use
	for _, n := range needed {
		where := fmt.Sprintf("is deployed to %s by deployment %d", n.Environment, n.Deployment)
		if n.Previous {
			where = fmt.Sprintf("is what %s would go back to, deployment %d", n.Environment, n.Deployment)
		}
		uses = append(uses, retention.Use{Digest: n.Digest, Repository: n.Repository, Where: where})
	}
	for _, name := range l.Clusters.Names() {
		running, err := l.Clusters.RunningImages(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, r := range running {
			uses = append(uses, l.use(r))
		}
	}
	return uses, nil
}

// use is what a running image means to the registry. Its tag counts when the image can come from here.
func (l *Loop) use(r clusters.RunningImage) retention.Use {
	u := retention.Use{Digest: r.Digest, Where: fmt.Sprintf("runs in pod %s/%s of cluster %s", r.Namespace, r.Pod, r.Cluster)}
	switch r.Host {
	case l.RegistryHost, "", "docker.io":
		u.Repository, u.Tag = r.Path, r.Tag
		if r.Host != l.RegistryHost && !strings.Contains(r.Path, "/") {
			u.Repository = "library/" + r.Path
		}
		if u.Tag == "" && u.Digest == "" {
			u.Tag = "latest"
		}
	}
	return u
}
