package repos

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"slipway"
	"slipway/internal/repos/packfile"
	"slipway/internal/repos/secretscan"
)

// fewestIndexed is the number of objects from which on git keeps a pack as it is (receive.unpackLimit of git-config(1)). Smaller ones are git's.
const fewestIndexed = 100

// pushIndex indexes the pack of a first push in this process, in one passage with the scan for secrets, for less processor time than git's (packfile.Indexer). The pack
// lies in a quarantine of git's kind, which git's processes of the push borrow from as an alternate; git itself reads an empty pack. What is unusual about
// a pack (packfile.ErrUnusual), broken or thin, goes to git as it came.
type pushIndex struct {
	folder  string // the quarantine
	objects string // of the repository
	limit   int64  // of the pack in bytes; 0 for none
	logger  *slog.Logger
	scanner secretscan.Scanner
	answer  *pushAnswer // of which the pusher sees the progress; nil for none
	whole   atomic.Bool // the pack and its index are in the folder
	release func()
}

// newPushIndex is for a push to a repository that has no objects, nil for another, and while there are so many pushes at once that git does their work.
func (s *Service) newPushIndex(r Repository, limit int64) (*pushIndex, error) {
	objects := filepath.Join(s.dir(r.ID), "objects")
	if r.ObjectFormat != SHA1 || !isEmpty(objects) {
		return nil, nil
	}
	select {
	case s.indexing <- struct{}{}:
	default:
		return nil, nil
	}
	x := &pushIndex{objects: objects, limit: limit, logger: s.logger.With("repository", r.ID), release: func() { <-s.indexing }}
	var err error
	if x.folder, err = os.MkdirTemp(objects, "tmp_objdir-indexed-"); err == nil { // which git's prune removes after a crash
		err = makeFolder(filepath.Join(x.folder, "pack"))
	}
	if err != nil {
		x.close()
		return nil, fmt.Errorf("make quarantine: %w", err)
	}
	return x, nil
}

// concurrentIndexes bounds the pushes that are indexed here at once: each takes some 25 MiB of memory, and more for large or many objects.
func concurrentIndexes() int { return max(8, 2*runtime.NumCPU()) }

// close removes what is in quarantine.
func (x *pushIndex) close() {
	if x.folder != "" {
		if err := os.RemoveAll(x.folder); err != nil {
			x.logger.Error("removing a quarantine failed", "folder", x.folder, "error", err)
		}
	}
	x.release()
}

// taken says that the pack of the push is in the quarantine.
func (x *pushIndex) taken() bool { return x != nil && x.whole.Load() }

// take reads the pack behind these commands, and returns what git is to read instead.
func (x *pushIndex) take(ctx context.Context, pack io.Reader, commands *pushCommands) io.Reader {
	head := make([]byte, 12)
	n, err := io.ReadFull(pack, head)
	all := io.MultiReader(bytes.NewReader(head[:n]), pack)
	if err != nil || binary.BigEndian.Uint32(head[8:]) < fewestIndexed || len(commands.tips) == 0 {
		return all
	}
	file, err := os.Create(filepath.Join(x.folder, "pack", "tmp_pack"))
	if err != nil {
		x.logger.Warn("a push is left to git", "error", err)
		return all
	}
	indexer := packfile.NewIndexer(all, file, &x.scanner)
	indexer.Limit, indexer.Progress = x.limit, x.answer.progress(commands)
	if err = indexer.Run(ctx); err == nil {
		err = x.keep(indexer, file, commands.tips)
	}
	if err != nil {
		x.logger.Info("a push is left to git", "reason", err)
		_ = os.Remove(file.Name()) // which is read on
		return &replay{indexer.Replay(), file}
	}
	x.whole.Store(true)
	return bytes.NewReader(emptyPack)
}

// emptyPack is a pack without objects: its head, and the SHA-1 of that.
var emptyPack = []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00" + "\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e")

// keep gives the pack and its index their names, with all of them on disk.
func (x *pushIndex) keep(indexer *packfile.Indexer, file *os.File, tips []string) (err error) {
	for _, tip := range tips {
		if !indexer.Has(tip) {
			return fmt.Errorf("%w: object %s is missing", packfile.ErrUnusual, tip)
		}
	}
	index, err := os.Create(filepath.Join(x.folder, "pack", "tmp_idx"))
	if err != nil {
		return err
	}
	err = indexer.WriteIndex(index)
	err = errors.Join(err, index.Chmod(0o444), index.Sync(), index.Close())
	if err != nil {
		return fmt.Errorf("write a pack's index: %w", err)
	}
	if err := errors.Join(file.Chmod(0o444), file.Sync()); err != nil {
		return fmt.Errorf("write a pack: %w", err)
	}
	name := filepath.Join(x.folder, "pack", "pack-"+indexer.Checksum())
	if err := os.Rename(file.Name(), name+".pack"); err != nil {
		return err
	}
	if err := os.Rename(index.Name(), name+".idx"); err != nil {
		return errors.Join(err, os.Remove(name+".pack"))
	}
	_ = file.Close() // all is on disk
	return nil
}

// replay is a pack of which a part is in a file.
type replay struct {
	io.Reader
	file *os.File
}

func (r *replay) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil {
		_ = r.file.Close()
	}
	return n, err
}

// admit lets the objects of a push that may move its refs out of the quarantine.
func (x *pushIndex) admit() error { return admit(x.folder, x.objects) }

// allowIndexed decides on a push as checkPush does, and lets an indexed pack in.
func (s *Service) allowIndexed(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, ask pushCheck, x *pushIndex) (lines []string, allowed bool) {
	if !x.taken() {
		return s.checkPush(ctx, id, actor, ask)
	}
	ask.quarantine = x.folder
	lines, allowed = s.checkPush(ctx, id, actor, ask)
	if !allowed {
		return lines, false
	}
	if err := x.admit(); err != nil {
		s.logger.Error("a pushed pack could not be taken", "repository", id, "error", err)
		return []string{"The server could not take this push: try again, and tell whoever runs the server if it happens again."}, false
	}
	return lines, true
}
