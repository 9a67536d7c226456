package repos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	// maxSuspectPart bounds what is held of a file at once, in bytes. Parts overlap by suspectOverlap, in which any finding fits.
	maxSuspectPart = 4 << 20
	suspectOverlap = 48 << 10
	// binaryPart is where git looks for a zero byte, by which it tells a binary file.
	binaryPart = 8000
)

// errSuspect ends the reading of files: one of them is suspect.
var errSuspect = errors.New("a file may hold a secret")

// suspect says whether any file that a push brings may hold a secret (secretscan.Suspect), whether its lines are new or not. It reads
// each file once, which costs a part of what the differences between all commits cost.
func (s *Service) suspect(ctx context.Context, id slipway.RepositoryID, ask pushCheck) (bool, error) {
	packed, err := filepath.Glob(filepath.Join(s.dir(id), "objects", filepath.Base(ask.quarantine), "pack", "*.pack"))
	if err != nil {
		return false, fmt.Errorf("look for packs: %w", err)
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
		err = s.readSuspects(ctx, id, ask, nil)
	} else {
		err = s.readManySuspects(ctx, id, ask)
	}
	if errors.Is(err, errSuspect) {
		return true, nil
	}
	return false, err
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
	part := make([]byte, 0, 64<<10)
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
			if part, err = readFile(in, part[:0], size); err != nil {
				return err
			}
			size = 0
		}
		if _, err := io.CopyN(io.Discard, in, size+1); err != nil {
			return fmt.Errorf("read git cat-file: %w", err)
		}
	}
}

// readFile reads a file of that size in parts. It returns part, grown.
func readFile(in *bufio.Reader, part []byte, size int64) ([]byte, error) {
	for first := true; size > 0; first = false {
		kept := len(part)
		n := int(min(size, int64(maxSuspectPart-kept)))
		part = append(part, make([]byte, n)...)
		if _, err := io.ReadFull(in, part[kept:]); err != nil {
			return part, fmt.Errorf("read git cat-file: %w", err)
		}
		size -= int64(n)
		if first && bytes.IndexByte(part[:min(len(part), binaryPart)], 0) >= 0 { // git shows no lines of it
			if _, err := io.CopyN(io.Discard, in, size); err != nil {
				return part, fmt.Errorf("read git cat-file: %w", err)
			}
			return part, nil
		}
		if secretscan.Suspect(part) {
			return part, errSuspect
		}
		if size > 0 {
			part = append(part[:0], part[len(part)-suspectOverlap:]...)
		}
	}
	return part, nil
}
