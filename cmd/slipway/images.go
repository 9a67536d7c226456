package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway"
	"slipway/internal/images/debian"
)

// jobImage and agentImage are where job pods take their images from.
func (c *Config) jobImage() string   { return c.Registry() + "/slipway/job:latest" }
func (c *Config) agentImage() string { return c.Registry() + "/slipway/agent:latest" }

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
	registry := s.config.Registry()
	for _, image := range []struct {
		reference string
		spec      debian.Spec
	}{
		{s.config.agentImage(), agent},
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
	for path, program := range map[string]string{"/slipway-agent": "slipway-agent", "/docker": "slipway-docker"} {
		content, err := os.ReadFile(filepath.Join(s.config.Programs, program))
		if err != nil {
			return debian.Spec{}, slipway.NotFound("the program %s is not in %s: build it with `make build`", program, s.config.Programs)
		}
		files = append(files, debian.File{Path: path, Content: content, Mode: 0o755})
	}
	return debian.Static([]string{"/slipway-agent"}, files...), nil
}
