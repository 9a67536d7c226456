package agent

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// publish stores a file or folder as an artifact.
func (t *task) publish(p *plan.Publish) error {
	name, source := t.text(p.Artifact), t.absolute(t.text(p.Path))
	if name == "" {
		name = artifactOf(t.vars.Text(variable.SystemJobIdentifier))
	}
	key := strings.ToLower(name)
	t.mu.Lock()
	published := t.published[key]
	t.mu.Unlock()
	if published && !p.Add {
		return fmt.Errorf("artifact %q exists already: this job has published it; give this one another name, or add files to it with PublishBuildArtifacts@1 or artifact.upload", name)
	}
	if t.flag(p.Tar, false) {
		var err error
		if source, err = t.packed(name, source); err != nil {
			return err
		}
		defer os.Remove(source)
	}
	t.log.Printf("Publishing %s as artifact %s", source, name)
	if p.Add { // PublishBuildArtifacts, which knows no .artifactignore
		return t.add(name, source)
	}
	ignored, err := artifactIgnored(source)
	if err == nil {
		err = t.upload(name, source, false, ignored)
	}
	if err != nil {
		return fmt.Errorf("publish artifact %q: %w", name, err)
	}
	t.log.Printf("Artifact %s is published.", name)
	return nil
}

// notInArtifact is what the name of a job's artifact leaves out.
var notInArtifact = regexp.MustCompile(`[^a-zA-Z0-9 .]`)

// artifactOf is the artifact of a job that names none: NormalizeJobIdentifier in PipelineArtifactPluginV1.cs of
// microsoft/azure-pipelines-agent, which leaves out the leg __default.
func artifactOf(identifier string) string {
	return strings.ReplaceAll(notInArtifact.ReplaceAllString(identifier, ""), ".default", "")
}

// add adds a file, or what is in a folder, to an artifact. As in Azure, a folder without a file is a warning and makes no artifact.
func (t *task) add(name, source string) error {
	if name == "" {
		return errors.New("the name of the artifact is missing")
	}
	empty := true
	err := filepath.WalkDir(behindLink(source), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			empty = false
			return fs.SkipAll
		}
		return err
	})
	if err == nil && empty {
		t.warn(fmt.Sprintf("The folder %s is empty: nothing is added to artifact %s.", source, name))
		return nil
	}
	if err := t.upload(name, source, true, nil); err != nil {
		return fmt.Errorf("publish artifact %q: %w", name, err)
	}
	t.log.Printf("%s is added to artifact %s.", source, name)
	return nil
}

// absolute makes a path absolute, from the sources.
func (t *task) absolute(p string) string {
	if p == "" {
		return t.folders.sources
	}
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(t.folders.sources, p)
}

// upload sends a file, or a folder's contents but for what is ignored, as a tar file; with add they join what the artifact has. It is sent from the start
// again when the server goes away.
func (t *task) upload(name, source string, add bool, ignored ignoreRules) error {
	source = t.absolute(source)
	if _, err := os.Stat(source); err != nil {
		return fmt.Errorf("there is no file or folder %s", source)
	}
	path := artifactPath(name, 0)
	if add {
		path += "?add=true"
	}
	err := t.client.again(t.ctx, func() error {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeTar(t.ctx, writer, source, ignored)) }()
		defer reader.Close()
		ctx, cancel := context.WithCancel(t.ctx)
		defer cancel()
		resp, err := t.client.send(ctx, "PUT", path, "application/x-tar", reader)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err == nil {
		t.mu.Lock()
		t.published[strings.ToLower(name)] = true
		t.mu.Unlock()
	}
	return err
}

// PackArtifact writes a file, or what is in a folder, as the tar file that an artifact is.
func PackArtifact(ctx context.Context, w io.Writer, source string) error {
	return writeTar(ctx, w, source, nil)
}

// writeTar writes a file under its own name, or what is in a folder and not ignored. Links are followed when they stay inside it.
func writeTar(ctx context.Context, w io.Writer, source string, ignored ignoreRules) error {
	tw := tar.NewWriter(w)
	source = behindLink(source)
	root := source
	if info, err := os.Stat(source); err != nil {
		return err
	} else if !info.IsDir() {
		root = filepath.Dir(source)
	}
	err := filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || ignored.ignores(filepath.ToSlash(rel)) {
			return nil // a broken link, a socket, a link to a folder
		}
		return addTarFile(tw, name, filepath.ToSlash(rel), info)
	})
	return errors.Join(err, tw.Close())
}

// behindLink is the folder that a link leads to; a link to a file keeps its own name.
func behindLink(source string) string {
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		if folder, err := filepath.EvalSymlinks(source); err == nil {
			return folder
		}
	}
	return source
}

// addTarFile leaves out when the file was changed, so that the same files make the same bytes, which are kept once.
func addTarFile(tw *tar.Writer, name, as string, info fs.FileInfo) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	h := &tar.Header{Typeflag: tar.TypeReg, Name: as, Size: info.Size(), Mode: int64(info.Mode().Perm()), Format: tar.FormatPAX}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(tw, io.LimitReader(file, info.Size()))
	if err == nil && n != info.Size() {
		return fmt.Errorf("%s became shorter while it was read", name)
	}
	return err
}

// download fetches artifacts of this run or of a pipeline resource's.
func (t *task) download(d *plan.Download) error {
	source := strings.ToLower(t.text(d.Source))
	if source == "none" {
		t.log.Printf("Nothing is downloaded.")
		return nil
	}
	run := t.work.Run
	if d.Run != "" {
		number := strings.TrimSpace(t.text(d.Run))
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil || id <= 0 {
			return fmt.Errorf("artifacts are downloaded of a run by its number, not %q", number)
		}
		run = slipway.RunID(id)
	} else if source != "current" && source != "" {
		var ok bool
		if run, ok = t.work.Runs[source]; !ok {
			return fmt.Errorf("pipeline resource %q has no run whose artifacts could be downloaded", d.Source)
		}
	}
	names, folders, err := t.downloads(d, run, source)
	if err != nil {
		return err
	}
	if t.flag(d.Clean, false) {
		if err := removeContents(t.absolute(t.text(d.Path))); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		t.log.Printf("The run has no artifacts.")
	}
	var files []string
	for i, name := range names {
		t.log.Printf("Downloading artifact %s to %s", name, folders[i])
		prefix := ""
		if d.Folders || t.text(d.Artifact) == "" { // MinimatchFilterWithArtifactName of azure-pipelines-agent
			prefix = name + "/"
		}
		written, err := t.fetchArtifact(name, run, folders[i], prefix, newPatterns(t.text(d.Patterns)))
		if err != nil {
			return err
		}
		files = append(files, written...)
	}
	if err := t.unpackTars(d, t.absolute(t.text(d.Path)), files); err != nil {
		return err
	}
	if d.Folders {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.runner.vars.PutText("BuildNumber", run.String()) // the task's output
	}
	return nil
}

// downloads lists what to fetch and where to. A named artifact goes right into the path that is given; without a path,
// or when all are fetched, each has a folder of its name.
func (t *task) downloads(d *plan.Download, run slipway.RunID, source string) (names, folders []string, err error) {
	base := t.folders.workspace
	if source != "current" && source != "" {
		base = filepath.Join(base, t.text(d.Source))
	}
	given := t.text(d.Path)
	if d.Folders || given != "" { // azure-pipelines-agent, PipelineArtifactPluginV2.cs: below System.DefaultWorkingDirectory
		base = t.absolute(given)
	}
	if name := t.text(d.Artifact); name != "" {
		if given != "" && !d.Folders {
			return []string{name}, []string{base}, nil
		}
		return []string{name}, []string{filepath.Join(base, name)}, nil
	}
	var list []job.Artifact
	err = t.client.again(t.ctx, func() error { return t.client.call(t.ctx, "GET", "/artifacts?run="+run.String(), nil, &list) })
	if err != nil {
		return nil, nil, fmt.Errorf("list artifacts: %w", err)
	}
	for _, a := range list {
		names, folders = append(names, a.Name), append(folders, filepath.Join(base, a.Name))
	}
	return names, folders, nil
}

// fetchArtifact writes the files of an artifact that the patterns choose, which see their names behind the prefix, and lists them.
func (t *task) fetchArtifact(name string, run slipway.RunID, folder, prefix string, patterns patterns) (files []string, err error) {
	err = t.client.again(t.ctx, func() error {
		resp, err := t.client.send(t.ctx, "GET", artifactPath(name, run), "", nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		files, err = readTar(resp.Body, folder, prefix, patterns)
		if err == nil {
			t.log.Printf("Files: %d", len(files))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("download artifact %q: %w", name, err)
	}
	return files, nil
}

// UnpackArtifact writes the files of an artifact, as the agent stores it, below a folder, and counts them.
func UnpackArtifact(r io.Reader, folder string) (int, error) {
	files, err := readTar(r, folder, "", nil)
	return len(files), err
}

// readTar writes the files of a tar file that match below a folder, and gives their paths. What breaks off while reading is tried again.
func readTar(r io.Reader, folder, prefix string, patterns patterns) (files []string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	chosen := patterns.matcher()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, errTemporary{err}
		}
		if h.Typeflag != tar.TypeReg || !chosen(prefix+path.Clean(h.Name)) {
			continue
		}
		name := filepath.FromSlash(path.Clean(h.Name))
		if err := writeFile(root, name, fs.FileMode(h.Mode).Perm(), tr); err != nil {
			return files, err
		}
		files = append(files, filepath.Join(folder, name))
	}
}

// writeFile writes one file below the root, which the name cannot leave.
func writeFile(root *os.Root, name string, mode fs.FileMode, r io.Reader) error {
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode|0o200)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, r); err != nil {
		return errTemporary{errors.Join(err, file.Close())}
	}
	return file.Close()
}
