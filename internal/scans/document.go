package scans

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"slipway"
	"slipway/internal/db"
)

// The media types of bills of materials in JSON, both registered with IANA.
const (
	TypeSPDX      = "application/spdx+json"          // spdx.dev
	TypeCycloneDX = "application/vnd.cyclonedx+json" // cyclonedx.org
)

// MaxDocument bounds a bill of materials that somebody gives, in bytes.
const MaxDocument = 16 << 20

// Document is a bill of materials, as it is kept with an image.
type Document struct {
	Type    string // TypeSPDX or TypeCycloneDX
	Content []byte
}

// documentType tells the two kinds apart.
func documentType(content []byte) (string, error) {
	var d struct {
		Format string `json:"bomFormat"`
		SPDX   string `json:"spdxVersion"`
	}
	if err := json.Unmarshal(content, &d); err != nil {
		return "", slipway.Invalid("the bill of materials is not in JSON: write CycloneDX or SPDX 2 as JSON")
	}
	switch {
	case d.Format == "CycloneDX":
		return TypeCycloneDX, nil
	case d.SPDX != "":
		return TypeSPDX, nil
	}
	return "", slipway.Invalid("the document is neither CycloneDX nor SPDX 2: it has no bomFormat or spdxVersion")
}

// PutDocument takes a bill of materials that somebody gives for an image whose inventory was asked for, and says how many packages it names.
// These are listed and looked at beside those that the scanner found, in the place of those of an earlier one. The document itself is kept
// with the image.
func (s *Service) PutDocument(ctx context.Context, repository string, d slipway.Digest, content []byte, by slipway.Actor) (int, error) {
	if _, err := s.Get(ctx, repository, d); err != nil {
		return 0, err
	}
	if len(content) > MaxDocument {
		return 0, slipway.Limit("the bill of materials has more than %d bytes", MaxDocument)
	}
	kind, err := documentType(content)
	if err != nil {
		return 0, err
	}
	var named Inventory
	err = s.call(ctx, &named, func(w io.Writer) error { _, err := io.Copy(w, bytes.NewReader(content)); return err }, "document")
	if err != nil && slipway.CodeOf(err) == slipway.CodeInternal {
		err = slipway.Invalid("the bill of materials is not taken: %v", err)
	}
	if err != nil {
		return 0, err
	}
	packed, err := pack(named.Packages)
	if err != nil {
		return 0, err
	}
	if err := s.Images.KeepSBOM(ctx, repository, d, Document{Type: kind, Content: content}, by); err != nil {
		return 0, err
	}
	const upsert = `
		INSERT INTO scan_documents (repository, digest, packages, author, made) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (repository, digest) DO UPDATE SET packages = excluded.packages, author = excluded.author, made = excluded.made`
	if _, err := s.DB.ExecContext(ctx, upsert, repository, string(d), packed, by.Name, db.Micros(s.Clock.Now())); err != nil {
		return 0, fmt.Errorf("keep the packages that a document names of %s@%s: %w", repository, d, err)
	}
	return len(named.Packages), s.match(ctx, repository, d)
}

// SBOM is the bill of materials that the scanner made of an image, in the format of the media type. Conflict when it is still to come.
func (s *Service) SBOM(ctx context.Context, repository string, d slipway.Digest, kind string) ([]byte, error) {
	if _, err := s.Packages(ctx, repository, d); err != nil {
		return nil, err
	}
	return s.Images.SBOM(ctx, repository, d, kind)
}

// join adds the packages that a document names to those that were found.
func (s *Service) join(ctx context.Context, repository string, d slipway.Digest, found []Package) ([]Package, error) {
	b, err := db.One(ctx, s.DB, db.Value[[]byte], `SELECT packages FROM scan_documents WHERE repository = $1 AND digest = $2`, repository, string(d))
	if db.IsNoRows(err) {
		return found, nil
	}
	var named []Package
	if err == nil {
		err = unpack(b, &named)
	}
	if err != nil {
		return nil, fmt.Errorf("read the packages that a document names of %s@%s: %w", repository, d, err)
	}
	type key struct{ kind, name, version string }
	have := map[key]bool{}
	for _, p := range found {
		have[key{p.Type, p.Name, p.Version}] = true
	}
	for _, p := range named {
		if k := (key{p.Type, p.Name, p.Version}); !have[k] {
			have[k] = true
			p.Path = "a bill of materials that was given"
			found = append(found, p)
		}
	}
	return found, nil
}
