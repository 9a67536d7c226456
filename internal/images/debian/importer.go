package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway"
)

// recipe is part of every layer's key: raise it when the way a layer is made changes.
const recipe = "1"

// Importer makes images, one at a time. Its methods may be called concurrently.
type Importer struct {
	folder   string
	progress func(message string)
	mu       sync.Mutex // one build at a time: they share the machine's package programs
}

// New returns an importer that keeps layers in the folder. progress is told what is being done, in a few words at a
// time; it may be nil.
func New(folder string, progress func(message string)) (*Importer, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("open base images: %w", err)
	}
	if progress == nil {
		progress = func(string) {}
	}
	return &Importer{folder: folder, progress: progress}, nil
}

// Spec is an image to make.
type Spec struct {
	Layers []Layer // the lowest first
	Config Config
}

// Config is what a container of the image starts with.
type Config struct {
	Env        []string // as NAME=value
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	User       string
	Labels     map[string]string
	Ports      []string // as 5432/tcp
	Volumes    []string
}

// Layer is one layer of an image: Busybox, GoToolchain, Files, or one of Packages.
type Layer interface {
	// key names the layer by its inputs.
	key(ctx context.Context) (string, error)
	// title says what it is, for people.
	title() string
	// make puts the layer into the importer's cache.
	make(ctx context.Context, i *Importer) error
}

func keyOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:40]
}

// Build returns the image, making the layers that are not in the cache. The image reads its layers from the cache's
// files when it is pushed.
func (i *Importer) Build(ctx context.Context, spec Spec) (v1.Image, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	layers := make([]*storedLayer, len(spec.Layers))
	// From the top: installing packages makes the layers of packages below as well.
	for n := len(spec.Layers) - 1; n >= 0; n-- {
		var err error
		if layers[n], err = i.layer(ctx, spec.Layers[n]); err != nil {
			return nil, fmt.Errorf("make image layer %q: %w", spec.Layers[n].title(), err)
		}
	}
	return spec.image(layers)
}

func (i *Importer) layer(ctx context.Context, l Layer) (*storedLayer, error) {
	key, err := l.key(ctx)
	if err != nil {
		return nil, err
	}
	if have, err := i.stored(key); have != nil || err != nil {
		return have, err
	}
	unlock, err := i.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if have, err := i.stored(key); have != nil || err != nil { // made by another process in the meantime
		return have, err
	}
	i.progress("making " + l.title())
	start := time.Now()
	if err := l.make(ctx, i); err != nil {
		return nil, err
	}
	have, err := i.stored(key)
	if err == nil && have == nil {
		err = fmt.Errorf("layer %s vanished from %s", key, i.folder)
	}
	if err != nil {
		return nil, err
	}
	i.progress(fmt.Sprintf("made %s: %d MB in %.1f s", l.title(), have.meta.Size>>20, time.Since(start).Seconds()))
	return have, nil
}

const lockPoll = 200 * time.Millisecond

// lock keeps other processes with the same folder from making layers.
func (i *Importer) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(i.folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock base images: %w", err)
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock base images: %w", err)
		}
		if !told {
			i.progress("waiting for another process that makes base images")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

func (s Spec) image(layers []*storedLayer) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var additions []mutate.Addendum
	for _, l := range layers {
		additions = append(additions, mutate.Addendum{Layer: l, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: made}, CreatedBy: l.meta.Title}})
	}
	image, err := mutate.Append(image, additions...)
	if err != nil {
		return nil, fmt.Errorf("put image together: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("put image together: %w", err)
	}
	file = file.DeepCopy()
	file.Created, file.OS, file.Architecture = v1.Time{Time: made}, "linux", runtime.GOARCH
	file.Config = v1.Config{
		Env: s.Config.Env, Entrypoint: s.Config.Entrypoint, Cmd: s.Config.Cmd, WorkingDir: s.Config.WorkingDir,
		User: s.Config.User, Labels: s.Config.Labels, ExposedPorts: set(s.Config.Ports), Volumes: set(s.Config.Volumes),
	}
	image, err = mutate.ConfigFile(image, file)
	if err != nil {
		return nil, fmt.Errorf("put image together: %w", err)
	}
	return image, nil
}

func set(list []string) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	m := map[string]struct{}{}
	for _, s := range list {
		m[s] = struct{}{}
	}
	return m
}

// run runs one of Debian's programs and puts the end of what it said into the error.
func (i *Importer) run(cmd *exec.Cmd, what string) error {
	out := &talk{progress: func(line string) { i.progress(what + ": " + line) }}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(out.all.String())
		if len(text) > 2000 {
			text = "…" + text[len(text)-2000:]
		}
		return slipway.Unavailable("%s could not be made: %s failed; are Debian's package servers reachable, and is this root?", what, cmd.Args[0]).
			Because(fmt.Errorf("%w: %s", err, text))
	}
	return nil
}

// talk keeps what a program says and passes on the lines by which mmdebstrap tells how far it is: `I: extracting archives...`.
type talk struct {
	all      bytes.Buffer
	line     []byte // begun and not ended
	progress func(line string)
}

func (t *talk) Write(p []byte) (int, error) {
	t.line = append(t.line, p...)
	for {
		line, rest, ok := bytes.Cut(t.line, []byte("\n"))
		if !ok {
			break
		}
		if told, ok := bytes.CutPrefix(line, []byte("I: ")); ok && bytes.HasSuffix(told, []byte("...")) {
			t.progress(strings.TrimRight(string(told), "."))
		}
		t.line = bytes.Clone(rest)
	}
	return t.all.Write(p)
}
