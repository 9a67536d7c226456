package agent

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const (
	maxExtracted       = 64 << 30 // bytes of all files that one step unpacks
	maxDictionary      = 1 << 30  // bytes of memory that unpacking zstd may take
	sniffed            = 512      // bytes at the beginning of a file that say what it is
	symbolicLinkLength = 4 << 10  // bytes of what a link in a zip file leads to
)

// extraction is the task ExtractFiles at work.
type extraction struct {
	*task
	root      *os.Root // which no name leaves
	folder    string
	overwrite bool
	sevenZip  string
	files     int
	left      int64 // bytes that may still be unpacked
}

// extractFiles is the task ExtractFiles@1.
func (t *task) extractFiles(in inputs) error {
	archives, err := t.archives(newPatterns(in.m["archivefilepatterns"]).expanded())
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		t.log.Printf("##[warning]No archive matches the patterns.")
	}
	if in.text("destinationFolder") == "" {
		return errors.New("the input destinationFolder is empty")
	}
	folder := t.absolute(in.text("destinationFolder"))
	if in.flag("cleanDestinationFolder", true) {
		if inside := slices.IndexFunc(archives, func(a string) bool { return strings.HasPrefix(a, folder+"/") }); inside >= 0 || folder == "/" {
			return fmt.Errorf("the folder %s cannot be emptied first, since archives are in it: set cleanDestinationFolder to false", folder)
		}
		if err := removeContents(folder); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	x := &extraction{task: t, root: root, folder: folder, overwrite: in.flag("overwriteExistingFiles", false),
		sevenZip: cmp.Or(in.text("pathToSevenZipTool"), "7z"), left: maxExtracted}
	for _, archive := range archives {
		t.log.Printf("Unpacking %s", archive)
		if err := x.archive(archive); err != nil {
			return fmt.Errorf("unpack %s: %w", archive, err)
		}
	}
	t.log.Printf("Unpacked %d files from %d archives to %s", x.files, len(archives), folder)
	return nil
}

// archives finds the archives. One without wildcards must be there.
func (t *task) archives(list patterns) ([]string, error) {
	var all []string
	for _, pattern := range list {
		if !strings.ContainsAny(pattern, "*?[") && !extended.MatchString(pattern) {
			file := t.absolute(pattern)
			if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
				return nil, fmt.Errorf("there is no archive %s", file)
			}
			all = append(all, file)
			continue
		}
		if folder := globBase(t.absolute(pattern)); !t.isFolder(folder) {
			return nil, fmt.Errorf("there is no folder %s, in which archives are looked for", folder)
		}
		found, err := findEverything(t.folders.sources, patterns{pattern})
		if err != nil {
			return nil, fmt.Errorf("look for archives %s: %w", pattern, err)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// archive unpacks a file by what it holds, whatever its name; what is none of the known formats is left to 7z.
func (x *extraction) archive(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(f, 64<<10)
	head, err := in.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return x.zip(f, info.Size())
	}
	plain, err := decompress(in, head)
	if err != nil {
		return err
	}
	if plain == nil {
		if isTar(head, file) {
			return x.tar(in)
		}
		return x.other(file)
	}
	in = bufio.NewReaderSize(plain, 64<<10)
	if head, err = in.Peek(sniffed); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if isTar(head, file) {
		return x.tar(in)
	}
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) // one compressed file
	return x.file(name, info.Mode().Perm(), in)
}

// decompress reads a compressed stream, nil for what is not compressed in a known way.
func decompress(in io.Reader, head []byte) (io.Reader, error) {
	is := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case is("\x1f\x8b"):
		return gzip.NewReader(in)
	case is("BZh"):
		return bzip2.NewReader(in), nil
	case is("\xfd7zXZ\x00"):
		return xz.NewReader(in)
	case is("\x28\xb5\x2f\xfd"):
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDictionary))
		if err != nil {
			return nil, err
		}
		return d, nil // it holds nothing but memory
	}
	return nil, nil //nolint:nilnil // nil is a reader that is not needed
}

func isTar(head []byte, file string) bool {
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return true
	}
	base := strings.ToLower(filepath.Base(file))
	for _, end := range []string{".tar", ".tgz", ".taz", ".tbz", ".tbz2", ".tz2", ".txz", ".tzst"} {
		if strings.HasSuffix(base, end) || strings.HasSuffix(strings.TrimSuffix(base, filepath.Ext(base)), end) {
			return true
		}
	}
	return false
}

func (x *extraction) zip(f *os.File, size int64) error {
	in, err := zip.NewReader(f, size)
	if err != nil {
		return err
	}
	for _, file := range in.File {
		name := relative(strings.ReplaceAll(file.Name, `\`, "/"))
		mode := file.Mode()
		if mode.IsDir() || name == "." {
			if err := x.root.MkdirAll(name, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := x.zipFile(file, name, mode); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) zipFile(file *zip.File, name string, mode fs.FileMode) error {
	r, err := file.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if mode&fs.ModeSymlink == 0 {
		return x.file(name, mode.Perm(), r)
	}
	to, err := io.ReadAll(io.LimitReader(r, symbolicLinkLength))
	if err != nil {
		return err
	}
	return x.link(name, func() error { return x.root.Symlink(string(to), name) })
}

func (x *extraction) tar(r io.Reader) error {
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := relative(h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = x.root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			if err = x.file(name, fs.FileMode(h.Mode).Perm(), in); err == nil {
				err = x.root.Chtimes(name, h.ModTime, h.ModTime)
			}
		case tar.TypeSymlink:
			err = x.link(name, func() error { return x.root.Symlink(h.Linkname, name) })
		case tar.TypeLink:
			err = x.link(name, func() error { return x.root.Link(relative(h.Linkname), name) })
		default:
			x.log.Printf("##[warning]%s is neither a file nor a folder nor a link: it is left out.", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

// relative is a name in an archive without what makes it absolute.
func relative(name string) string { return path.Clean(strings.TrimLeft(name, "/")) }

// file writes one file.
func (x *extraction) file(name string, mode fs.FileMode, r io.Reader) error {
	if err := x.free(name); err != nil {
		return err
	}
	out, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o200)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(stoppable{x.ctx, r}, x.left+1))
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if x.left -= n; x.left < 0 {
		return fmt.Errorf("the archives hold more than %d bytes", int64(maxExtracted))
	}
	return nil
}

func (x *extraction) link(name string, link func() error) error {
	if err := x.free(name); err != nil {
		return err
	}
	return link()
}

// free makes room for a file: its folder, and what is in its place is removed if it may be replaced.
func (x *extraction) free(name string) error {
	if x.files++; x.files > maxFound {
		return fmt.Errorf("the archives hold more than %d files", maxFound)
	}
	if err := x.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if _, err := x.root.Lstat(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if !x.overwrite {
		return fmt.Errorf("%s is there already: set overwriteExistingFiles to true", filepath.Join(x.folder, name))
	}
	return x.root.Remove(name)
}

// other unpacks with the program 7z.
func (x *extraction) other(file string) error {
	program := x.sevenZip
	if !filepath.IsAbs(program) {
		var err error
		if program, err = x.look(program); err != nil {
			return errors.New("it is neither a zip nor a tar file, and the program 7z, which may know it, is not in the job's image: give the job a container that has it")
		}
	}
	args := []string{"x", "-o" + x.folder, "--", file}
	if x.overwrite {
		args = slices.Insert(args, 1, "-aoa") // otherwise it asks, gets no answer, and fails
	}
	return x.run(process{name: program, args: args, dir: x.folder})
}
