package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"slipway"
	"slipway/internal/identity"
)

// MaxAttachment bounds the content of an attachment that is read whole, in bytes.
const MaxAttachment = 16 << 20

// emptyConfig is the configuration of artifacts that have none (OCI image specification, "Guidance for an Empty Descriptor").
const (
	typeEmpty   = "application/vnd.oci.empty.v1+json"
	emptyConfig = "{}"
)

// Attachment is a document about a manifest: an artifact with one layer whose subject is the manifest.
type Attachment struct {
	Type        string // of the artifact and of its content
	Content     []byte
	Annotations map[string]string
}

// Attach keeps a document with the manifest d of the repository, where referrers lists it. The same document twice is one.
func (s *Service) Attach(ctx context.Context, repo Repository, d slipway.Digest, a Attachment, by slipway.Actor) (Manifest, error) {
	subject, err := s.GetContent(ctx, repo, string(d))
	if err != nil {
		return Manifest{}, err
	}
	layer := DigestOf("sha256", a.Content)
	config := DigestOf("sha256", []byte(emptyConfig))
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": TypeOCIManifest, "artifactType": a.Type, "annotations": a.Annotations,
		"config":  Descriptor{MediaType: typeEmpty, Digest: string(config), Size: int64(len(emptyConfig))},
		"layers":  []Descriptor{{MediaType: a.Type, Digest: string(layer), Size: int64(len(a.Content))}},
		"subject": Descriptor{MediaType: subject.MediaType, Digest: string(d), Size: int64(len(subject.Bytes))},
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("attach %s to %s: %w", a.Type, d, err)
	}
	if err := s.PutBlob(ctx, repo, config, strings.NewReader(emptyConfig)); err != nil {
		return Manifest{}, fmt.Errorf("attach %s to %s: %w", a.Type, d, err)
	}
	if err := s.PutBlob(ctx, repo, layer, bytes.NewReader(a.Content)); err != nil {
		return Manifest{}, fmt.Errorf("attach %s to %s: %w", a.Type, d, err)
	}
	return s.PutManifest(ctx, repo, Push{Content: manifest, MediaType: TypeOCIManifest, By: identity.Principal{Actor: by}})
}

// Attachments reads up to limit documents of the type that are kept with the manifest d, in no certain order; those that are larger
// than MaxAttachment, or have another form than Attach gives, are left out.
func (s *Service) Attachments(ctx context.Context, repo Repository, d slipway.Digest, artifactType string, limit int) ([]Attachment, error) {
	referrers, err := s.Referrers(ctx, repo, d, artifactType)
	if err != nil {
		return nil, err
	}
	var list []Attachment
	for _, r := range referrers {
		if len(list) == limit {
			break
		}
		content, err := s.attached(ctx, repo, slipway.Digest(r.Digest))
		if err != nil {
			return nil, err
		}
		if content != nil {
			list = append(list, Attachment{Type: r.ArtifactType, Content: content, Annotations: r.Annotations})
		}
	}
	return list, nil
}

// attached is the content of an artifact with one layer, nil for another.
func (s *Service) attached(ctx context.Context, repo Repository, d slipway.Digest) ([]byte, error) {
	c, err := s.GetContent(ctx, repo, string(d))
	if err != nil {
		if slipway.CodeOf(err) == slipway.CodeNotFound { // it went meanwhile
			return nil, nil
		}
		return nil, err
	}
	m, err := parseManifest(c.MediaType, c.Bytes)
	if err != nil || len(m.Layers) != 1 || m.Layers[0].Size > MaxAttachment {
		return nil, nil
	}
	o, err := s.OpenBlob(ctx, repo, slipway.Digest(m.Layers[0].Digest))
	if err != nil {
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			return nil, nil
		}
		return nil, err
	}
	defer o.Close()
	content, err := io.ReadAll(io.LimitReader(o, MaxAttachment))
	if err != nil {
		return nil, fmt.Errorf("read attachment %s of %s: %w", d, repo.Name, err)
	}
	return content, nil
}

// Product reports whether the content is something that was built: no document about another manifest, no list of such, no build cache,
// and none of the attestations that BuildKit puts beside the images of an index.
func (c Content) Product() bool {
	m, err := parseManifest(c.MediaType, c.Bytes)
	if err != nil || m.Subject != nil {
		return false
	}
	statements := 0
	for _, r := range m.references() {
		if strings.HasPrefix(r.MediaType, "application/vnd.buildkit.cacheconfig.") {
			return false
		}
		if r.role == roleLayer && r.MediaType == "application/vnd.in-toto+json" {
			statements++
		}
		if r.role == roleManifest && r.ArtifactType != "" { // a list of referrers
			return false
		}
	}
	return statements == 0 || statements < len(m.Layers)
}
