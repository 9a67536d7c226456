package clusters

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway"
)

// Image is one that an apply put into pod templates.
type Image struct {
	Repository string         // without host and tag: shop/web
	Reference  string         // as the pods pull it: HOST/REPOSITORY@DIGEST
	Digest     slipway.Digest // empty when the registry is not Slipway's
}

// imageName is a reference taken apart: HOST/PATH:TAG@DIGEST.
type imageName struct {
	host, path, tag string
	digest          slipway.Digest
}

// parseImage reads a reference as container runtimes do: the first part is a host when it has a dot or a colon or is
// localhost. No normalisation to Docker Hub: an image without a host has none.
func parseImage(s string) (imageName, error) {
	var n imageName
	rest := strings.TrimSpace(s)
	if before, digest, ok := strings.Cut(rest, "@"); ok {
		d, err := slipway.ParseDigest(digest)
		if err != nil {
			return n, fmt.Errorf("image %q: %w", s, err)
		}
		n.digest, rest = d, before
	}
	if i := strings.LastIndex(rest, ":"); i > strings.LastIndex(rest, "/") {
		n.tag, rest = rest[i+1:], rest[:i]
	}
	if first, path, ok := strings.Cut(rest, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		n.host, rest = first, path
	}
	n.path = rest
	if n.path == "" || strings.ContainsAny(strings.TrimSpace(s), " \t\n${}") {
		return n, slipway.Invalid("image %q is not a name that can be pulled", s)
	}
	return n, nil
}

func (n imageName) name() string {
	if n.host == "" {
		return n.path
	}
	return n.host + "/" + n.path
}

func (n imageName) reference() string {
	switch {
	case n.digest != "":
		return n.name() + "@" + string(n.digest)
	case n.tag != "":
		return n.name() + ":" + n.tag
	}
	return n.name()
}

// replaces reports whether this image takes the place of one in a manifest: the same repository, whatever the tag. A
// manifest may leave the host out, so that it does not depend on where it is deployed from.
func (n imageName) replaces(in imageName) bool {
	return n.path == in.path && (in.host == "" || in.host == n.host)
}

// imageSet answers what to put for an image in a manifest.
type imageSet struct {
	given   []imageName // resolved
	resolve Resolver
	known   map[string]imageName // what was asked for before, by the manifest's text
	used    map[string]Image
}

func newImageSet(ctx context.Context, given []string, resolve Resolver) (*imageSet, error) {
	s := &imageSet{resolve: resolve, known: map[string]imageName{}, used: map[string]Image{}}
	for _, text := range given {
		if strings.TrimSpace(text) == "" {
			continue
		}
		n, err := parseImage(text)
		if err != nil {
			return nil, err
		}
		if n, err = s.pin(ctx, n); err != nil {
			return nil, err
		}
		s.given = append(s.given, n)
	}
	return s, nil
}

// pin gives an image that Slipway's own registry has that registry's host and its digest.
func (s *imageSet) pin(ctx context.Context, n imageName) (imageName, error) {
	if n.digest != "" || s.resolve == nil {
		return n, nil
	}
	pinned, err := s.resolve(ctx, n.reference())
	if err != nil {
		return n, fmt.Errorf("find image %s: %w", n.reference(), err)
	}
	if pinned == "" {
		return n, nil
	}
	return parseImage(pinned)
}

// choose returns the reference for an image that a manifest names.
func (s *imageSet) choose(ctx context.Context, text string) (string, error) {
	n, ok := s.known[text]
	if !ok {
		var err error
		if n, err = parseImage(text); err != nil {
			return "", err
		}
		if n, err = s.replacement(ctx, n); err != nil {
			return "", err
		}
		s.known[text] = n
	}
	s.used[n.reference()] = Image{Repository: n.path, Reference: n.reference(), Digest: n.digest}
	return n.reference(), nil
}

func (s *imageSet) replacement(ctx context.Context, n imageName) (imageName, error) {
	for _, g := range s.given {
		if g.replaces(n) {
			return g, nil
		}
	}
	return s.pin(ctx, n)
}

// replaceImages puts the chosen references into every pod template of the objects.
func replaceImages(ctx context.Context, objects []object, images *imageSet) error {
	for _, o := range objects {
		spec := podSpec(o.Unstructured)
		if spec == nil {
			continue
		}
		for _, c := range containers(spec) {
			text, _ := c["image"].(string)
			if text == "" {
				continue // the API server says so better
			}
			reference, err := images.choose(ctx, text)
			if err != nil {
				return fmt.Errorf("%s: %w", o.describe(), err)
			}
			c["image"] = reference
		}
	}
	return nil
}

// templatePath is where an object of a kind keeps its pod template; nil for kinds without one.
func templatePath(kind, group string) []string {
	switch {
	case kind == "Pod" && group == "":
		return []string{}
	case kind == "CronJob" && group == "batch":
		return []string{"spec", "jobTemplate", "spec", "template"}
	case group == "apps" || kind == "Job" && group == "batch" || kind == "ReplicationController" && group == "":
		return []string{"spec", "template"}
	}
	return nil
}

// podTemplate is the pod template of an object, the object itself when it is a pod, nil when it has none.
func podTemplate(u *unstructured.Unstructured) map[string]any {
	path := templatePath(u.GetKind(), u.GroupVersionKind().Group)
	if path == nil {
		return nil
	}
	at := u.Object
	for _, field := range path {
		next, ok := at[field].(map[string]any)
		if !ok {
			return nil
		}
		at = next
	}
	return at
}

func podSpec(u *unstructured.Unstructured) map[string]any {
	template := podTemplate(u)
	if template == nil {
		return nil
	}
	spec, _ := template["spec"].(map[string]any)
	return spec
}

// containers are all containers of a pod, init containers first.
func containers(spec map[string]any) []map[string]any {
	var all []map[string]any
	for _, field := range []string{"initContainers", "containers"} {
		list, _ := spec[field].([]any)
		for _, item := range list {
			if c, ok := item.(map[string]any); ok {
				all = append(all, c)
			}
		}
	}
	return all
}

// list is what was chosen, by reference.
func (s *imageSet) list() []Image {
	list := make([]Image, 0, len(s.used))
	for _, image := range s.used {
		list = append(list, image)
	}
	slices.SortFunc(list, func(a, b Image) int { return strings.Compare(a.Reference, b.Reference) })
	return list
}
