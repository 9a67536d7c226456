package agent

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// archived is a file or folder that goes into an archive.
type archived struct {
	path string // on disk
	name string // in the archive, with slashes
	info fs.FileInfo
}

// archiveFiles is the task ArchiveFiles@2.
func (t *task) archiveFiles(in inputs) error {
	root, target := t.absolute(in.text("rootFolderOrFile")), t.absolute(in.text("archiveFile"))
	kind := strings.ToLower(in.text("archiveType"))
	old := "" // an archive that is added to
	if info, err := os.Stat(target); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("the archive %s is there and is no file", target)
		}
		if !in.flag("replaceExistingArchive", true) {
			old = target
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("make the archive's folder: %w", err)
	}
	list, err := archiveList(root, target, in.flag("includeRootFolder", true), kind == "zip")
	if err != nil {
		return err
	}
	if in.flag("verbose", false) {
		for _, a := range list {
			t.log.Printf("adding %s", a.name)
		}
	}
	switch kind {
	case "zip":
		err = replaceFile(target, func(w io.Writer) error { return t.zip(w, old, list) })
	case "tar":
		err = t.tar(target, old, cmp.Or(strings.ToLower(in.text("tarCompression")), "gz"), list)
	default:
		err = t.sevenZip(in, kind, root, target, old)
	}
	if err != nil {
		return fmt.Errorf("pack %s into %s: %w", root, target, err)
	}
	t.log.Printf("Packed %d files and folders into %s", len(list), target)
	return nil
}

// archiveList lists what is packed: a file, or a folder with all that is in it, folders first. Links are followed if the
// format is to hold what they lead to; the archive itself is left out.
func archiveList(root, target string, includeRoot, follow bool) ([]archived, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("there is no file or folder %s", root)
	}
	var list []archived
	var add func(p, name string, info fs.FileInfo, way []string) error
	below := func(p, name string, way []string) error {
		entries, err := os.ReadDir(p)
		for _, e := range entries {
			stat := os.Lstat
			if follow {
				stat = os.Stat
			}
			info, statErr := stat(filepath.Join(p, e.Name()))
			if statErr != nil {
				continue // a link that leads nowhere
			}
			err = errors.Join(err, add(filepath.Join(p, e.Name()), path.Join(name, e.Name()), info, way))
		}
		return err
	}
	add = func(p, name string, info fs.FileInfo, way []string) error {
		if p == target || !info.IsDir() && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
			return nil
		}
		if len(list) >= maxFound {
			return fmt.Errorf("there are more than %d files", maxFound)
		}
		list = append(list, archived{p, name, info})
		if !info.IsDir() {
			return nil
		}
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			return err
		}
		for _, w := range way {
			if w == real {
				return fmt.Errorf("the link %s leads back to a folder that it is in", p)
			}
		}
		return below(p, name, append(way[:len(way):len(way)], real))
	}
	if info.IsDir() && !includeRoot {
		err = below(root, "", nil)
	} else {
		err = add(root, filepath.Base(root), info, nil)
	}
	return list, err
}

// replaceFile writes a file beside its place and moves it there when it is whole.
func replaceFile(target string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(target), ".archive-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails when it was moved
	err = errors.Join(write(file), file.Chmod(0o644), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), target)
}

// zip writes a zip file, with what an old one, if it is named, holds besides.
func (t *task) zip(w io.Writer, old string, list []archived) error {
	out := zip.NewWriter(w)
	names := map[string]bool{}
	for _, a := range list {
		names[a.name] = true
	}
	if old != "" {
		if err := copyZip(out, old, names); err != nil {
			return fmt.Errorf("read the archive that is there: %w", err)
		}
	}
	for _, a := range list {
		if err := t.zipOne(out, a); err != nil {
			return err
		}
	}
	return out.Close()
}

// copyZip copies what is in a zip file but for the names.
func copyZip(out *zip.Writer, old string, names map[string]bool) error {
	in, err := zip.OpenReader(old)
	if err != nil {
		return err
	}
	defer in.Close()
	for _, f := range in.File {
		if !names[strings.TrimSuffix(f.Name, "/")] {
			if err := out.Copy(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *task) zipOne(out *zip.Writer, a archived) error {
	h, err := zip.FileInfoHeader(a.info)
	if err != nil {
		return err
	}
	h.Name, h.Method = a.name, zip.Deflate
	if a.info.IsDir() {
		h.Name, h.Method = a.name+"/", zip.Store
	}
	file, err := out.CreateHeader(h)
	switch {
	case err != nil || a.info.IsDir():
		return err
	case a.info.Mode()&fs.ModeSymlink != 0:
		link, err := os.Readlink(a.path)
		if err == nil {
			_, err = io.WriteString(file, link)
		}
		return err
	}
	return t.copyInto(file, a)
}

// stoppable reads until the step is stopped.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(p)
}

func (t *task) copyInto(w io.Writer, a archived) error {
	file, err := os.Open(a.path)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := io.Copy(w, io.LimitReader(stoppable{t.ctx, file}, a.info.Size()))
	if err == nil && n != a.info.Size() {
		err = fmt.Errorf("%s changed while it was read", a.path)
	}
	return err
}

// tar writes a tar file. One that is compressed cannot be added to, as with the program tar.
func (t *task) tar(target, old, compression string, list []archived) error {
	if old != "" && compression != "none" {
		return errors.New("files cannot be added to a compressed tar file: set replaceExistingArchive to true, or tarCompression to none")
	}
	write := func(w io.Writer) error { return t.writeArchive(w, old, list) }
	return replaceFile(target, func(w io.Writer) error {
		switch compression {
		case "none":
			return write(w)
		case "gz":
			z := gzip.NewWriter(w)
			return errors.Join(write(z), z.Close())
		case "xz":
			z, err := xz.NewWriter(w)
			if err != nil {
				return err
			}
			return errors.Join(write(z), z.Close())
		case "bz2": // the standard library only reads it
			return t.filter(w, write, "bzip2", "-c")
		}
		return fmt.Errorf("the input tarCompression is gz, bz2, xz or none, not %q", compression)
	})
}

// filter sends what write writes through a program.
func (t *task) filter(w io.Writer, write func(io.Writer) error, program string, args ...string) error {
	r, pipe := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(pipe)
		pipe.CloseWithError(err)
		written <- err
	}()
	err := t.run(process{name: program, args: args, stdin: r, stdout: w, stderr: t.log})
	r.Close()
	if writeErr := <-written; err == nil {
		err = writeErr
	}
	return err
}

// writeArchive writes a tar file that begins with what an old one, if it is named, holds.
func (t *task) writeArchive(w io.Writer, old string, list []archived) error {
	out := tar.NewWriter(w)
	if old != "" {
		if err := copyTar(out, old); err != nil {
			return fmt.Errorf("read the archive that is there: %w", err)
		}
	}
	for _, a := range list {
		link := ""
		if a.info.Mode()&fs.ModeSymlink != 0 {
			var err error
			if link, err = os.Readlink(a.path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(a.info, link)
		if err != nil {
			return err
		}
		if h.Name = a.name; a.info.IsDir() {
			h.Name += "/"
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if a.info.Mode().IsRegular() {
			if err := t.copyInto(out, a); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// copyTar copies what is in a tar file.
func copyTar(out *tar.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	in := tar.NewReader(file)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}

// sevenZipLevels are the compressions of 7z.
var sevenZipLevels = map[string]string{"ultra": "9", "maximum": "7", "normal": "5", "fast": "3", "fastest": "1", "none": "0"}

// sevenZip packs with the program 7z, which adds to an archive that is there.
func (t *task) sevenZip(in inputs, kind, root, target, old string) error {
	program, err := t.look("7z")
	if err != nil {
		return fmt.Errorf("an archive of type %s needs the program 7z, which is not in the job's image: write archiveType: zip or tar, or give the job a container that has it", kind)
	}
	if old == "" {
		if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	args := []string{"a", "-t" + kind, "-mx=" + cmp.Or(sevenZipLevels[strings.ToLower(in.text("sevenZipCompression"))], "5")}
	if in.flag("verbose", false) {
		args = append(args, "-bb3")
	}
	dir, name := filepath.Dir(root), filepath.Base(root)
	if info, err := os.Stat(root); err == nil && info.IsDir() && !in.flag("includeRootFolder", true) {
		dir, name = root, "."
	}
	return t.run(process{name: program, args: append(args, "--", target, name), dir: dir})
}
