package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"slipway"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// imagetools does `docker buildx imagetools create` and `inspect`.
func (p program) imagetools(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("docker buildx imagetools: write create or inspect")}
	}
	switch args[0] {
	case "inspect":
		return p.imagetoolsInspect(ctx, args[1:])
	case "create":
		return p.imagetoolsCreate(ctx, args[1:])
	}
	return slipway.Unsupported("docker buildx imagetools %s is not known: write create or inspect", args[0])
}

func (p program) imagetoolsInspect(ctx context.Context, args []string) error {
	flags := p.flags("buildx imagetools inspect")
	raw := flags.Bool("raw", false, "print the manifest as it is")
	format := flags.String("format", "", "a Go template over .Name and .Manifest")
	flags.String("builder", "", "changes nothing")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 1 {
		return usageError{errors.New("docker buildx imagetools inspect needs exactly one argument, the image's name")}
	}
	i, err := p.remoteImage(flags.Arg(0))
	if err != nil {
		return err
	}
	d, b, err := i.manifest(ctx)
	if err != nil {
		return err
	}
	if *raw {
		_, err = p.stdout.Write(b)
		return err
	}
	var index ocispec.Index
	if isIndex(d.MediaType) {
		if err := json.Unmarshal(b, &index); err != nil {
			return fmt.Errorf("read %s: %w", i, err)
		}
	}
	if *format != "" {
		// The names that a template writes are those of JSON, with a capital.
		m := map[string]any{"MediaType": d.MediaType, "Digest": d.Digest.String(), "Size": d.Size, "mediaType": d.MediaType, "digest": d.Digest.String(), "size": d.Size}
		if len(index.Manifests) > 0 {
			m["Manifests"], m["manifests"] = index.Manifests, index.Manifests
		}
		return p.template(*format, map[string]any{"Name": i.String(), "Manifest": m})
	}
	fmt.Fprintf(p.stdout, "Name:      %s\nMediaType: %s\nDigest:    %s\n", i, d.MediaType, d.Digest)
	for _, m := range index.Manifests {
		fmt.Fprintf(p.stdout, "\n  Name:      %s@%s\n  MediaType: %s\n", i, m.Digest, m.MediaType)
		if m.Platform != nil {
			fmt.Fprintf(p.stdout, "  Platform:  %s\n", platformName(*m.Platform))
		}
	}
	return nil
}

func platformName(p ocispec.Platform) string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

func (p program) imagetoolsCreate(ctx context.Context, args []string) error {
	flags := p.flags("buildx imagetools create")
	tags := flags.StringArrayP("tag", "t", nil, "name of the new image")
	annotations := flags.StringArray("annotation", nil, "KEY=VALUE of the index")
	dry := flags.Bool("dry-run", false, "print the index alone")
	flags.String("builder", "", "changes nothing")
	flags.String("progress", "", "changes nothing")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() == 0 {
		return usageError{errors.New("docker buildx imagetools create needs the names of images")}
	}
	if len(*tags) == 0 && !*dry {
		return usageError{errors.New("docker buildx imagetools create needs --tag")}
	}
	var sources []image
	for _, s := range flags.Args() {
		i, err := p.remoteImage(s)
		if err != nil {
			return err
		}
		sources = append(sources, i)
	}
	if len(sources) == 1 && len(*annotations) == 0 && !*dry {
		return p.copyTo(ctx, sources[0], *tags) // the same image under other names, as it is
	}
	index, err := joined(ctx, sources)
	if err != nil {
		return err
	}
	for key, value := range pairs(*annotations) {
		if index.Annotations == nil {
			index.Annotations = map[string]string{}
		}
		index.Annotations[strings.TrimPrefix(key, "index:")] = value
	}
	if *dry {
		return p.printJSON(index)
	}
	for _, tag := range *tags {
		if _, err := p.pushIndex(ctx, index, sources, tag); err != nil {
			return err
		}
	}
	return nil
}

func (p program) copyTo(ctx context.Context, source image, tags []string) error {
	for _, tag := range tags {
		target, err := p.remoteImage(tag)
		if err != nil {
			return err
		}
		d, err := copyImage(ctx, source, target)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "pushed %s@%s\n", target, d.Digest)
	}
	return nil
}

// joined is an index of the images' manifests; of an image that is an index, of all that it names.
func joined(ctx context.Context, sources []image) (ocispec.Index, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, source := range sources {
		d, b, err := source.manifest(ctx)
		if err != nil {
			return index, err
		}
		if isIndex(d.MediaType) {
			var inner ocispec.Index
			if err := json.Unmarshal(b, &inner); err != nil {
				return index, fmt.Errorf("read %s: %w", source, err)
			}
			index.Manifests = append(index.Manifests, inner.Manifests...)
			continue
		}
		_, config, err := source.config(ctx, "")
		if err != nil {
			return index, err
		}
		text := func(key string) string { s, _ := config[key].(string); return s }
		index.Manifests = append(index.Manifests, ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
			Platform: &ocispec.Platform{OS: text("os"), Architecture: text("architecture"), Variant: text("variant")}})
	}
	return index, nil
}

// pushIndex pushes an index under a name, after what it names has been brought into that repository.
func (p program) pushIndex(ctx context.Context, index ocispec.Index, sources []image, tag string) (ocispec.Descriptor, error) {
	target, err := p.remoteImage(tag)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, source := range sources {
		to := target
		d, err := source.Resolve(ctx, source.reference)
		if err != nil {
			return d, registryError("read "+source.String(), err)
		}
		source.reference, to.reference = d.Digest.String(), d.Digest.String()
		if source.Reference == to.Reference && source.name == to.name {
			continue
		}
		if _, err := copyImage(ctx, source, to); err != nil {
			return d, err
		}
	}
	b, err := json.Marshal(index)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("write the index: %w", err)
	}
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := target.PushReference(ctx, d, bytes.NewReader(b), target.reference); err != nil {
		return d, registryError("push "+target.String(), err)
	}
	fmt.Fprintf(p.stderr, "pushed %s@%s\n", target, d.Digest)
	return d, nil
}

// manifestLists is what `docker manifest create` keeps until the push: for each list the images and what was annotated.
type manifestLists map[string][]listedImage

type listedImage struct {
	Name                      string `json:"name"`
	OS, Architecture, Variant string
}

// manifest does `docker manifest inspect`, `create`, `annotate`, `push` and `rm`.
func (p program) manifest(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("docker manifest: write inspect, create, annotate, push or rm")}
	}
	flags := p.flags("manifest " + args[0])
	flags.Bool("insecure", false, "changes nothing")
	amend := flags.BoolP("amend", "a", false, "add to a list that is there")
	purge := flags.BoolP("purge", "p", false, "forget the list afterwards")
	var l listedImage
	flags.StringVar(&l.OS, "os", "", "the image's operating system")
	flags.StringVar(&l.Architecture, "arch", "", "the image's processor")
	flags.StringVar(&l.Variant, "variant", "", "the processor's variant")
	flags.BoolP("verbose", "v", false, "changes nothing")
	if err := flags.Parse(args[1:]); err != nil {
		return flagError(err)
	}
	rest := flags.Args()
	needed := map[string]int{"inspect": 1, "create": 2, "annotate": 2, "push": 1, "rm": 1}
	n, ok := needed[args[0]]
	if !ok {
		return slipway.Unsupported("docker manifest %s is not known: write inspect, create, annotate, push or rm", args[0])
	}
	if len(rest) < n {
		return usageError{fmt.Errorf("docker manifest %s needs %d arguments", args[0], n)}
	}
	switch args[0] {
	case "inspect":
		return p.manifestInspect(ctx, rest[0])
	case "create":
		return p.manifestCreate(rest[0], rest[1:], *amend)
	case "annotate":
		l.Name = rest[1]
		return p.manifestAnnotate(rest[0], l)
	case "push":
		return p.manifestPush(ctx, rest[0], *purge)
	}
	return p.changeLists(func(all manifestLists) error { delete(all, rest[0]); return nil })
}

func (p program) manifestInspect(ctx context.Context, name string) error {
	i, err := p.remoteImage(name)
	if err != nil {
		return err
	}
	_, b, err := i.manifest(ctx)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "   "); err != nil {
		return fmt.Errorf("read %s: %w", i, err)
	}
	_, err = fmt.Fprintln(p.stdout, out.String())
	return err
}

func (p program) manifestCreate(list string, names []string, amend bool) error {
	err := p.changeLists(func(all manifestLists) error {
		if len(all[list]) > 0 && !amend {
			return slipway.Conflict("the manifest list %s is there already: give --amend", list)
		}
		for _, n := range names {
			if !slices.ContainsFunc(all[list], func(l listedImage) bool { return l.Name == n }) {
				all[list] = append(all[list], listedImage{Name: n})
			}
		}
		return nil
	})
	if err == nil {
		_, err = fmt.Fprintf(p.stdout, "Created manifest list %s\n", list)
	}
	return err
}

func (p program) manifestAnnotate(list string, l listedImage) error {
	return p.changeLists(func(all manifestLists) error {
		for i, have := range all[list] {
			if have.Name == l.Name {
				all[list][i] = l
				return nil
			}
		}
		return slipway.NotFound("the manifest list %s has no %s: run `docker manifest create %s %s` first", list, l.Name, list, l.Name)
	})
}

func (p program) manifestPush(ctx context.Context, list string, purge bool) error {
	var images []listedImage
	if err := p.changeLists(func(all manifestLists) error { images = all[list]; return nil }); err != nil {
		return err
	}
	if len(images) == 0 {
		return slipway.NotFound("there is no manifest list %s: run `docker manifest create` first", list)
	}
	var sources []image
	for _, l := range images {
		i, err := p.remoteImage(l.Name)
		if err != nil {
			return err
		}
		sources = append(sources, i)
	}
	index, err := joined(ctx, sources)
	if err != nil {
		return err
	}
	for i, l := range images {
		if len(index.Manifests) != len(images) || l.OS+l.Architecture+l.Variant == "" {
			continue
		}
		pl := index.Manifests[i].Platform
		for to, value := range map[*string]string{&pl.OS: l.OS, &pl.Architecture: l.Architecture, &pl.Variant: l.Variant} {
			if value != "" {
				*to = value
			}
		}
	}
	d, err := p.pushIndex(ctx, index, sources, list)
	if err != nil {
		return err
	}
	if purge {
		if err := p.changeLists(func(all manifestLists) error { delete(all, list); return nil }); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(p.stdout, d.Digest)
	return err
}

// changeLists rewrites the lists under the lock of docker's folder.
func (p program) changeLists(change func(manifestLists) error) error {
	return p.locked(func(dir string) error {
		path := filepath.Join(dir, "slipway-manifests.json")
		all := manifestLists{}
		if err := readJSON(path, &all); err != nil {
			return err
		}
		if err := change(all); err != nil {
			return err
		}
		return writeJSON(path, all)
	})
}
