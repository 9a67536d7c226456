package job

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
)

// MergeTar writes a tar file that has the files of added, and those of old that added has none of that name of. It reads added to its end.
func MergeTar(w io.Writer, added, old io.Reader) error {
	tw := tar.NewWriter(w)
	seen := map[string]bool{}
	if err := copyTar(tw, added, seen); err != nil {
		return fmt.Errorf("add files to an artifact: %w", err)
	}
	if _, err := io.Copy(io.Discard, added); err != nil { // what follows the end mark
		return fmt.Errorf("add files to an artifact: %w", err)
	}
	if err := copyTar(tw, old, seen); err != nil {
		return fmt.Errorf("read the artifact that files are added to: %w", err)
	}
	return tw.Close()
}

// copyTar copies what is not seen yet.
func copyTar(tw *tar.Writer, r io.Reader, seen map[string]bool) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(tw, t); err != nil {
			return err
		}
	}
}
