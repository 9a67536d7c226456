// Package image writes small container images as docker archives, from files, with no registry and no daemon.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// File is a file of the image's one layer.
type File struct {
	Path string // without leading slash
	Mode int64
	Data []byte
	Link string // target of a symbolic link; Data is not used then
}

// Image is an image of one layer. Folders are made for the files' paths.
type Image struct {
	Name       string // NAME:TAG
	Files      []File
	Folders    []string
	Entrypoint []string
	Command    []string
	Env        []string
}

// Write writes a docker archive. The same image gives the same bytes.
func (i Image) Write(w io.Writer) error {
	layer, err := i.layer()
	if err != nil {
		return fmt.Errorf("layer of image %s: %w", i.Name, err)
	}
	type object map[string]any
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      time.Unix(0, 0).UTC().Format(time.RFC3339),
		"config":       object{"Entrypoint": i.Entrypoint, "Cmd": i.Command, "Env": i.Env},
		"rootfs":       object{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return err
	}
	configName := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]object{{"Config": configName, "RepoTags": []string{i.Name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, f := range []File{{Path: "layer.tar", Mode: 0o644, Data: layer}, {Path: configName, Mode: 0o644, Data: config}, {Path: "manifest.json", Mode: 0o644, Data: manifest}} {
		if err := add(t, f); err != nil {
			return err
		}
	}
	return t.Close()
}

// Save writes the archive to a file, as a whole or not at all. A file that holds the same already keeps its time.
func (i Image) Save(path string) error {
	var b bytes.Buffer
	if err := i.Write(&b); err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("save image %s: %w", i.Name, err)
	}
	return os.Rename(temporary, path)
}

func (i Image) layer() ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	made := map[string]bool{}
	folder := func(path string) error {
		if path == "" || made[path] {
			return nil
		}
		made[path] = true
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: 0o755})
	}
	for _, path := range i.Folders {
		if err := parents(path+"/x", folder); err != nil {
			return nil, err
		}
	}
	for _, f := range i.Files {
		if err := parents(f.Path, folder); err != nil {
			return nil, err
		}
		if err := add(t, f); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// parents calls f for each folder above path, the outermost first.
func parents(path string, f func(string) error) error {
	for i, r := range path {
		if r == '/' {
			if err := f(strings.TrimSuffix(path[:i], "/")); err != nil {
				return err
			}
		}
	}
	return nil
}

func add(t *tar.Writer, f File) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: f.Mode, Size: int64(len(f.Data))}
	if f.Link != "" {
		h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeSymlink, f.Link, 0, 0o777
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if f.Link != "" {
		return nil
	}
	_, err := t.Write(f.Data)
	return err
}
