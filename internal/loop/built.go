package loop

import (
	"context"
	"strings"

	"slipway"
	"slipway/internal/images/builds"
)

// BuiltImage is what the registry has of a build that is over: the image of its digest, or what its run pushed under the tag.
func (l *Loop) BuiltImage(ctx context.Context, b builds.Build, tag string) (builds.Image, error) {
	place := tag
	if b.Digest != "" {
		name, _, _ := strings.Cut(tag, "@")
		if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
			name = name[:i]
		}
		place = name + "@" + string(b.Digest)
	}
	m, layers, err := l.Registry.ImageLayers(ctx, b.Project, place)
	if err != nil {
		return builds.Image{}, err
	}
	if b.Digest == "" && m.Run != b.Run {
		return builds.Image{}, slipway.NotFound("%s is not of this build", tag)
	}
	image := builds.Image{Digest: m.Digest, Layers: len(layers)}
	for _, d := range layers {
		image.Bytes += d.Size
	}
	return image, nil
}
