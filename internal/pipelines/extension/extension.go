package extension

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/task"
)

// Limits on what is uploaded.
const (
	MaxUpload   = 256 << 20 // bytes of an extension or a zip file
	MaxUnpacked = 1 << 30   // bytes of all files of one task
	MaxFiles    = 50_000    // of one task
	MaxTasks    = 200       // of one extension, every version counted
)

// Task is one task of an upload.
type Task struct {
	Manifest *task.Manifest
	// Text is the task.json as it is.
	Text []byte
	// Extension is PUBLISHER.EXTENSION.CONTRIBUTION, "" for a task that comes by itself.
	Extension string
	files     []file
}

// file is one file of a task. Its content is that of a zip file, compressed already, or of a folder.
type file struct {
	name   string // in the task, with slashes
	zipped *zip.File
	open   func() (io.ReadCloser, error)
	size   uint64
	mode   fs.FileMode
}

// manifestFile is what makes a folder a task's.
const manifestFile = "task.json"

// Read reads a zip file of a task or of an extension. The reader must stay open while the tasks are used.
func Read(r io.ReaderAt, size int64) ([]Task, error) {
	if size > MaxUpload {
		return nil, slipway.Limit("the file has %d bytes, more than the %d allowed", size, int64(MaxUpload))
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, slipway.Invalid("this is no zip file: send a task's folder as one, or an extension's .vsix file").Because(err)
	}
	var files []file
	for _, f := range z.File {
		name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/"))
		if f.Mode().IsDir() || strings.HasSuffix(f.Name, "/") {
			continue
		}
		if !fs.ValidPath(name) || strings.ContainsAny(name, "\x00") {
			return nil, slipway.Invalid("the archive has the file %.200q, which would lie outside of it", f.Name)
		}
		files = append(files, file{name: name, zipped: f, open: f.Open, size: f.UncompressedSize64, mode: f.Mode()})
	}
	return tasksOf(files)
}

// tasksOf finds the tasks among files: the one whose task.json is at the root, else those of the extension.
func tasksOf(files []file) ([]Task, error) {
	if slices.ContainsFunc(files, func(f file) bool { return f.name == manifestFile }) {
		t, err := newTask("", "", files)
		return []Task{t}, err
	}
	x, err := readExtension(files)
	if err != nil {
		return nil, err
	}
	var list []Task
	for _, c := range x.contributions {
		found := 0
		for _, folder := range taskFolders(files, c.folder) {
			t, err := newTask(x.name+"."+c.id, folder, files)
			if err != nil {
				return nil, fmt.Errorf("task %s: %w", folder, err)
			}
			if list = append(list, t); len(list) > MaxTasks {
				return nil, slipway.Limit("the extension has more than %d tasks", MaxTasks)
			}
			found++
		}
		if found == 0 {
			return nil, slipway.Invalid("the extension's contribution %s names the folder %q, in which there is no task.json", c.id, c.folder)
		}
	}
	return list, distinct(list)
}

// distinct refuses tasks of several names with one id: it is what tells tasks apart.
func distinct(list []Task) error {
	names := map[string]string{}
	for i := range list {
		m := list[i].Manifest
		if other, ok := names[m.ID]; ok && !strings.EqualFold(other, m.Name) {
			return slipway.Invalid("the tasks %s and %s have the same id %s: give each its own", other, m.Name, m.ID)
		}
		names[m.ID] = m.Name
	}
	return nil
}

// taskFolders are those with a task: the folder itself, or the folders in it, one for each version.
func taskFolders(files []file, folder string) (list []string) {
	folder = path.Clean(strings.Trim(strings.ReplaceAll(folder, `\`, "/"), "/"))
	for _, f := range files {
		dir, name := path.Split(f.name)
		dir = path.Clean(dir)
		if name == manifestFile && (dir == folder || path.Dir(dir) == folder) {
			list = append(list, dir)
		}
	}
	slices.Sort(list)
	if slices.Contains(list, folder) {
		return []string{folder}
	}
	return list
}

// newTask takes the files below a folder, "" for all, as those of a task.
func newTask(extension, folder string, files []file) (Task, error) {
	t := Task{Extension: extension}
	var size uint64
	for _, f := range files {
		if folder != "" {
			rest, ok := strings.CutPrefix(f.name, folder+"/")
			if !ok {
				continue
			}
			f.name = rest
		}
		size += f.size
		t.files = append(t.files, f)
	}
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	switch {
	case len(t.files) > MaxFiles:
		return t, slipway.Limit("a task has at most %d files, this has %d", MaxFiles, len(t.files))
	case size > MaxUnpacked:
		return t, slipway.Limit("a task has at most %d bytes, this has %d", int64(MaxUnpacked), size)
	}
	for i := range t.files[1:] {
		if t.files[i].name == t.files[i+1].name {
			return t, slipway.Invalid("the archive has the file %q twice", t.files[i].name)
		}
	}
	var err error
	at := slices.IndexFunc(t.files, func(f file) bool { return f.name == manifestFile })
	if t.Text, err = t.files[at].read(task.MaxManifest); err != nil {
		return t, err
	}
	if t.Manifest, err = task.ReadManifest(t.Text); err != nil {
		return t, slipway.Invalid("%v", err)
	}
	return t, t.checkTargets()
}

// checkTargets refuses a task whose programs are not among its files.
func (t *Task) checkTargets() error {
	for _, handlers := range []map[string]task.Handler{t.Manifest.PreJob, t.Manifest.Execution, t.Manifest.PostJob} {
		h, _, ok := task.NodeHandler(handlers, 0)
		if !ok || h.Target == "" || strings.Contains(h.LocalTarget(), "$(") {
			continue
		}
		if !slices.ContainsFunc(t.files, func(f file) bool { return f.name == h.LocalTarget() }) {
			return slipway.Invalid("task %s runs the file %q, which is not in its folder", t.Manifest.Name, h.Target)
		}
	}
	return nil
}

func (f *file) read(limit int64) ([]byte, error) {
	r, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, slipway.Invalid("the file %s cannot be read", f.name).Because(err)
	}
	if int64(len(b)) > limit {
		return nil, slipway.Limit("the file %s has more than %d bytes", f.name, limit)
	}
	return b, nil
}

// WriteTo writes the task as a zip file.
func (t *Task) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	z := zip.NewWriter(counted)
	for i := range t.files {
		if err := t.files[i].writeTo(z); err != nil {
			return counted.n, fmt.Errorf("pack %s: %w", t.files[i].name, err)
		}
	}
	err := z.Close()
	return counted.n, err
}

func (f *file) writeTo(z *zip.Writer) error {
	if f.zipped == nil {
		return f.compress(z)
	}
	h := zip.FileHeader{Name: f.name, Method: f.zipped.Method, CRC32: f.zipped.CRC32, CompressedSize64: f.zipped.CompressedSize64, UncompressedSize64: f.zipped.UncompressedSize64}
	h.SetMode(f.mode)
	out, err := z.CreateRaw(&h)
	if err != nil {
		return err
	}
	in, err := f.zipped.OpenRaw()
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return err
}

func (f *file) compress(z *zip.Writer) error {
	h := zip.FileHeader{Name: f.name, Method: zip.Deflate}
	h.SetMode(f.mode)
	out, err := z.CreateHeader(&h)
	if err != nil {
		return err
	}
	in, err := f.open()
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, MaxUnpacked+1))
	if n > MaxUnpacked {
		err = slipway.Limit("a task has at most %d bytes", int64(MaxUnpacked))
	}
	return errors.Join(err, in.Close())
}

// Digest is that of the zip file which WriteTo writes.
func (t *Task) Digest() (slipway.Digest, error) {
	h := sha256.New()
	if _, err := t.WriteTo(h); err != nil {
		return "", err
	}
	return slipway.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
