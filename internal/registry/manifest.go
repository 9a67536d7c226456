package registry

import (
	"encoding/json"
	"strings"

	"slipway"
)

// The media types of manifests that the registry takes (OCI image specification; Docker image manifest V2, schema 2).
const (
	TypeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	TypeOCIIndex       = "application/vnd.oci.image.index.v1+json"
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Descriptor names content (OCI image specification, descriptor.md).
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Platform     *Platform         `json:"platform,omitempty"`
}

// Platform is where an image runs.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// String writes the platform as `linux/arm64/v8`; empty when it is unknown.
func (p *Platform) String() string {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return ""
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// The roles in which a manifest names other content.
const (
	roleConfig   = "config"
	roleLayer    = "layer"
	roleManifest = "manifest"
)

// parsed is what the registry reads out of a manifest.
type parsed struct {
	MediaType    string            `json:"mediaType"`
	Version      int               `json:"schemaVersion"`
	ArtifactType string            `json:"artifactType"`
	Config       *Descriptor       `json:"config"`
	Layers       []Descriptor      `json:"layers"`
	Manifests    []Descriptor      `json:"manifests"`
	Subject      *Descriptor       `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

// isIndex reports whether the media type is one of a list of manifests.
func isIndex(mediaType string) bool { return mediaType == TypeOCIIndex || mediaType == TypeDockerList }

func invalidManifest(format string, args ...any) error {
	return fault(ManifestInvalid, slipway.Invalid(format, args...))
}

// parseManifest reads and checks a manifest. mediaType is what the request said, which the body must not contradict.
func parseManifest(mediaType string, content []byte) (parsed, error) {
	var m parsed
	if len(content) > MaxManifest {
		return m, fault(SizeInvalid, slipway.Limit("the manifest has more than %d bytes", MaxManifest))
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return m, invalidManifest("the manifest is not the JSON expected: %v", err)
	}
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.TrimSpace(mediaType)
	if mediaType == "" {
		mediaType = m.MediaType
	}
	if m.MediaType != "" && m.MediaType != mediaType {
		return m, invalidManifest("the manifest says that its media type is %q, the request says %q", m.MediaType, mediaType)
	}
	m.MediaType = mediaType
	if m.Version != 2 {
		return m, invalidManifest("schemaVersion is %d, not 2", m.Version)
	}
	switch mediaType {
	case TypeOCIManifest, TypeDockerManifest:
		if m.Config == nil || m.Manifests != nil {
			return m, invalidManifest("an image manifest has a config and no manifests")
		}
	case TypeOCIIndex, TypeDockerList:
		if m.Config != nil || m.Layers != nil {
			return m, invalidManifest("an index has manifests, but no config and no layers")
		}
	default:
		return m, invalidManifest("manifests of media type %.100q are not supported", mediaType)
	}
	return m, m.check()
}

func (m parsed) check() error {
	list := m.references()
	if len(list) > maxReferences {
		return fault(ManifestInvalid, slipway.Limit("the manifest names more than %d others", maxReferences))
	}
	for _, r := range list {
		if err := r.check(); err != nil {
			return err
		}
	}
	if m.Subject != nil {
		return m.Subject.check()
	}
	return nil
}

func (d Descriptor) check() error {
	if _, err := slipway.ParseDigest(d.Digest); err != nil {
		return invalidManifest("the manifest names content by a bad digest: %v", err)
	}
	if d.Size < 0 {
		return invalidManifest("the manifest gives %s a negative size", d.Digest)
	}
	return nil
}

// reference is one content that a manifest names.
type reference struct {
	Descriptor
	role string
}

// references lists config, layers and manifests in the order of the manifest.
func (m parsed) references() []reference {
	var list []reference
	if m.Config != nil {
		list = append(list, reference{*m.Config, roleConfig})
	}
	for _, d := range m.Layers {
		list = append(list, reference{d, roleLayer})
	}
	for _, d := range m.Manifests {
		list = append(list, reference{d, roleManifest})
	}
	return list
}

// elsewhere reports content that need not be in the registry: layers that may not be distributed, or have addresses.
func (r reference) elsewhere() bool {
	return len(r.URLs) > 0 || strings.Contains(r.MediaType, ".nondistributable.") || strings.Contains(r.MediaType, ".foreign.")
}

// artifactType is what referrers are filtered by (distribution specification, "Listing Referrers").
func (m parsed) artifactType() string {
	if m.ArtifactType == "" && m.Config != nil {
		return m.Config.MediaType
	}
	return m.ArtifactType
}

// Config is what Slipway reads of an image's configuration (OCI image specification, config.md).
type Config struct {
	Platform
	Created string `json:"created,omitempty"`
	Author  string `json:"author,omitempty"`
	Config  struct {
		User         string              `json:"User,omitempty"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
		Env          []string            `json:"Env,omitempty"`
		Entrypoint   []string            `json:"Entrypoint,omitempty"`
		Cmd          []string            `json:"Cmd,omitempty"`
		WorkingDir   string              `json:"WorkingDir,omitempty"`
		Labels       map[string]string   `json:"Labels,omitempty"`
	} `json:"config"`
	History []struct {
		Created    string `json:"created,omitempty"`
		CreatedBy  string `json:"created_by,omitempty"`
		EmptyLayer bool   `json:"empty_layer,omitempty"`
	} `json:"history,omitempty"`
}

// revisionLabel names the commit an image was built from (OCI image specification, annotations.md).
const revisionLabel = "org.opencontainers.image.revision"

// revision is the commit that the image says it was built from, empty when it says none.
func revision(annotations, labels map[string]string) slipway.CommitID {
	for _, s := range []string{annotations[revisionLabel], labels[revisionLabel]} {
		if c, err := slipway.ParseCommitID(s); err == nil {
			return c
		}
	}
	return ""
}
