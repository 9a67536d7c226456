package localrun

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway/internal/agent"
	"slipway/internal/agent/engine"
)

// NewFolder makes the folder of a run below parent. One that is kept has another name, and stays.
func NewFolder(parent string, kept bool) (string, error) {
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

// RemoveAbandoned removes the folders below parent of runs that are no more and did not do it themselves, with what their steps left
// running. That may take long.
func RemoveAbandoned(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("look for what earlier runs have left: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if owner := engine.OwnerOf(e.Name()); owner != "" && e.IsDir() && !engine.Alive(owner) {
			folder := filepath.Join(parent, e.Name())
			errs = append(errs, agent.EndLeft(folder))
			if err := os.RemoveAll(folder); err != nil && !errors.Is(err, os.ErrPermission) { // another user's stays
				errs = append(errs, fmt.Errorf("remove what an earlier run has left: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
