package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/progress"
)

// container is what `docker create` made: a name for an image, out of which files can be copied. It runs nothing.
type container struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Image string `json:"image"`
}

const (
	containersFile = "slipway-containers.json"
	// maxContainers bounds how many a job's docker remembers, the oldest go first.
	maxContainers = 200
)

// create does `docker create IMAGE`.
func (p program) create(ctx context.Context, args []string) error {
	flags := p.flags("create")
	o := addRunFlags(flags)
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if err := o.refuse(flags, "create"); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return usageError{errors.New("docker create needs the name of an image")}
	}
	r, err := p.runnable(ctx, flags.Arg(0), o.platform)
	if err != nil {
		return err
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	c := container{ID: hex.EncodeToString(raw), Name: o.name, Image: r.Tags[0]}
	if c.Name == "" {
		c.Name = "container-" + c.ID[:12]
	}
	err = p.changeContainers(func(all []container) ([]container, error) {
		if slices.ContainsFunc(all, func(other container) bool { return other.Name == c.Name }) {
			return nil, slipway.Conflict("the container name %s is taken: remove it with docker rm %s", c.Name, c.Name)
		}
		all = append(all, c)
		return all[max(0, len(all)-maxContainers):], nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, c.ID)
	return err
}

// runnable finds an image that this job knows, or looks it up in its registry as docker pulls what it has not.
func (p program) runnable(ctx context.Context, name, platform string) (recipe, error) {
	i, err := p.remoteImage(name)
	if err != nil {
		return recipe{}, err
	}
	r, err := p.recipe(i.String())
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		// The builder finds it, which knows mirrors.
		r, err = recipe{Remote: i.String(), Tags: []string{i.String()}}, nil
	}
	if platform != "" {
		r.Platforms = []string{platform}
	}
	return r, err
}

// buildable is a recipe that the builder can make: one of a registry is a Dockerfile of one line.
func (p program) buildable(r recipe) (recipe, error) {
	if r.Archive != "" {
		return r, slipway.Unsupported("%s was loaded from an archive, which the builder does not have: push it, and it is there by its name in the registry", strings.Join(r.Tags, ", "))
	}
	if r.Remote == "" {
		return r, nil
	}
	empty, err := p.emptyContext()
	return recipe{Context: empty, DockerfileText: "FROM " + r.Remote + "\n", Platforms: r.Platforms, Tags: r.Tags}, err
}

// container finds one by its name or the beginning of its id.
func (p program) container(name string) (container, error) {
	var all []container
	if err := readJSON(filepath.Join(p.configDir(), containersFile), &all); err != nil {
		return container{}, err
	}
	for _, c := range all {
		if name != "" && (c.Name == name || strings.HasPrefix(c.ID, name)) {
			return c, nil
		}
	}
	return container{}, slipway.NotFound("there is no container %s: docker create IMAGE makes one to copy files out of; docker run leaves none behind, so mount a folder with -v to keep files", name)
}

func (p program) changeContainers(change func([]container) ([]container, error)) error {
	return p.locked(func(dir string) error {
		var all []container
		file := filepath.Join(dir, containersFile)
		if err := readJSON(file, &all); err != nil {
			return err
		}
		all, err := change(all)
		if err != nil {
			return err
		}
		return writeJSON(file, all)
	})
}

// removeContainers does `docker rm`.
func (p program) removeContainers(args []string) error {
	flags := p.flags("rm")
	force := flags.BoolP("force", "f", false, "no error for one that is not there")
	flags.BoolP("volumes", "v", false, "nothing to do")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	for _, name := range flags.Args() {
		c, err := p.container(name)
		if slipway.CodeOf(err) == slipway.CodeNotFound && *force {
			continue
		}
		if err != nil {
			return err
		}
		err = p.changeContainers(func(all []container) ([]container, error) {
			return slices.DeleteFunc(all, func(other container) bool { return other.ID == c.ID }), nil
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, name)
	}
	return nil
}

// listContainers does `docker ps`: nothing runs; with --all those that were created are there.
func (p program) listContainers(args []string) error {
	flags := p.flags("ps")
	all := flags.BoolP("all", "a", false, "those too that do not run")
	quiet := flags.BoolP("quiet", "q", false, "ids alone")
	flags.Bool("no-trunc", false, "ids are whole anyway")
	filters := flags.StringArrayP("filter", "f", nil, "name=NAME")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	var list []container
	if err := readJSON(filepath.Join(p.configDir(), containersFile), &list); err != nil {
		return err
	}
	if !*quiet {
		fmt.Fprintln(p.stdout, "CONTAINER ID   IMAGE   STATUS    NAMES")
	}
	for _, filter := range *filters {
		name, ok := strings.CutPrefix(filter, "name=")
		if !ok {
			return slipway.Unsupported("docker ps --filter %s is not supported: write name=NAME", filter)
		}
		list = slices.DeleteFunc(list, func(c container) bool { return !strings.Contains(c.Name, strings.Trim(name, "^$/")) })
	}
	for _, c := range list {
		switch {
		case !*all:
		case *quiet:
			fmt.Fprintln(p.stdout, c.ID)
		default:
			fmt.Fprintf(p.stdout, "%s   %s   Created   %s\n", c.ID[:12], c.Image, c.Name)
		}
	}
	return nil
}

// copyOut does `docker cp CONTAINER:PATH DEST`: the builder takes the path out of the container's image.
func (p program) copyOut(ctx context.Context, args []string) error {
	flags := p.flags("cp")
	flags.BoolP("archive", "a", false, "owners are kept where the job may set them")
	follow := flags.BoolP("follow-link", "L", false, "the file that a link names")
	quiet := flags.BoolP("quiet", "q", false, "say nothing")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 2 {
		return usageError{errors.New("docker cp needs two arguments, CONTAINER:PATH and where to copy it")}
	}
	name, from, ok := strings.Cut(flags.Arg(0), ":")
	if !ok || from == "" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "/") {
		return slipway.Unsupported("docker cp into a container cannot work here, since none runs: write COPY in a Dockerfile, or give docker run the folder with -v")
	}
	c, err := p.container(name)
	if err != nil {
		return err
	}
	r, err := p.runnable(ctx, c.Image, "")
	if err != nil {
		return err
	}
	if *follow {
		return slipway.Unsupported("docker cp --follow-link is not supported: name the file itself")
	}
	dest := flags.Arg(1)
	clean := path.Clean("/" + from)
	if dest == "-" {
		return p.extract(ctx, r, clean, images.Output{Type: "tar", Dest: "-"})
	}
	if dest, err = p.abs(dest); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "docker-cp-")
	if err != nil {
		return fmt.Errorf("make a folder for what is copied: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := p.extract(ctx, r, clean, images.Output{Type: "local", Dest: dir}); err != nil {
		return err
	}
	contents := from == "." || strings.HasSuffix(from, "/.")
	if err := place(filepath.Join(dir, path.Base(clean)), dest, contents || clean == "/", strings.HasSuffix(flags.Arg(1), "/")); err != nil {
		return err
	}
	if !*quiet {
		fmt.Fprintf(p.stderr, "Successfully copied %s to %s\n", flags.Arg(0), dest)
	}
	return nil
}

// extract makes an output that holds one path of an image, by its last name; of / it holds everything.
func (p program) extract(ctx context.Context, r recipe, from string, o images.Output) error {
	empty, err := p.emptyContext()
	if err != nil {
		return err
	}
	made, err := p.buildable(r)
	if err != nil {
		return err
	}
	linked := map[string]recipe{"image": made}
	maps.Copy(linked, made.Linked)
	// --parents keeps a folder a folder and a file a file; what stands before /./ is left out (Dockerfile reference, "COPY --parents").
	source := strings.TrimSuffix(path.Dir(from), "/") + "/./" + strings.TrimPrefix(path.Base(from), "/")
	words, err := json.Marshal([]string{source, "/"})
	if err != nil {
		return fmt.Errorf("name what is copied: %w", err)
	}
	e := recipe{Context: empty, Contexts: map[string]string{"from": images.TargetContext + "image"}, Platforms: r.Platforms, Linked: linked,
		DockerfileText: "FROM scratch\nCOPY --parents --from=from " + string(words) + "\n"}
	if _, err = p.solve(ctx, e, solveOptions{outputs: []images.Output{o}, progress: func(progress.Event) {}}); err != nil {
		return fmt.Errorf("copy %s out of %s: %w", from, strings.Join(r.Tags, ", "), err)
	}
	return nil
}

// place puts what was extracted where `docker cp` puts it (docker's reference, "docker container cp").
func place(from, to string, contents, folder bool) error {
	fi, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) && contents { // the image's root
		from = filepath.Dir(from)
		fi, err = os.Lstat(from)
	}
	if err != nil {
		return fmt.Errorf("find what was copied: %w", err)
	}
	there, err := os.Stat(to)
	switch {
	case err == nil && there.IsDir() && !(fi.IsDir() && contents):
		to = filepath.Join(to, filepath.Base(from))
	case err == nil && !there.IsDir() && fi.IsDir():
		return slipway.Invalid("cannot copy a folder to %s, which is a file", to)
	case err != nil && folder && !fi.IsDir():
		return slipway.NotFound("the folder %s is not there", to)
	case err != nil:
		if up, err := os.Stat(filepath.Dir(to)); err != nil || !up.IsDir() {
			return slipway.NotFound("the folder %s is not there", filepath.Dir(to))
		}
	}
	return copyTree(from, to)
}

// copyTree copies a file, a link, or a folder over what is there.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(target, fi.Mode().Perm()|0o700)
		case fi.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(file)
			if err != nil {
				return err
			}
			_ = os.Remove(target)
			return os.Symlink(link, target)
		}
		_ = os.Remove(target)
		if err := os.Rename(file, target); err == nil {
			return nil
		}
		return copyFile(file, target, fi.Mode().Perm()) // on another file system
	})
}

// export does `docker export CONTAINER`: the files of its image as a tar file.
func (p program) export(ctx context.Context, args []string) error {
	flags := p.flags("export")
	out := flags.StringP("output", "o", "-", "the archive; standard output without it")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 1 {
		return usageError{errors.New("docker export needs one argument, the container")}
	}
	c, err := p.container(flags.Arg(0))
	if err != nil {
		return err
	}
	r, err := p.runnable(ctx, c.Image, "")
	if err != nil {
		return err
	}
	made, err := p.buildable(r)
	if err != nil {
		return err
	}
	dest := *out
	if dest != "-" {
		if dest, err = p.abs(dest); err != nil {
			return err
		}
	}
	_, err = p.solve(ctx, made, solveOptions{outputs: []images.Output{{Type: "tar", Dest: dest}}, progress: func(progress.Event) {}})
	return err
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy out of the image: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("copy out of the image: %w", err)
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
