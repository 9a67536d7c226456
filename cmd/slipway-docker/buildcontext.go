package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway"

	"github.com/moby/buildkit/util/archiveutil"
)

// maxDockerfile bounds a Dockerfile that is read from standard input.
const maxDockerfile = 1 << 20

// isURL reports whether a build context is one that the builder fetches.
func isURL(context string) bool {
	return strings.Contains(context, "://") || strings.HasPrefix(context, "git@") || strings.HasPrefix(context, "github.com/")
}

// readContext reads the one argument, the context, and what of it is on standard input.
func (p program) readContext(r *recipe, args []string) (err error) {
	if len(args) != 1 {
		return usageError{fmt.Errorf("docker build needs exactly one argument, the folder of the build context, and got %d", len(args))}
	}
	switch {
	case args[0] == "-":
		return p.readInput(r)
	case isURL(args[0]):
		r.Context = args[0]
	default:
		if r.Context, err = filepath.Abs(args[0]); err != nil {
			return fmt.Errorf("find the build context: %w", err)
		}
	}
	if r.Dockerfile == "-" {
		r.Dockerfile = ""
		r.DockerfileText, err = readDockerfile(p.stdin)
		return err
	}
	if r.Dockerfile != "" && !isURL(r.Context) {
		// docker reads -f relative to the working folder.
		if r.Dockerfile, err = filepath.Abs(r.Dockerfile); err != nil {
			return fmt.Errorf("find the Dockerfile: %w", err)
		}
	}
	return nil
}

// readInput reads a context on standard input, which is an archive, or a Dockerfile without any file, as docker tells them apart.
func (p program) readInput(r *recipe) (err error) {
	if r.Dockerfile == "-" {
		return usageError{errors.New("standard input cannot be both the build context and the Dockerfile: name one of them by its path")}
	}
	in := bufio.NewReaderSize(p.stdin, archiveStart)
	start, err := in.Peek(archiveStart)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read standard input: %w", err)
	}
	known := archiveutil.IsArchive(start)
	if known || isTar(start) {
		// A tar file whose first entry has extended attributes is not recognised by the builder, unless it is compressed.
		r.ContextArchive, err = p.keepContext(in, !known)
		return err
	}
	if r.Dockerfile != "" {
		return usageError{errors.New("standard input is no archive, so it is a Dockerfile, and -f names another one: leave -f out, or pass a tar file of the build context")}
	}
	if r.DockerfileText, err = readDockerfile(in); err != nil {
		return err
	}
	r.Context, err = p.emptyContext()
	return err
}

// archiveStart is how much says what a file is, in bytes: two blocks of a tar file.
const archiveStart = 1024

// isTar reports whether a file that begins so is a tar file by its mark (POSIX, pax, "ustar Interchange Format").
func isTar(start []byte) bool { return len(start) > 262 && string(start[257:262]) == "ustar" }

// keepContext writes a build context into docker's folder, where a later push finds it. The same one is kept once.
func (p program) keepContext(in io.Reader, compress bool) (_ string, err error) {
	dir := filepath.Join(p.configDir(), "slipway-contexts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep the build context: %w", err)
	}
	f, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		return "", fmt.Errorf("keep the build context: %w", err)
	}
	sum := sha256.New()
	to := io.WriteCloser(f)
	if compress {
		to = gzip.NewWriter(f)
	}
	_, err = io.Copy(io.MultiWriter(to, sum), in)
	if compress {
		err = errors.Join(err, to.Close())
	}
	path := filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))+".tar")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("keep the build context: %w", err)
	}
	return path, nil
}

func readDockerfile(in io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxDockerfile+1))
	if err != nil {
		return "", fmt.Errorf("read Dockerfile from standard input: %w", err)
	}
	if len(b) > maxDockerfile {
		return "", slipway.Limit("the Dockerfile on standard input is larger than %d bytes", maxDockerfile)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return "", slipway.Invalid("standard input is neither a Dockerfile nor an archive: pass a tar file, which may be compressed")
	}
	return string(b), nil
}

// emptyContext is a folder without files, for a Dockerfile that has none. It is the same one each time.
func (p program) emptyContext() (string, error) {
	dir := filepath.Join(p.configDir(), "slipway-empty")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make an empty build context: %w", err)
	}
	return dir, nil
}
