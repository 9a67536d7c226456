package repos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"slipway"
)

// movesNote is a file that says which refs are being moved together, as lines `BEFORE AFTER REF`. It is on disk before the first of them moves, is locked
// while the server works on it, and gone when all are on disk. A server that starts finds those that another left.
type movesNote struct{ file *os.File }

// movesFolder is where the notes are; a name is the repository's id, a dot and a number.
func (s *Service) movesFolder() string { return filepath.Join(s.folder, "moves") }

// unwritten ends the name of a note that may not have all its lines yet: no ref has moved.
const unwritten = ".new"

func (s *Service) noteMoves(id slipway.RepositoryID, moves []refMove) (*movesNote, error) {
	folder := s.movesFolder()
	if err := makeFolder(folder); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(folder, string(id)+".*"+unwritten)
	if err != nil {
		return nil, fmt.Errorf("note moves of refs: %w", err)
	}
	name := strings.TrimSuffix(file.Name(), unwritten)
	write := func() error {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return err
		}
		out := bufio.NewWriter(file)
		for _, m := range moves {
			fmt.Fprintf(out, "%s %s %s\n", orNone(m.Before), orNone(m.After), m.Ref)
		}
		if err := errors.Join(out.Flush(), file.Sync()); err != nil {
			return err
		}
		if err := os.Rename(file.Name(), name); err != nil {
			return err
		}
		return errors.Join(syncFile(folder), syncFile(s.folder))
	}
	if err := write(); err != nil {
		_ = os.Remove(file.Name())
		_ = os.Remove(name)
		return nil, errors.Join(fmt.Errorf("note moves of refs: %w", err), file.Close())
	}
	return &movesNote{file: file}, nil
}

// noCommit stands for a ref that is not there.
const noCommit = "-"

func orNone(id slipway.CommitID) string {
	if id.IsZero() {
		return noCommit
	}
	return string(id)
}

func (n *movesNote) close() error { return n.file.Close() }

// forget removes the note. Should a power failure bring it back, it does no harm: all its refs are on disk.
func (n *movesNote) forget() error {
	return errors.Join(os.Remove(strings.TrimSuffix(n.file.Name(), unwritten)), n.file.Close())
}

// mendMoves brings refs in order that were being moved together when the server ended. After a power failure their files may be empty or have zeros: nobody has heard of
// such moves, so the refs get back what they had before. All others of them are brought to disk. Faults of one repository do not keep the others waiting.
func (s *Service) mendMoves(ctx context.Context) {
	list, err := os.ReadDir(s.movesFolder())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.logger.Error("looking for refs to mend failed", "error", err)
	}
	for _, f := range list {
		if err := s.mendNoted(ctx, filepath.Join(s.movesFolder(), f.Name())); err != nil {
			s.logger.Error("mending refs that were being moved failed", "note", f.Name(), "error", err)
		}
	}
}

func (s *Service) mendNoted(ctx context.Context, name string) error {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its push has ended meanwhile
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil // its push goes on
		}
		return fmt.Errorf("lock note: %w", err)
	}
	id, _, _ := strings.Cut(filepath.Base(name), ".")
	r, err := s.Get(ctx, slipway.RepositoryID(id))
	switch {
	case strings.HasSuffix(name, unwritten) || slipway.CodeOf(err) == slipway.CodeNotFound:
	case err != nil:
		return err
	default:
		moves, err := readMovesNote(file)
		if err != nil {
			return fmt.Errorf("read note: %w", err)
		}
		if err := s.mend(ctx, r, moves); err != nil {
			return err
		}
	}
	return os.Remove(name)
}

func readMovesNote(file *os.File) (moves []refMove, err error) {
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || checkRefName(f[2]) != nil {
			return nil, fmt.Errorf("odd line %q", lines.Text())
		}
		m := refMove{Ref: f[2]}
		for at, id := range map[*slipway.CommitID]string{&m.Before: f[0], &m.After: f[1]} {
			if id == noCommit {
				continue
			}
			*at = slipway.CommitID(id)
			if err := checkCommitID(*at); err != nil {
				return nil, err
			}
		}
		moves = append(moves, m)
	}
	return moves, lines.Err()
}

// looseRef is what the file of a ref has.
var looseRef = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})\n$|^ref: refs/`)

// mend brings refs in order whose moves nobody has heard of. Nobody else works on them: git has ended with the server, and locks that it left bar the way.
func (s *Service) mend(ctx context.Context, r Repository, moves []refMove) error {
	var back []refMove
	for _, m := range moves {
		file := filepath.Join(s.dir(r.ID), m.Ref)
		if err := os.Remove(file + ".lock"); err != nil && !missing(err) {
			return fmt.Errorf("remove lock: %w", err)
		}
		content, err := os.ReadFile(file)
		if missing(err) || errors.Is(err, syscall.EISDIR) || err == nil && looseRef.Match(content) {
			continue
		}
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil {
			return fmt.Errorf("remove a half-written ref: %w", err)
		}
		s.logger.Warn("a ref was half-written after a crash in the middle of a push: it has again what it had before", "repository", r.ID, "ref", m.Ref, "before", m.Before)
		if !m.Before.IsZero() {
			back = append(back, refMove{Ref: m.Ref, After: m.Before, Anywhere: true})
		}
	}
	if len(back) > 0 {
		if err := s.updateRefs(ctx, r.ID, back); err != nil {
			return fmt.Errorf("bring refs back: %w", err)
		}
	}
	return syncRefs(s.dir(r.ID), moves)
}
