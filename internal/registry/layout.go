package registry

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"slipway"
)

// WriteLayout writes an image, which is no index, as a tar with an OCI layout (OCI image specification, image-layout.md). Layers that are
// not in the registry make it fail.
func (s *Service) WriteLayout(ctx context.Context, repo Repository, d slipway.Digest, w io.Writer) error {
	c, err := s.GetContent(ctx, repo, string(d))
	if err != nil {
		return err
	}
	m, err := parseManifest(c.MediaType, c.Bytes)
	if err != nil {
		return err
	}
	if isIndex(m.MediaType) {
		return slipway.Invalid("%s is an index of images: name one of them", d)
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": TypeOCIIndex,
		"manifests": []Descriptor{{MediaType: c.MediaType, Digest: string(d), Size: int64(len(c.Bytes))}}})
	if err != nil {
		return fmt.Errorf("write the layout of %s: %w", d, err)
	}
	archive := tar.NewWriter(w)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}, {layoutPath(d), c.Bytes}} {
		if err := writeMember(archive, f.name, int64(len(f.content)), func(w io.Writer) error { _, err := w.Write(f.content); return err }); err != nil {
			return fmt.Errorf("write the layout of %s: %w", d, err)
		}
	}
	written := map[string]bool{}
	for _, r := range m.references() {
		if written[r.Digest] {
			continue
		}
		written[r.Digest] = true
		if err := s.writeBlob(ctx, archive, repo, slipway.Digest(r.Digest)); err != nil {
			return fmt.Errorf("write the layout of %s: %w", d, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write the layout of %s: %w", d, err)
	}
	return nil
}

func (s *Service) writeBlob(ctx context.Context, archive *tar.Writer, repo Repository, d slipway.Digest) error {
	size, err := s.StatBlob(ctx, repo, d)
	if err != nil {
		return err
	}
	o, err := s.OpenBlob(ctx, repo, d)
	if err != nil {
		return err
	}
	defer o.Close()
	return writeMember(archive, layoutPath(d), size, func(w io.Writer) error { _, err := io.Copy(w, o); return err })
}

func layoutPath(d slipway.Digest) string { return "blobs/" + d.Algorithm() + "/" + d.Hex() }

func writeMember(archive *tar.Writer, name string, size int64, write func(io.Writer) error) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	return write(archive)
}

// IsImage reports whether the content is an image of a file system: a manifest whose layers are archives of files.
func (c Content) IsImage() bool {
	m, err := parseManifest(c.MediaType, c.Bytes)
	if err != nil || isIndex(m.MediaType) || m.Config == nil || !c.Product() {
		return false
	}
	switch m.Config.MediaType {
	case "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json":
		return true
	}
	return false
}
