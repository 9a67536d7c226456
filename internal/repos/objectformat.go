package repos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"slipway"
)

// ObjectFormat is the hash by which a repository names its objects, as `git init --object-format` has it.
type ObjectFormat string

// The formats.
const (
	SHA1   ObjectFormat = "sha1"   // names of 40 digits
	SHA256 ObjectFormat = "sha256" // names of 64 digits
)

// ParseObjectFormat reads a format in any case; empty is SHA1.
func ParseObjectFormat(text string) (ObjectFormat, error) {
	switch f := ObjectFormat(strings.ToLower(text)); f {
	case "":
		return SHA1, nil
	case SHA1, SHA256:
		return f, nil
	}
	p := slipway.Invalid("the object format of a repository is sha1 or sha256, not %q", shorten(text, 40))
	p.Field = "objectFormat"
	return "", p
}

// formatOf tells the format by one of its object names.
func formatOf(name string) ObjectFormat {
	if len(name) == 64 {
		return SHA256
	}
	return SHA1
}

// NoObject is the name of zeros that git writes where there is no object.
func (f ObjectFormat) NoObject() string {
	if f == SHA256 {
		return strings.Repeat("0", 64)
	}
	return strings.Repeat("0", 40)
}

// emptyTree names a tree without entries, which git knows without storing it.
func (f ObjectFormat) emptyTree() string {
	if f == SHA256 {
		return "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
	}
	return "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
}

// people is how a format is called in sentences.
func (f ObjectFormat) people() string {
	if f == SHA256 {
		return "SHA-256"
	}
	return "SHA-1"
}

// adoptFormat gives a repository in which there is nothing yet the format of what it is to be filled with. Whoever calls it holds working.
func (s *Service) adoptFormat(ctx context.Context, id slipway.RepositoryID, want ObjectFormat, url string) error {
	r, err := s.Get(ctx, id)
	if err != nil || r.ObjectFormat == want {
		return err
	}
	dir := s.dir(id)
	held, err := s.git.run(ctx, command{dir: dir, args: []string{"count-objects", "-v"}})
	if err != nil {
		return fmt.Errorf("look into repository %s: %w", r.Name, err)
	}
	if text := "\n" + string(held); !strings.Contains(text, "\ncount: 0\n") || !strings.Contains(text, "\nin-pack: 0\n") {
		return slipway.Conflict("repository %s names its objects by %s and %s by %s: import it into a new repository", r.Name, r.ObjectFormat.people(), url, want.people())
	}
	fresh, err := os.MkdirTemp(s.git.scratch, "format-")
	if err != nil {
		return fmt.Errorf("make folder for a repository: %w", err)
	}
	defer os.RemoveAll(fresh)
	if _, err := s.git.run(ctx, command{args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=" + string(want), fresh}}); err != nil {
		return fmt.Errorf("change the format of repository %s: %w", r.Name, err)
	}
	config, err := os.ReadFile(filepath.Join(fresh, "config"))
	if err != nil {
		return fmt.Errorf("change the format of repository %s: %w", r.Name, err)
	}
	// The folder first: a server that dies between the two finds the folder empty still, and writes both again.
	if err := renameio.WriteFile(filepath.Join(dir, "config"), config, 0o600); err != nil {
		return fmt.Errorf("change the format of repository %s: %w", r.Name, err)
	}
	s.readers.drop(dir)
	if _, err := s.db.ExecContext(ctx, `UPDATE repositories SET object_format = $1 WHERE id = $2`, string(want), string(id)); err != nil {
		return fmt.Errorf("change the format of repository %s: %w", r.Name, err)
	}
	return nil
}
