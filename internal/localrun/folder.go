package localrun

import (
	"fmt"
	"os"
	"path/filepath"

	"slipway/internal/agent/engine"
)

// NewFolder makes the folder of a run below parent, and removes those of runs that were killed. One that is kept has another name,
// and stays.
func NewFolder(parent string, kept bool) (string, error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", fmt.Errorf("make a folder for the run: %w", err)
	}
	for _, e := range entries {
		if owner := engine.OwnerOf(e.Name()); owner != "" && e.IsDir() && !engine.Alive(owner) {
			_ = os.RemoveAll(filepath.Join(parent, e.Name())) // another user's stays
		}
	}
	prefix := "slipway-run-"
	if kept {
		prefix = "slipway-kept-"
	}
	folder, err := os.MkdirTemp(parent, prefix+engine.ProcessName(os.Getpid())+"-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the run: %w", err)
	}
	return folder, nil
}
