package loop

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/events"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

// wantInventory asks what is in an image that was pushed to a project.
func (l *Loop) wantInventory(ctx context.Context, e events.Event) error {
	var push registry.Pushed
	if err := e.Decode(&push); err != nil || e.Project == "" || push.Subject != "" {
		return err
	}
	repo, err := l.Registry.Repository(ctx, push.Repository)
	if err != nil {
		return unlessGone(err)
	}
	content, err := l.Registry.GetContent(ctx, repo, string(push.Digest))
	if err != nil || !content.IsImage() {
		return unlessGone(err)
	}
	return l.Scans.Want(ctx, e.Project, push.Repository, push.Digest)
}

// ScannedImages gives the registry's images to the scanner.
type ScannedImages struct{ Registry *registry.Service }

// Write implements scans.Images.
func (i ScannedImages) Write(ctx context.Context, repository string, d slipway.Digest, w io.Writer) error {
	repo, err := i.Registry.Repository(ctx, repository)
	if err != nil {
		return err
	}
	return i.Registry.WriteLayout(ctx, repo, d, w)
}

// KeepSBOM implements scans.Images: an image gets one document of each type from the system, however often it is asked for.
func (i ScannedImages) KeepSBOM(ctx context.Context, repository string, d slipway.Digest, sbom scans.Document, by slipway.Actor) error {
	repo, err := i.Registry.Repository(ctx, repository)
	if err != nil {
		return err
	}
	if by == slipway.System {
		if _, err := i.SBOM(ctx, repository, d, sbom.Type); slipway.CodeOf(err) != slipway.CodeNotFound {
			return err
		}
	}
	_, err = i.Registry.Attach(ctx, repo, d, registry.Attachment{Type: sbom.Type, Content: sbom.Content}, by)
	return err
}

// SBOM implements scans.Images: by who pushed the document, since anybody may give one.
func (i ScannedImages) SBOM(ctx context.Context, repository string, d slipway.Digest, kind string) ([]byte, error) {
	repo, err := i.Registry.Repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	referrers, err := i.Registry.Referrers(ctx, repo, d, kind)
	if err != nil {
		return nil, err
	}
	for _, r := range referrers {
		m, err := i.Registry.GetManifest(ctx, repo, r.Digest)
		if err != nil {
			return nil, err
		}
		if m.By.Kind != slipway.ActorSystem || len(m.Layers()) != 1 {
			continue
		}
		o, err := i.Registry.OpenBlob(ctx, repo, slipway.Digest(m.Layers()[0].Digest))
		if err != nil {
			return nil, err
		}
		defer o.Close()
		return io.ReadAll(io.LimitReader(o, maxSBOM))
	}
	return nil, slipway.NotFound("%s@%s has no document of type %s by the scanner: it was read before there were such, or it was deleted", repository, d, kind)
}

// maxSBOM bounds a document of the scanner's, in bytes.
const maxSBOM = 256 << 20

// inventoryWait is how long a deployment waits for the inventories of its images.
const inventoryWait = 10 * time.Minute

// admit asks the project's policy whether images of the registry may be deployed to an environment that it guards. Those of other
// registries are not known here.
func (l *Loop) admit(ctx context.Context, t clusters.Target, images []clusters.Image, progress func(string)) error {
	policy, err := l.Scans.Policy(ctx, t.Project)
	if err != nil || !policy.Guards(t.EnvironmentName) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, inventoryWait)
	defer cancel()
	for _, image := range images {
		if image.Digest == "" || !strings.HasPrefix(image.Reference, l.RegistryHost+"/") {
			continue
		}
		repo, err := l.Registry.Repository(ctx, image.Repository)
		if err != nil {
			return err
		}
		parts, err := l.imagesOf(ctx, repo, image.Digest)
		if err != nil {
			return err
		}
		for _, d := range parts {
			if err := l.admitImage(ctx, t.Project, repo, d, progress); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Loop) admitImage(ctx context.Context, project slipway.ProjectID, repo registry.Repository, d slipway.Digest, progress func(string)) error {
	if err := l.Scans.Want(ctx, project, repo.Name, d); err != nil {
		return err
	}
	name := repo.Name + "@" + d.Short()
	v, err := l.Scans.Await(ctx, project, repo.Name, d, func() {
		progress("waiting for the packages of " + name + " to be listed, as the project's policy asks")
	})
	if err != nil {
		return fmt.Errorf("the project's policy wants to know the vulnerabilities of %s: %w", name, err)
	}
	for _, f := range v.Accepted {
		progress(fmt.Sprintf("%s in %s of %s is accepted up to %s: %s", f.ID, f.Package, name, f.Accepted.LastDay(), f.Accepted.Reason))
	}
	return v.Problem(name)
}

// imagesOf are the images of an index, or the image itself.
func (l *Loop) imagesOf(ctx context.Context, repo registry.Repository, d slipway.Digest) ([]slipway.Digest, error) {
	content, err := l.Registry.GetContent(ctx, repo, string(d))
	if err != nil || content.IsImage() {
		return []slipway.Digest{d}, err
	}
	m, err := l.Registry.GetManifest(ctx, repo, string(d))
	if err != nil {
		return nil, err
	}
	var list []slipway.Digest
	for _, part := range m.Layers() {
		one, err := l.Registry.GetContent(ctx, repo, part.Digest)
		if slipway.CodeOf(err) == slipway.CodeNotFound { // not all of a copied index need be here
			continue
		}
		if err != nil {
			return nil, err
		}
		if one.IsImage() && one.Product() {
			list = append(list, slipway.Digest(part.Digest))
		}
	}
	return list, nil
}
