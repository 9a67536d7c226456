package transfer

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"slipway"
	"slipway/internal/registry/dockerarchive"
)

// Import is one thing to bring into a registry.
type Import struct {
	// Source is a folder or file, or the name of an image in another registry: `registry.example/team/app:1`; one that
	// begins with http:// is asked without TLS.
	Source string
	// Name is what the image is called in the registry: `shop/web:1`. Empty: as it is called in the source, without the
	// registry's host.
	Name string
	// Mirror gives the image the name, in place of Name, under which whoever asks for it by its own one finds it here: slipway.ImportedImage.
	Mirror bool
	// Username and Password are for the other registry; empty: what `docker login` left.
	Username, Password string
}

// Run imports all images of the source. done hears of each.
func (i Import) Run(ctx context.Context, to Registry, o Options, done func(Result)) error {
	var local bool
	if i.Source, local = withoutTransport(i.Source); !local && strings.HasPrefix(i.Source, dockerTransport) {
		i.Source = strings.TrimPrefix(i.Source, dockerTransport)
		return i.remote(ctx, to, o, done)
	}
	info, err := os.Stat(i.Source)
	switch {
	case err != nil && local:
		return fmt.Errorf("open %s: %w", i.Source, err)
	case err == nil && info.IsDir():
		return i.layout(ctx, to, o, os.DirFS(i.Source), done)
	case err == nil:
		return i.archive(ctx, to, o, done)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open %s: %w", i.Source, err)
	}
	return i.remote(ctx, to, o, done)
}

const dockerTransport = "docker://"

// withoutTransport takes away what skopeo and others write before the path of a folder or file: what is in it says the same.
func withoutTransport(source string) (path string, local bool) {
	for _, transport := range []string{"docker-archive:", "oci-archive:", "oci-layout:", "oci:"} {
		if path, ok := strings.CutPrefix(source, transport); ok {
			return path, true
		}
	}
	return source, false
}

// remote imports an image of another registry.
func (i Import) remote(ctx context.Context, to Registry, o Options, done func(Result)) error {
	text, plain := strings.CutPrefix(i.Source, "http://")
	ref, err := name.ParseReference(strings.TrimPrefix(text, "https://"))
	if err != nil {
		return fmt.Errorf("%s is neither a file, a folder nor the name of an image: %w", i.Source, err)
	}
	host := ref.Context().RegistryStr()
	if host == name.DefaultRegistry {
		host = "registry-1.docker.io"
	}
	from, err := remote.NewRepository(host + "/" + ref.Context().RepositoryStr())
	if err != nil {
		return fmt.Errorf("image name %q: %w", i.Source, err)
	}
	client := &auth.Client{Client: auth.DefaultClient.Client, Cache: auth.NewCache()}
	if i.Username != "" || i.Password != "" {
		client.Credential = auth.StaticCredential(host, auth.Credential{Username: i.Username, Password: i.Password})
	} else if store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{}); err == nil {
		client.Credential = credentials.Credential(store)
	}
	from.Client, from.PlainHTTP, from.MaxMetadataBytes = client, plain || ref.Context().Scheme() == "http", maxManifest
	root, err := from.Resolve(ctx, ref.Identifier())
	if err != nil {
		return fmt.Errorf("find %s: %w", i.Source, err)
	}
	if !isManifest(root) {
		return fmt.Errorf("%s is of media type %s, which this registry does not take", i.Source, root.MediaType)
	}
	separator := ":"
	if _, ok := ref.(name.Digest); ok {
		separator = "@"
	}
	return i.put(ctx, to, o, from, root, ref.Context().Name()+separator+ref.Identifier(), done)
}

// layout imports the images of an OCI layout.
func (i Import) layout(ctx context.Context, to Registry, o Options, folder fs.FS, done func(Result)) error {
	index, err := fs.ReadFile(folder, ocispec.ImageIndexFile)
	if err != nil {
		return fmt.Errorf("%s is no OCI layout: %w", i.Source, err)
	}
	from, err := oci.NewFromFS(ctx, folder)
	if err != nil {
		return fmt.Errorf("%s is no sound OCI layout: %w", i.Source, err)
	}
	return i.index(ctx, to, o, from, index, done)
}

// index imports what the index of a layout lists, save for what is about other images: that goes with them.
func (i Import) index(ctx context.Context, to Registry, o Options, from source, raw []byte, done func(Result)) error {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return fmt.Errorf("the index of %s is not the JSON expected: %w", i.Source, err)
	}
	var roots []ocispec.Descriptor
	for _, d := range index.Manifests {
		m, err := readManifest(ctx, from, d)
		if err != nil {
			return fmt.Errorf("%s: %w", i.Source, err)
		}
		if m.Subject == nil || d.Annotations[ocispec.AnnotationRefName] != "" {
			roots = append(roots, d)
		}
	}
	if len(roots) == 0 {
		return fmt.Errorf("%s holds no image", i.Source)
	}
	if len(roots) > 1 && i.Name != "" && !strings.HasSuffix(i.Name, "/") {
		return fmt.Errorf("%s holds %d images, which cannot all be called %s: give a name that ends in a slash, to be put before theirs", i.Source, len(roots), i.Name)
	}
	for _, d := range roots {
		called := d.Annotations[dockerarchive.AnnotationName]
		if called == "" {
			called = d.Annotations[ocispec.AnnotationRefName]
		}
		if err := i.put(ctx, to, o, from, d, called, done); err != nil {
			return err
		}
	}
	return nil
}

// put copies one image under its name.
func (i Import) put(ctx context.Context, to Registry, o Options, from source, root ocispec.Descriptor, called string, done func(Result)) error {
	repository, tag, err := i.target(called)
	if err != nil {
		return err
	}
	target, err := to.repository(repository)
	if err != nil {
		return err
	}
	c := &carrier{from: from, to: target, options: o, result: Result{Name: repository + separator(tag) + tag}}
	d, err := c.carry(ctx, root)
	if err != nil {
		return err
	}
	c.result.Digest = d.Digest
	if tag != "" && !strings.Contains(tag, ":") {
		if err := target.Tag(ctx, d, tag); err != nil {
			return fmt.Errorf("tag %s: %w", c.result.Name, err)
		}
	}
	done(c.result)
	return nil
}

func separator(tag string) string {
	switch {
	case tag == "":
		return ""
	case strings.Contains(tag, ":"):
		return "@"
	}
	return ":"
}

// target is what an image is called here: by what was asked for, and for the rest by what it is called there.
func (i Import) target(called string) (repository, tag string, err error) {
	theirs, tag := split(called)
	switch {
	case i.Mirror:
		if repository, err = mirrored(theirs); err != nil {
			return "", "", fmt.Errorf("%s does not say what its image is called elsewhere: name its place with --to, as library/HOST/NAME:TAG: %w", i.Source, err)
		}
	case i.Name == "":
		repository = withoutHost(theirs)
	case strings.HasSuffix(i.Name, "/"):
		repository = i.Name + path.Base(theirs)
		if theirs == "" {
			return "", "", fmt.Errorf("%s does not say what its image is called: give its whole name", i.Source)
		}
	default:
		var wanted string
		if repository, wanted = split(i.Name); wanted != "" {
			tag = wanted
		}
	}
	if repository == "" {
		return "", "", fmt.Errorf("%s does not say what its image is called: give a name", i.Source)
	}
	if tag == "" {
		tag = "latest"
	}
	if _, err := name.NewRepository("registry.example/" + repository); err != nil {
		return "", "", fmt.Errorf("image name %q: %w", repository, err)
	}
	return repository, tag, nil
}

// mirrored is where an image lies that is to be found by the name that it has elsewhere.
func mirrored(theirs string) (string, error) {
	r, err := name.NewRepository(theirs)
	if err != nil {
		return "", err
	}
	host := r.RegistryStr()
	if host == name.DefaultRegistry {
		host = slipway.DockerHub
	}
	return slipway.ImportedImage(host, r.RepositoryStr()), nil
}

// split takes `HOST/NAME:TAG` or `HOST/NAME@DIGEST` apart; a text without slash and colon is a tag alone, as layouts have it.
func split(called string) (repository, tag string) {
	if repository, digest, ok := strings.Cut(called, "@"); ok {
		return repository, digest
	}
	colon := strings.LastIndexByte(called, ':')
	if colon > strings.LastIndexByte(called, '/') {
		return called[:colon], called[colon+1:]
	}
	if strings.Contains(called, "/") {
		return called, ""
	}
	return "", called
}

// withoutHost drops the registry's host, which has a dot or a port or is localhost; of a copy of another registry's image
// it drops that one's host too.
func withoutHost(repository string) string {
	for {
		first, rest, ok := strings.Cut(repository, "/")
		if !ok || !strings.ContainsAny(first, ".:") && first != "localhost" {
			return repository
		}
		repository = rest
	}
}

// archive imports a tar file, compressed by gzip or not: an OCI layout, or what `docker save` wrote.
func (i Import) archive(ctx context.Context, to Registry, o Options, done func(Result)) error {
	file, remove, err := uncompressed(i.Source)
	if err != nil {
		return err
	}
	defer remove()
	index, docker, err := dockerarchive.Inspect(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", i.Source, err)
	}
	switch {
	case index != nil:
		from, err := oci.NewFromTar(ctx, file)
		if err != nil {
			return fmt.Errorf("%s is no sound OCI layout: %w", i.Source, err)
		}
		return i.index(ctx, to, o, from, index, done)
	case docker:
		return i.dockerArchive(ctx, to, o, file, done)
	}
	return fmt.Errorf("%s is neither an OCI layout nor an archive of docker: it has no index.json and no manifest.json", i.Source)
}

// dockerArchive makes an OCI layout of what `docker save` wrote, and imports that.
func (i Import) dockerArchive(ctx context.Context, to Registry, o Options, file string, done func(Result)) error {
	folder, err := os.MkdirTemp("", "slipway-import-")
	if err != nil {
		return fmt.Errorf("make a folder for %s: %w", i.Source, err)
	}
	defer os.RemoveAll(folder)
	if err := dockerarchive.WriteLayout(file, folder); err != nil {
		return fmt.Errorf("read %s: %w", i.Source, err)
	}
	return i.layout(ctx, to, o, os.DirFS(folder), done)
}

// uncompressed is the path of a tar file that is not compressed; remove removes what was made for it.
func uncompressed(file string) (plain string, remove func(), err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", nil, fmt.Errorf("open %s: %w", file, err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	magic, _ := r.Peek(4)
	switch {
	case len(magic) == 4 && magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd:
		return "", nil, fmt.Errorf("%s is compressed by zstd: unpack it with `zstd -d` first", file)
	case len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b:
		return file, func() {}, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return "", nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	out, err := os.CreateTemp("", "slipway-import-*.tar")
	if err != nil {
		return "", nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	remove = func() { os.Remove(out.Name()) }
	_, err = io.Copy(out, z) //nolint:gosec // the caller's own file, onto the caller's own disk
	if err = errors.Join(err, out.Close()); err != nil {
		remove()
		return "", nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	return out.Name(), remove, nil
}

// ReadList reads a file of imports: a source and, if it is wanted, a name on each line; # begins a remark.
func ReadList(file string) ([]Import, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the list of images: %w", err)
	}
	var list []Import
	number := 0
	for line := range strings.Lines(string(b)) {
		number++
		text, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(text)
		switch len(fields) {
		case 0:
		case 1:
			list = append(list, Import{Source: fields[0]})
		case 2:
			list = append(list, Import{Source: fields[0], Name: fields[1]})
		default:
			return nil, fmt.Errorf("%s, line %d: write SOURCE or SOURCE NAME", filepath.Base(file), number)
		}
	}
	return list, nil
}
