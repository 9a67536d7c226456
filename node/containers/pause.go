package containers

import (
	"fmt"
	"os"
	"path/filepath"

	"slipway/node/image"
)

// PauseArchive makes the archive of the pause image from its program, in a folder, and returns its path.
func PauseArchive(program, folder string) (string, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("read pause program: %w", err)
	}
	path := filepath.Join(folder, "pause.tar")
	i := image.Image{Name: PauseImage, Entrypoint: []string{"/pause"}, Files: []image.File{{Path: "pause", Mode: 0o755, Data: data}}}
	return path, i.Save(path)
}
