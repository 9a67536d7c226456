package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"slipway/internal/images/debian"
)

// jobImage is where job pods take their image from when a pipeline names none.
func (c *Config) jobImage() string { return c.Registry() + "/slipway/job:latest" }

// programImage is an image of Slipway's own programs. Its tag is a hash of them, so that a node that has an older one
// pulls the new one.
type programImage struct {
	name       string            // in the registry
	programs   map[string]string // by path in the image
	entrypoint string
	more       []debian.File
}

// agentPrograms is what a job pod's init container copies from.
func agentPrograms() programImage {
	return programImage{name: "slipway/agent", programs: map[string]string{"/slipway-agent": "slipway-agent", "/docker": "slipway-docker"}, entrypoint: "/slipway-agent"}
}

// builderPrograms is the image builder's pod: two static programs, and the certificates that this machine trusts, for
// other registries.
func builderPrograms() programImage {
	p := programImage{name: "slipway/builder", programs: map[string]string{"/slipway-builder": "slipway-builder", "/runc": "runc"}, entrypoint: "/slipway-builder"}
	if _, err := os.Stat(certificates); err == nil {
		p.more = []debian.File{{Path: certificates, Source: certificates, Mode: 0o644}}
	}
	return p
}

// certificates is where Go's programs look for authorities first.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// files are what is in the image.
func (p programImage) files(c *Config) []debian.File {
	files := slices.Clone(p.more)
	for _, path := range slices.Sorted(maps.Keys(p.programs)) {
		files = append(files, debian.File{Path: path, Source: filepath.Join(c.Programs, p.programs[path]), Mode: 0o755})
	}
	return files
}

// reference is the image's name with its tag.
func (p programImage) reference(c *Config) (string, error) {
	h := sha256.New()
	for _, file := range p.files(c) {
		f, err := os.Open(file.Source)
		if err != nil {
			return "", fmt.Errorf("read what image %s holds: %w", p.name, err)
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("read what image %s holds: %w", p.name, err)
		}
	}
	return c.Registry() + "/" + p.name + ":" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// image is how it is made.
func (p programImage) image(c *Config) (baseImage, error) {
	reference, err := p.reference(c)
	if err != nil {
		return baseImage{}, err
	}
	return baseImage{reference, debian.Static([]string{p.entrypoint}, p.files(c)...)}, nil
}

// baseImage is an image that Slipway makes itself.
type baseImage struct {
	reference string
	spec      debian.Spec
}

// baseImages are the images that jobs and Dockerfiles begin with.
func (c *Config) baseImages() []baseImage {
	registry := c.Registry()
	return []baseImage{
		{registry + "/library/golang:1.26", debian.Golang()},
		{registry + "/library/busybox:latest", debian.BusyboxImage()},
		{c.jobImage(), debian.Job()},
		{registry + "/library/debian:bookworm", debian.Debian()},
		{registry + "/library/postgres:15", debian.Postgres()},
	}
}

// imagesCommand makes the base images before anything runs: beside the long build of the node, for instance.
func imagesCommand() *cobra.Command {
	config := defaults()
	cmd := &cobra.Command{
		Use: "images", GroupID: "run", Short: "make the base images ahead, which the first `slipway up` else does", Args: cobra.NoArgs,
		Long: `Make the images that jobs and Dockerfiles begin with out of Debian's packages and the installed Go, and keep them in the
data folder. The first "slipway up" does the same; this is for doing it earlier, before or while something else is prepared.`,
	}
	cmd.Flags().StringVar(&config.Data, "data", config.Data, "folder of all data")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := config.complete(); err != nil {
			return err
		}
		terminal := newTerminal(os.Stdout)
		defer terminal.Close()
		importer, err := openImporter(&config, terminal)
		if err != nil {
			return err
		}
		for _, image := range config.baseImages() {
			if _, err := makeImage(cmd.Context(), importer, image, terminal); err != nil {
				return err
			}
		}
		terminal.Done()
		return nil
	}
	return cmd
}

func openImporter(c *Config, t *Terminal) (*debian.Importer, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be made: %w; choose another with --data", c.Data, err)
	}
	return debian.New(c.path("images"), func(message string) { t.Busy("base images: %s", message) })
}

func makeImage(ctx context.Context, importer *debian.Importer, image baseImage, t *Terminal) (v1.Image, error) {
	start := time.Now()
	t.Busy("base image %s", image.reference)
	made, err := importer.Build(ctx, image.spec)
	if err != nil {
		return nil, fmt.Errorf("make base image %s: %w", image.reference, err)
	}
	if took := time.Since(start); took > quietFor {
		t.Done()
		t.Say("    Base image %s is ready (%s)", image.reference, span(took))
	}
	return made, nil
}

// importImages makes the images that jobs and Dockerfiles begin with and puts them into the registry. Those that are
// there already cost a moment.
func (s *Server) importImages(ctx context.Context) error {
	a, err := readAccessFile(s.config.Data)
	if err != nil {
		return err
	}
	importer, err := openImporter(&s.config, s.terminal)
	if err != nil {
		return err
	}
	images := s.config.baseImages()
	for _, p := range s.config.programImages() {
		image, err := p.image(&s.config)
		if err != nil {
			return err
		}
		images = append([]baseImage{image}, images...)
	}
	for _, image := range images {
		start := time.Now()
		made, err := makeImage(ctx, importer, image, s.terminal)
		if err != nil {
			return err
		}
		digest, err := debian.Push(ctx, made, s.config.ownAddress()+strings.TrimPrefix(image.reference, s.config.Registry()), debian.Credentials{Username: "slipway", Password: a.Token})
		if err != nil {
			return err
		}
		s.logger.Info("base image imported", "reference", image.reference, "digest", digest, "duration", time.Since(start))
	}
	s.terminal.Done()
	return nil
}

// programImages are the images of programs that this installation's cluster needs.
func (c *Config) programImages() []programImage {
	if c.builderInCluster() {
		return []programImage{agentPrograms(), builderPrograms()}
	}
	return []programImage{agentPrograms()}
}
