// Package programtest writes programs for tests.
package programtest

import (
	"os"
	"syscall"
)

// Write makes a program of a script that can be started at once. Whatever process starts while the file is being written would
// inherit it, and until that process becomes another program nobody could start this one ("text file busy").
func Write(path, script string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(script), 0o755)
}
