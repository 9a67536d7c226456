package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway"
	"slipway/internal/registry/dockerarchive"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

// load does `docker load`: the job keeps the archive, so that tag, push and inspect mean its images.
func (p program) load(ctx context.Context, args []string) error {
	flags := p.flags("load")
	input := flags.StringP("input", "i", "", "the archive; standard input without it")
	quiet := flags.BoolP("quiet", "q", false, "nothing to do")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() > 0 {
		return usageError{errors.New("docker load has no arguments: name the archive with -i")}
	}
	in := p.stdin
	if *input != "" {
		path, err := p.abs(*input)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return slipway.NotFound("there is no archive %s", *input)
		}
		defer f.Close()
		in = f
	}
	archive, err := p.keepArchive(in)
	if err != nil {
		return err
	}
	archive, images, err := readArchive(archive)
	if err != nil {
		os.RemoveAll(archive)
		return err
	}
	for _, image := range images {
		name, err := imageName(image.Annotations[dockerarchive.AnnotationName])
		if err != nil {
			return err
		}
		r := recipe{Archive: archive, Tags: []string{name}, Digest: slipway.Digest(image.Digest), Built: time.Now().UTC()}
		if err := p.remember(r); err != nil {
			return err
		}
		if !*quiet {
			fmt.Fprintln(p.stdout, "Loaded image:", name)
		}
	}
	return nil
}

// keepArchive writes an archive, which may be compressed by gzip, into docker's folder.
func (p program) keepArchive(in io.Reader) (_ string, err error) {
	buffered := bufio.NewReader(in)
	in = buffered
	if start, _ := buffered.Peek(2); string(start) == "\x1f\x8b" {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return "", slipway.Invalid("the archive cannot be unpacked: %v", err)
		}
		in = unpacked
	}
	dir := filepath.Join(p.configDir(), "slipway-archives")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep the archive: %w", err)
	}
	f, err := os.CreateTemp(dir, "*.tar")
	if err != nil {
		return "", fmt.Errorf("keep the archive: %w", err)
	}
	_, err = io.Copy(f, in)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("keep the archive: %w", err)
	}
	return f.Name(), nil
}

// readArchive finds the images of an archive that have a name. One that is no OCI layout (OCI image specification), as docker has written them since
// its version 25, becomes a folder that is one. It returns what is kept in the archive's place.
func readArchive(archive string) (kept string, named []ocispec.Descriptor, err error) {
	index, docker, err := dockerarchive.Inspect(archive)
	if err != nil {
		return archive, nil, slipway.Invalid("the archive cannot be read: %v", err)
	}
	if index == nil {
		if !docker {
			return archive, nil, slipway.Invalid("the archive has neither an index.json nor a manifest.json, so it is none that docker, podman or skopeo wrote: give it one of theirs, or push the image with crane")
		}
		folder := strings.TrimSuffix(archive, ".tar")
		err := dockerarchive.WriteLayout(archive, folder)
		os.Remove(archive)
		if archive = folder; err != nil {
			return archive, nil, slipway.Invalid("the archive cannot be read: %v", err)
		}
		if index, err = os.ReadFile(filepath.Join(folder, ocispec.ImageIndexFile)); err != nil {
			return archive, nil, fmt.Errorf("read the archive: %w", err)
		}
	}
	var list ocispec.Index
	if err := json.Unmarshal(index, &list); err != nil {
		return archive, nil, slipway.Invalid("index.json of the archive: %v", err)
	}
	for _, m := range list.Manifests {
		if m.Annotations[dockerarchive.AnnotationName] != "" {
			named = append(named, m)
		}
	}
	if len(named) == 0 {
		return archive, nil, slipway.Unsupported("no image of the archive has a name: save it by its name, as `docker save NAME`")
	}
	return archive, named, nil
}

// pushArchive sends an image out of the archive that it was loaded from, under its own digest.
func (p program) pushArchive(ctx context.Context, r recipe, name string, quiet bool) error {
	open := oci.NewFromTar
	if info, err := os.Stat(r.Archive); err == nil && info.IsDir() {
		open = func(ctx context.Context, folder string) (*oci.ReadOnlyStore, error) {
			return oci.NewFromFS(ctx, os.DirFS(folder))
		}
	}
	store, err := open(ctx, r.Archive)
	if err != nil {
		return fmt.Errorf("read the archive of %s: %w", name, err)
	}
	target, err := p.remoteImage(name)
	if err != nil {
		return err
	}
	d, err := oras.Copy(ctx, store, string(r.Digest), target.Repository, target.reference, oras.DefaultCopyOptions)
	if err != nil {
		return registryError("push "+name, err)
	}
	return p.pushed(target, d, quiet)
}

// pushed prints what docker does of a push.
func (p program) pushed(target image, d ocispec.Descriptor, quiet bool) error {
	if quiet {
		_, err := fmt.Fprintln(p.stdout, target)
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "The push refers to repository [%s]\n%s: digest: %s size: %d\n", target.name, target.reference, d.Digest, d.Size)
	return err
}
