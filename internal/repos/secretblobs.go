package repos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/repos/secretscan"
)

const (
	// suspectReaders are the processes that read the files of one large push.
	suspectReaders = 2
	// fewBytes is a pack of which one process reads all objects, which saves another that tells which of them are files.
	fewBytes = 1 << 20
)

// errSuspect ends the reading of files: one of them is suspect.
var errSuspect = errors.New("a file may hold a secret")

// suspect says whether any file that a push brings may hold a secret (secretscan.Suspect), whether its lines are new or not. Each file is
// read once, which costs a part of what the differences between all commits cost: most of them while the pack came (pushTap).
func (s *Service) suspect(ctx context.Context, id slipway.RepositoryID, ask pushCheck) (bool, error) {
	packed, err := filepath.Glob(filepath.Join(s.dir(id), "objects", filepath.Base(ask.quarantine), "pack", "*.pack"))
	if err != nil {
		return false, fmt.Errorf("look for packs: %w", err)
	}
	if ask.tap != nil {
		if pack, err := ask.tap.wait(ctx); err == nil {
			switch {
			case pack.Suspect || len(pack.Left) == 0:
				return pack.Suspect, nil
			case len(packed) == 1:
				return isSuspect(s.readLeft(ctx, id, ask, packed[0], pack.Left))
			}
		}
	}
	few := len(packed) == 0
	for _, p := range packed {
		info, err := os.Stat(p)
		if err != nil {
			return false, fmt.Errorf("look at a pack: %w", err)
		}
		few = few || len(packed) == 1 && info.Size() < fewBytes
	}
	if few { // git keeps a push of fewer than receive.unpackLimit objects loose
		return isSuspect(s.readSuspects(ctx, id, ask, nil))
	}
	return isSuspect(s.readManySuspects(ctx, id, ask))
}

// isSuspect reads the error of what reads files.
func isSuspect(err error) (bool, error) {
	if errors.Is(err, errSuspect) {
		return true, nil
	}
	return false, err
}

// readLeft reads the objects at these places of a pack.
func (s *Service) readLeft(ctx context.Context, id slipway.RepositoryID, ask pushCheck, pack string, left []int64) error {
	index, err := os.Open(strings.TrimSuffix(pack, ".pack") + ".idx")
	if err != nil {
		return fmt.Errorf("look into a pack: %w", err)
	}
	defer index.Close()
	name, _, _ := strings.Cut(revisions(ask), "\n")
	cmd, err := s.quarantined(ctx, id, ask, true, "show-index", "--object-format="+string(formatOf(name)))
	if err != nil {
		return err
	}
	cmd.Stdin = index
	names, n := make([]string, len(left)), 0
	err = s.runQuarantined(cmd, '\n', func(text string) { // PLACE NAME (CHECKSUM), in the order of the names
		place, rest, _ := strings.Cut(text, " ")
		at, err := strconv.ParseInt(place, 10, 64)
		if i, ok := slices.BinarySearch(left, at); err == nil && ok {
			names[i], _, _ = strings.Cut(rest, " ")
			n++
		}
	})
	if err != nil {
		return err
	}
	if n != len(left) {
		return fmt.Errorf("git's index has %d of %d objects of a pack", n, len(left))
	}
	return s.shareSuspects(ctx, id, ask, names)
}

// readManySuspects tells files from other objects first, and shares them out.
func (s *Service) readManySuspects(ctx context.Context, id slipway.RepositoryID, ask pushCheck) error {
	cmd, err := s.quarantined(ctx, id, ask, true, "cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch-check=%(objecttype) %(objectname)")
	if err != nil {
		return err
	}
	var files []string // in the order of the pack, so that what an object is a difference to is at hand
	err = s.runQuarantined(cmd, '\n', func(text string) {
		if name, ok := strings.CutPrefix(text, "blob "); ok {
			files = append(files, name)
		}
	})
	if err != nil || len(files) == 0 {
		return err
	}
	return s.shareSuspects(ctx, id, ask, files)
}

// shareSuspects reads files by as many processes as there are processors for it.
func (s *Service) shareSuspects(ctx context.Context, id slipway.RepositoryID, ask pushCheck, files []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range suspectReaders {
		part := files[len(files)*i/suspectReaders : len(files)*(i+1)/suspectReaders]
		if len(part) > 0 {
			group.Go(func() error { return s.readSuspects(ctx, id, ask, part) })
		}
	}
	return group.Wait()
}

// readSuspects reads the files of these names, or all objects of a push, and ends with errSuspect at the first that is suspect.
func (s *Service) readSuspects(ctx context.Context, id slipway.RepositoryID, ask pushCheck, names []string) error {
	args := []string{"cat-file", "--buffer", "--batch=%(objecttype) %(objectsize)"}
	if names == nil {
		args = append(args, "--batch-all-objects", "--unordered")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := s.quarantined(ctx, id, ask, true, args...)
	if err != nil {
		return err
	}
	stderr := &limitedBuffer{limit: maxStderr}
	cmd.Stderr = stderr
	if names != nil {
		cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start git cat-file: %w", err)
	}
	reading := readFiles(bufio.NewReaderSize(out, 256<<10))
	if reading != nil {
		cancel()
	}
	err = cmd.Wait()
	killGroup(cmd)
	if reading != nil {
		return reading
	}
	if err != nil {
		return &gitError{verb: "cat-file", stderr: strings.TrimSpace(stderr.buf.String()), err: err}
	}
	return nil
}

// readFiles reads what git cat-file --batch writes: `TYPE SIZE`, the content and a line feed for each object.
func readFiles(in *bufio.Reader) error {
	var part []byte
	for {
		head, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(head) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read git cat-file: %w", err)
		}
		kind, digits, _ := strings.Cut(strings.TrimSpace(string(head)), " ")
		size, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return fmt.Errorf("read git cat-file: unexpected answer %q", head)
		}
		if kind == "blob" {
			suspect, err := secretscan.SuspectFile(in, size, &part)
			if err != nil {
				return fmt.Errorf("read git cat-file: %w", err)
			}
			if suspect {
				return errSuspect
			}
			size = 0
		}
		if _, err := io.CopyN(io.Discard, in, size+1); err != nil {
			return fmt.Errorf("read git cat-file: %w", err)
		}
	}
}
