package debian

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"slipway"
)

// File is a file of a Files layer.
type File struct {
	Path    string // in the image, as /slipway-agent
	Source  string // of the machine; or
	Content []byte // what it holds
	Mode    int64  // 0 means 0755
}

// Files is a layer of single files with the folders that they need.
func Files(files ...File) Layer { return filesLayer(files) }

type filesLayer []File

func (l filesLayer) title() string {
	var names []string
	for _, f := range l {
		names = append(names, f.Path)
	}
	return strings.Join(names, ", ")
}

func (l filesLayer) key(context.Context) (string, error) {
	parts := []string{"files", recipe}
	for _, f := range l {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return "", slipway.Invalid("%q must be an absolute path of a file in the image", f.Path)
		}
		digest := fmt.Sprintf("%x", sha256.Sum256(f.Content))
		if f.Source != "" {
			var err error
			if digest, err = fileDigest(f.Source); err != nil {
				return "", fmt.Errorf("read file for an image: %w", err)
			}
		}
		parts = append(parts, f.Path, fmt.Sprint(f.mode()), digest)
	}
	return keyOf(parts...), nil
}

func (f File) mode() int64 {
	if f.Mode == 0 {
		return 0o755
	}
	return f.Mode
}

func (l filesLayer) make(ctx context.Context, i *Importer) error {
	key, err := l.key(ctx)
	if err != nil {
		return err
	}
	t := newTree()
	for _, f := range l {
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			t.folder(dir, 0o755)
		}
		if f.Source == "" {
			t.text(f.Path, f.mode(), f.Content)
		} else if err := t.file(f.Path, f.mode(), f.Source); err != nil {
			return fmt.Errorf("add file to an image: %w", err)
		}
	}
	return i.store(key, l.title(), t)
}

func fileDigest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), errors.Join(err, f.Close())
}
