package registry

import (
	"context"
	"strings"

	"slipway"
)

// Image finds an image of a project by REPOSITORY:TAG or REPOSITORY@DIGEST; a host before it is left out. Of an index it is the image of
// the platform, linux/amd64 for an empty one, or the only one that the index has.
func (s *Service) Image(ctx context.Context, project slipway.ProjectID, text, platform string) (Repository, slipway.Digest, error) {
	repo, reference, err := s.named(ctx, project, text)
	if err != nil {
		return repo, "", err
	}
	c, err := s.GetContent(ctx, repo, reference)
	if err != nil {
		return repo, "", err
	}
	if !isIndex(c.MediaType) {
		return repo, c.Digest, nil
	}
	m, err := parseManifest(c.MediaType, c.Bytes)
	if err != nil {
		return repo, "", err
	}
	d, err := ofPlatform(m.Manifests, platform)
	return repo, d, err
}

// named finds the repository of a project that an image's name means, and the tag or digest.
func (s *Service) named(ctx context.Context, project slipway.ProjectID, text string) (repo Repository, reference string, err error) {
	name, reference, ok := strings.Cut(text, "@")
	if i := strings.LastIndex(name, ":"); !ok && i > strings.LastIndex(name, "/") {
		name, reference, ok = name[:i], name[i+1:], true
	}
	if !ok {
		reference = "latest"
	}
	if host, rest, hasHost := strings.Cut(name, "/"); hasHost && (strings.ContainsAny(host, ".:") || host == "localhost") {
		name = rest
	}
	repo, err = s.Repository(ctx, name)
	if err == nil && repo.Project != project {
		err = slipway.NotFound("there is no image repository %q in this project", name)
	}
	return repo, reference, err
}

// ImageLayers finds an image or index of a project, named as for Image, and the layers of the image or of the images of all platforms, each once.
func (s *Service) ImageLayers(ctx context.Context, project slipway.ProjectID, text string) (Manifest, []Descriptor, error) {
	repo, reference, err := s.named(ctx, project, text)
	if err != nil {
		return Manifest{}, nil, err
	}
	m, err := s.GetManifest(ctx, repo, reference)
	if err != nil {
		return m, nil, err
	}
	images := []Manifest{m}
	if isIndex(m.MediaType) {
		images = nil
		for _, d := range m.Layers() {
			if strings.HasPrefix(d.Platform.String(), "unknown") {
				continue // BuildKit's attestations
			}
			image, err := s.GetManifest(ctx, repo, d.Digest)
			if err != nil {
				return m, nil, err
			}
			images = append(images, image)
		}
	}
	seen := map[string]bool{}
	var layers []Descriptor
	for _, image := range images {
		for _, d := range image.Layers() {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				layers = append(layers, d)
			}
		}
	}
	return m, layers, nil
}

func ofPlatform(list []Descriptor, platform string) (slipway.Digest, error) {
	wanted := platform
	if wanted == "" {
		wanted = "linux/amd64"
	}
	var images []Descriptor
	var names []string
	for _, d := range list {
		p := d.Platform.String()
		if p == wanted {
			return slipway.Digest(d.Digest), nil
		}
		if !strings.HasPrefix(p, "unknown") { // BuildKit's attestations
			images, names = append(images, d), append(names, p)
		}
	}
	if platform == "" && len(images) == 1 {
		return slipway.Digest(images[0].Digest), nil
	}
	return "", slipway.NotFound("the index has no image for %s: it has %s", wanted, strings.Join(names, ", "))
}
