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
	"time"

	"slipway"
	"slipway/internal/images/debian"
)

// jobImage is where job pods take their image from when a pipeline names none.
func (c *Config) jobImage() string { return c.Registry() + "/slipway/job:latest" }

// agentPrograms are what a job pod's init container copies, by path in the image.
var agentPrograms = map[string]string{"/slipway-agent": "slipway-agent", "/docker": "slipway-docker"}

// agentImage is the image of the agent. Its tag is a hash of the programs in it, so that a node that has an older one
// pulls the new one.
func (c *Config) agentImage() (string, error) {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(agentPrograms)) {
		f, err := os.Open(filepath.Join(c.Programs, agentPrograms[path]))
		if err != nil {
			return "", fmt.Errorf("read the agent's programs: %w", err)
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("read the agent's programs: %w", err)
		}
	}
	return c.Registry() + "/slipway/agent:" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// importImages makes the images that jobs and Dockerfiles begin with and puts them into the registry. Those that are
// there already cost a moment.
func (s *Server) importImages(ctx context.Context) error {
	a, err := readAccessFile(s.config.Data)
	if err != nil {
		return err
	}
	importer, err := debian.New(s.config.path("images"), func(message string) { s.terminal.Busy("base images: %s", message) })
	if err != nil {
		return err
	}
	agent, err := s.agentSpec()
	if err != nil {
		return err
	}
	agentImage, err := s.config.agentImage()
	if err != nil {
		return err
	}
	registry := s.config.Registry()
	for _, image := range []struct {
		reference string
		spec      debian.Spec
	}{
		{agentImage, agent},
		{registry + "/library/golang:1.26", debian.Golang()},
		{registry + "/library/busybox:latest", debian.BusyboxImage()},
		{s.config.jobImage(), debian.Job()},
		{registry + "/library/debian:bookworm", debian.Debian()},
		{registry + "/library/postgres:15", debian.Postgres()},
	} {
		start := time.Now()
		s.terminal.Busy("base image %s", image.reference)
		made, err := importer.Build(ctx, image.spec)
		if err != nil {
			return fmt.Errorf("make base image %s: %w", image.reference, err)
		}
		digest, err := debian.Push(ctx, made, image.reference, debian.Credentials{Username: "slipway", Password: a.Token})
		if err != nil {
			return err
		}
		if took := time.Since(start); took > quietFor {
			s.terminal.Done()
			s.terminal.Say("    Base image %s is in the registry (%s)", image.reference, span(took))
		}
		s.logger.Info("base image imported", "reference", image.reference, "digest", digest, "duration", time.Since(start))
	}
	s.terminal.Done()
	return nil
}

// agentSpec is the image that a job pod's init container copies the agent and docker from.
func (s *Server) agentSpec() (debian.Spec, error) {
	var files []debian.File
	for path, program := range agentPrograms {
		content, err := os.ReadFile(filepath.Join(s.config.Programs, program))
		if err != nil {
			return debian.Spec{}, slipway.NotFound("the program %s is not in %s: build it with `make build`", program, s.config.Programs)
		}
		files = append(files, debian.File{Path: path, Content: content, Mode: 0o755})
	}
	return debian.Static([]string{"/slipway-agent"}, files...), nil
}
