package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"slipway"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"
)

const (
	maxKoFiles = 1000
	maxKoBytes = 16 << 20 // of all files together
)

// koManifests does `ko resolve`, and with kubectl `ko apply` and `ko create`: it builds the programs that manifests refer to by ko://.
func (p program) koManifests(ctx context.Context, command string, args []string) error {
	var rest []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, rest = args[:i], args[i+1:]
	}
	flags, f := p.koFlags(command)
	files := flags.StringSliceP("filename", "f", nil, "files or folders, - for standard input")
	recursive := flags.BoolP("recursive", "R", false, "folders within folders too")
	selector := flags.StringP("selector", "l", "", "LABEL=VALUE of the objects")
	flags.BoolP("watch", "W", false, "not supported")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if err := koManifestFlags(command, flags, *files); err != nil {
		return err
	}
	if err := f.check(flags); err != nil {
		return err
	}
	r := resolver{program: p, flags: f, images: map[string]string{}}
	var err error
	if r.labels, err = parseSelector(*selector); err != nil {
		return err
	}
	paths, err := p.manifestFiles(*files, *recursive)
	if err != nil {
		return err
	}
	for _, file := range paths {
		if err := r.file(ctx, file); err != nil {
			return err
		}
	}
	if err := f.writeRefs(r.refs); err != nil {
		return err
	}
	if command == "resolve" {
		_, err = p.stdout.Write(r.out.Bytes())
		return err
	}
	return p.kubectl(ctx, command, r.out.Bytes(), append([]string{"-f", "-"}, rest...))
}

func koManifestFlags(command string, flags *pflag.FlagSet, files []string) error {
	switch {
	case flags.Lookup("watch").Changed:
		return slipway.Unsupported("ko %s --watch is not supported: a pipeline runs once for each push", command)
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("ko %s has no argument %s: kubectl's options come after --", command, flags.Arg(0))}
	case len(files) == 0:
		return usageError{fmt.Errorf("ko %s needs -f FILE", command)}
	}
	return nil
}

// kubectl runs the job's kubectl.
func (p program) kubectl(ctx context.Context, command string, stdin []byte, args []string) error {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--" })
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{command}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), p.stdout, p.stderr
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		return exitError(exit.ExitCode())
	case errors.Is(err, exec.ErrNotFound):
		return slipway.NotFound("ko %s needs kubectl, which the job's image has not: use an image that has it, or `ko resolve` and the task KubernetesManifest@1", command)
	case err != nil:
		return fmt.Errorf("run kubectl: %w", err)
	}
	return nil
}

// manifestFiles are the files that -f names; of folders those of YAML and JSON.
func (p program) manifestFiles(names []string, recursive bool) ([]string, error) {
	var list []string
	for _, name := range names {
		if name == "-" {
			list = append(list, name)
			continue
		}
		if isURL(name) {
			return nil, slipway.Unsupported("ko -f %s: fetch the file in a step before, and name it", name)
		}
		top, err := p.abs(name)
		if err != nil {
			return nil, err
		}
		err = filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return slipway.NotFound("ko -f %s: %v", name, err)
			case d.IsDir() && file != top && !recursive:
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			if ext := strings.ToLower(filepath.Ext(file)); file == top || ext == ".yaml" || ext == ".yml" || ext == ".json" {
				list = append(list, file)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(list) > maxKoFiles {
			return nil, slipway.Limit("ko -f: more than %d files", maxKoFiles)
		}
	}
	return list, nil
}

// resolver replaces ko:// in manifests by images, each of which is built once.
type resolver struct {
	program
	flags  *koFlags
	labels map[string]string
	images map[string]string // by what follows ko://
	refs   []string
	out    bytes.Buffer
	read   int
}

func (r *resolver) file(ctx context.Context, name string) error {
	in := r.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read manifests: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKoBytes+1))
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	if r.read += len(text); r.read > maxKoBytes {
		return slipway.Limit("the manifests are larger than %d bytes", maxKoBytes)
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		err := documents.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return slipway.Invalid("%s: %v", name, err)
		}
		if !r.selected(&document) {
			continue
		}
		if err := r.node(ctx, &document); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if r.out.Len() > 0 {
			r.out.WriteString("---\n")
		}
		encoder := yaml.NewEncoder(&r.out)
		encoder.SetIndent(2)
		if err := errors.Join(encoder.Encode(&document), encoder.Close()); err != nil {
			return fmt.Errorf("write manifests: %w", err)
		}
	}
}

// node replaces the references below a node.
func (r *resolver) node(ctx context.Context, n *yaml.Node) error {
	if pkg, ok := strings.CutPrefix(n.Value, koScheme); ok && n.Kind == yaml.ScalarNode {
		if r.images[pkg] == "" {
			ref, err := r.koImage(ctx, r.flags, pkg)
			if err != nil {
				return fmt.Errorf("line %d: %w", n.Line, err)
			}
			r.images[pkg], r.refs = ref, append(r.refs, ref)
		}
		n.Value = r.images[pkg]
	}
	for _, below := range n.Content {
		if err := r.node(ctx, below); err != nil {
			return err
		}
	}
	return nil
}

// parseSelector reads LABEL=VALUE,…
func parseSelector(text string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.ReplaceAll(pair, "==", "="), "=")
		switch {
		case text == "":
		case !ok || strings.HasSuffix(name, "!"):
			return nil, slipway.Unsupported("ko --selector %s is not supported: write LABEL=VALUE, with commas between several", text)
		default:
			out[name] = value
		}
	}
	return out, nil
}

// selected reports whether an object has the labels that are asked for.
func (r *resolver) selected(document *yaml.Node) bool {
	if len(r.labels) == 0 {
		return true
	}
	var object struct {
		Metadata struct {
			Labels map[string]string `yaml:"labels"`
		} `yaml:"metadata"`
	}
	if document.Decode(&object) != nil {
		return false
	}
	for name, value := range r.labels {
		if object.Metadata.Labels[name] != value {
			return false
		}
	}
	return true
}
