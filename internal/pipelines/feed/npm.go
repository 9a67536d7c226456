package feed

import (
	"context"
	"net/url"
	"strings"

	"slipway"
	"slipway/internal/pipelines/nearest"
)

// packument is what npm's registry says of a package, as far as it is read.
type packument struct {
	Tags     map[string]string `json:"dist-tags"`
	Versions map[string]struct {
		Dist struct {
			Tarball   string `json:"tarball"`
			Integrity string `json:"integrity"`
			Shasum    string `json:"shasum"` // hexadecimal SHA-1, of packages of before 2017
		} `json:"dist"`
	} `json:"versions"`
}

// abbreviated asks for what installing needs and no more.
const abbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"

func (c Client) findNPM(ctx context.Context, s Source, number, tag string) (Version, error) {
	var p packument
	address := s.Address + "/" + strings.Replace(url.PathEscape(s.Name), "%40", "@", 1)
	if err := c.json(ctx, s, address, abbreviated, &p); err != nil {
		return Version{}, err
	}
	if number == "" {
		if tag == "" {
			tag = "latest"
		}
		if number = p.Tags[tag]; number == "" {
			return Version{}, slipway.NotFound("package %s has no tag %q%s", s.Name, tag, nearest.Suggest(tag, keys(p.Tags)))
		}
	}
	v, ok := p.Versions[number]
	if !ok {
		return Version{}, slipway.NotFound("package %s has no version %q%s", s.Name, number, nearest.Suggest(number, keys(p.Versions)))
	}
	if v.Dist.Integrity == "" && v.Dist.Shasum != "" {
		v.Dist.Integrity = fromShasum(v.Dist.Shasum)
	}
	return Version{Number: number, Integrity: v.Dist.Integrity, file: v.Dist.Tarball}, nil
}

func keys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}
