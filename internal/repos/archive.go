package repos

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"slipway"
)

const (
	// archiveTime bounds the making of one archive, its sending included.
	archiveTime = 30 * time.Minute
	// maxArchive bounds an archive, in bytes.
	maxArchive = 8 << 30
	// concurrentArchives bounds those that are made at once.
	concurrentArchives = 4
)

// ArchiveRequest asks for the files of a commit in one file, as git-archive(1) makes it: what .gitattributes says of
// export-ignore and export-subst holds. Large files of Git LFS are in it as the pointers that git has.
type ArchiveRequest struct {
	Repository slipway.RepositoryID
	Commit     slipway.CommitID
	Path       string // a folder or file alone; empty for all
	Format     string // zip, tar or tar.gz
	Prefix     string // the folder in the archive that holds everything; empty for none
}

func (r ArchiveRequest) check() error {
	if err := errors.Join(checkCommitID(r.Commit), checkPath(r.Path)); err != nil {
		return err
	}
	switch r.Format {
	case "zip", "tar", "tar.gz":
	default:
		return slipway.Invalid("an archive is a zip, a tar or a tar.gz, not %q", shorten(r.Format, 20))
	}
	if r.Prefix != "" {
		return checkNewPath(strings.TrimSuffix(r.Prefix, "/"))
	}
	return nil
}

// Archive writes an archive to w as git makes it. begin is called before the first byte, when all that can be refused is settled; an error after it
// leaves w with a part of the archive. When too many are being made it is Unavailable.
func (s *Service) Archive(ctx context.Context, r ArchiveRequest, w io.Writer, begin func()) error {
	if err := r.check(); err != nil {
		return err
	}
	if _, err := s.Resolve(ctx, r.Repository, string(r.Commit)); err != nil {
		return err
	}
	r.Path = strings.Trim(r.Path, "/")
	if r.Path != "" {
		if err := s.exists(ctx, r.Repository, r.Commit, r.Path); err != nil {
			return err
		}
	}
	select {
	case s.archives <- struct{}{}:
		defer func() { <-s.archives }()
	default:
		return slipway.Unavailable("%d archives are being made already: try again in a while", concurrentArchives)
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTime)
	defer cancel()
	args := []string{"--literal-pathspecs", "archive", "--format=" + r.Format}
	if r.Prefix != "" {
		args = append(args, "--prefix="+strings.TrimSuffix(r.Prefix, "/")+"/")
	}
	args = append(args, string(r.Commit))
	if r.Path != "" {
		args = append(args, "--", r.Path)
	}
	cmd := s.git.prepare(ctx, s.dir(r.Repository), args...)
	stderr := &limitedBuffer{limit: maxStderr}
	out := &beginningWriter{w: w, begin: begin, room: maxArchive}
	cmd.Stdout, cmd.Stderr = out, stderr
	err := cmd.Run()
	killGroup(cmd)
	if out.err != nil {
		return out.err
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return &gitError{verb: "archive", stderr: strings.TrimSpace(stderr.buf.String()), err: err}
	}
	return nil
}

// exists says NotFound when the commit has neither a file nor a folder of that name.
func (s *Service) exists(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string) error {
	return s.readers.with(ctx, s.dir(id), func(r *reader) error {
		o, err := r.info(string(commit) + ":" + path)
		if err == nil && o.missing() {
			return slipway.NotFound("there is nothing called %q at commit %s", path, commit.Short())
		}
		return err
	})
}

// beginningWriter calls begin before the first byte, and takes no more than room bytes.
type beginningWriter struct {
	w     io.Writer
	begin func()
	room  int64
	err   error
}

func (b *beginningWriter) Write(p []byte) (int, error) {
	if b.begin != nil {
		b.begin()
		b.begin = nil
	}
	if b.room -= int64(len(p)); b.room < 0 {
		b.err = slipway.Limit("the archive is larger than %d bytes: clone the repository", int64(maxArchive))
		return 0, b.err
	}
	n, err := b.w.Write(p)
	if err != nil {
		b.err = err
	}
	return n, err
}
