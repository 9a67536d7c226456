package loop

import (
	"context"
	"io"

	"slipway"
	"slipway/internal/events"
	"slipway/internal/registry"
)

// wantInventory asks what is in an image that was pushed to a project.
func (l *Loop) wantInventory(ctx context.Context, e events.Event) error {
	var push registry.Pushed
	if err := e.Decode(&push); err != nil || e.Project == "" || push.Subject != "" {
		return err
	}
	repo, err := l.Registry.Repository(ctx, push.Repository)
	if err != nil {
		return unlessGone(err)
	}
	content, err := l.Registry.GetContent(ctx, repo, string(push.Digest))
	if err != nil || !content.IsImage() {
		return unlessGone(err)
	}
	return l.Scans.Want(ctx, e.Project, push.Repository, push.Digest)
}

// TypeSPDX is the media type of SPDX documents in JSON (spdx.dev, registered with IANA).
const TypeSPDX = "application/spdx+json"

// ScannedImages gives the registry's images to the scanner.
type ScannedImages struct{ Registry *registry.Service }

// Write implements scans.Images.
func (i ScannedImages) Write(ctx context.Context, repository string, d slipway.Digest, w io.Writer) error {
	repo, err := i.Registry.Repository(ctx, repository)
	if err != nil {
		return err
	}
	return i.Registry.WriteLayout(ctx, repo, d, w)
}

// KeepSBOM implements scans.Images: an image gets one document, however often it is asked for.
func (i ScannedImages) KeepSBOM(ctx context.Context, repository string, d slipway.Digest, spdx []byte) error {
	repo, err := i.Registry.Repository(ctx, repository)
	if err != nil {
		return err
	}
	there, err := i.Registry.Referrers(ctx, repo, d, TypeSPDX)
	if err != nil || len(there) > 0 {
		return err
	}
	_, err = i.Registry.Attach(ctx, repo, d, registry.Attachment{Type: TypeSPDX, Content: spdx}, slipway.System)
	return err
}
