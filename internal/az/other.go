package az

import (
	"os"
	"path/filepath"
)

// another is an az further down on PATH than this one, "" without one. Only what comes later counts, so that two copies of
// this program do not call each other for ever.
func (p Program) another() string {
	own, err := os.Stat(p.Executable)
	if err != nil {
		return ""
	}
	folders := filepath.SplitList(p.Getenv("PATH"))
	isOwn := func(info os.FileInfo) bool { return os.SameFile(own, info) }
	start := 0
	for i, folder := range folders {
		if info, err := os.Stat(filepath.Join(folder, "az")); err == nil && isOwn(info) {
			start = i + 1
			break
		}
	}
	for _, folder := range folders[start:] {
		path := filepath.Join(folder, "az")
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 && !isOwn(info) {
			return path
		}
	}
	return ""
}
