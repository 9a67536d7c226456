package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway"

	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// maxVolumeFiles bounds what is looked at of a volume.
const maxVolumeFiles = 1_000_000

// localVolume is a volume of which the builder gets the files under a name.
type localVolume struct {
	Volume
	name  string
	one   string // the name of the file if it is one, and not a folder
	top   string // the folder of the mount in which the files are
	files fsutil.FS
}

// mount has the builder take the files. What it takes belongs to root; a user of a number gets a copy that is the user's own.
func (v *localVolume) mount(ctx context.Context, g gateway.Client, user string) (gateway.Mount, error) {
	state := llb.Local(v.name, llb.SharedKeyHint(v.Source), llb.WithCustomName("volume "+v.Target))
	uid, gid, _ := strings.Cut(user, ":")
	if owner, err := strconv.Atoi(uid); err == nil && owner > 0 {
		group, _ := strconv.Atoi(gid)
		v.top = "/volume"
		state = llb.Scratch().File(llb.Mkdir(v.top, 0o755, llb.WithUIDGID(owner, group)).
			Copy(state, "/", v.top, &llb.CopyInfo{CopyDirContentsOnly: true}, llb.WithUIDGID(owner, group)))
	}
	definition, err := state.Marshal(ctx)
	if err != nil {
		return gateway.Mount{}, fmt.Errorf("take the volume %s: %w", v.Source, err)
	}
	result, err := g.Solve(ctx, gateway.SolveRequest{Definition: definition.ToPB()})
	if err != nil {
		return gateway.Mount{}, err
	}
	ref, err := result.SingleRef()
	if err != nil {
		return gateway.Mount{}, fmt.Errorf("take the volume %s: %w", v.Source, err)
	}
	return gateway.Mount{Dest: path.Clean(v.Target), Ref: ref, Readonly: v.ReadOnly, MountType: pb.MountType_BIND, Selector: v.root()}, nil
}

// root is where the volume lies in its mount.
func (v *localVolume) root() string { return path.Join("/", v.top, v.one) }

// openVolume finds the files of a volume. A folder that is not there is made, as docker does.
func openVolume(v Volume, name string) (localVolume, error) {
	opened := localVolume{Volume: v, name: name}
	fi, err := os.Stat(v.Source)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(v.Source, 0o755); err != nil {
			return opened, fmt.Errorf("make the volume: %w", err)
		}
		fi, err = os.Stat(v.Source)
	}
	if err != nil {
		return opened, fmt.Errorf("open the volume: %w", err)
	}
	dir := v.Source
	switch {
	case fi.Mode().IsRegular():
		opened.one = filepath.Base(v.Source)
		dir = filepath.Dir(v.Source)
	case !fi.IsDir():
		return opened, slipway.Unsupported("the volume %s is neither a folder nor a file: a container at the builder has no sockets or devices of the job", v.Source)
	}
	if opened.files, err = fsutil.NewFS(dir); err != nil {
		return opened, fmt.Errorf("open the volume %s: %w", v.Source, err)
	}
	if opened.one != "" {
		opened.files, err = fsutil.NewFilterFS(opened.files, &fsutil.FilterOpt{IncludePatterns: []string{opened.one}})
	}
	return opened, err
}

// bringBack makes the volume's files here what they are in the container, of which it is the mount with that index.
func (v *localVolume) bringBack(ctx context.Context, c gateway.Container, index int) error {
	r := volumeReader{ctx: ctx, container: c, index: index}
	if v.one != "" {
		stat, err := c.StatFile(ctx, gateway.StatContainerRequest{StatRequest: gateway.StatRequest{Path: v.root()}, MountIndex: index})
		if err != nil {
			return fmt.Errorf("read the volume %s: %w", v.Target, err)
		}
		return r.bring(v.root(), v.Source, stat)
	}
	return r.folder(v.root(), v.Source)
}

// volumeReader reads the files of a mount.
type volumeReader struct {
	ctx       context.Context
	container gateway.Container
	index     int
	files     int
}

// folder makes a folder here like one of the mount. What is there is removed only if it is not in the mount; names that go up are refused.
func (r *volumeReader) folder(from, to string) error {
	list, err := r.container.ReadDir(r.ctx, gateway.ReadDirContainerRequest{ReadDirRequest: gateway.ReadDirRequest{Path: from}, MountIndex: r.index})
	if err != nil {
		return fmt.Errorf("read %s of the volume: %w", from, err)
	}
	there := map[string]bool{}
	for _, stat := range list {
		name := path.Base(stat.Path)
		if !filepath.IsLocal(name) || name == "." {
			return slipway.Invalid("the volume has a file of the name %q", stat.Path)
		}
		if r.files++; r.files > maxVolumeFiles {
			return slipway.Limit("the volume has more than %d files", maxVolumeFiles)
		}
		there[name] = true
		if err := r.bring(path.Join(from, name), filepath.Join(to, name), stat); err != nil {
			return err
		}
	}
	own, err := os.ReadDir(to)
	if err != nil {
		return fmt.Errorf("read %s: %w", to, err)
	}
	for _, e := range own {
		if !there[e.Name()] && e.Type()&(fs.ModeSocket|fs.ModeNamedPipe|fs.ModeDevice) == 0 { // those never went there
			if err := os.RemoveAll(filepath.Join(to, e.Name())); err != nil {
				return fmt.Errorf("remove what the container removed: %w", err)
			}
		}
	}
	return nil
}

// bring makes one file here like that of the mount.
func (r *volumeReader) bring(from, to string, stat *types.Stat) error {
	mode := fs.FileMode(stat.Mode)
	fi, err := os.Lstat(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", to, err)
	}
	if err == nil && fi.Mode().Type() != mode.Type() {
		if err := os.RemoveAll(to); err != nil {
			return fmt.Errorf("remove what the container replaced: %w", err)
		}
		fi = nil
	}
	switch {
	case mode.IsDir():
		if err := os.MkdirAll(to, 0o700); err != nil {
			return fmt.Errorf("make a folder of the container: %w", err)
		}
		if err := r.folder(from, to); err != nil {
			return err
		}
	case mode&fs.ModeSymlink != 0:
		if now, err := os.Readlink(to); err == nil && now == stat.Linkname {
			return nil
		}
		_ = os.Remove(to)
		return os.Symlink(stat.Linkname, to)
	case mode.IsRegular():
		if fi != nil && fi.Size() == stat.Size && fi.ModTime().UnixNano() == stat.ModTime && fi.Mode() == mode {
			return nil
		}
		if err := r.copy(from, to, stat.Size); err != nil {
			return err
		}
	default:
		return nil // sockets and pipes end with the container
	}
	owned := os.Lchown(to, int(stat.Uid), int(stat.Gid))
	if errors.Is(owned, fs.ErrPermission) {
		owned = nil // who is not root owns what is brought back
	}
	return errors.Join(owned, os.Chmod(to, mode), os.Chtimes(to, time.Time{}, time.Unix(0, stat.ModTime)))
}

// volumePiece is what is read of a file at once, in bytes; BuildKit's messages may have 16 MiB.
const volumePiece = 4 << 20

func (r *volumeReader) copy(from, to string, size int64) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write a file of the container: %w", err)
	}
	defer f.Close()
	for at := int64(0); at < size; {
		b, err := r.container.ReadFile(r.ctx, gateway.ReadContainerRequest{ReadRequest: gateway.ReadRequest{Filename: from,
			Range: &gateway.FileRange{Offset: int(at), Length: int(min(volumePiece, size-at))}}, MountIndex: r.index})
		if err != nil {
			return fmt.Errorf("read %s of the volume: %w", from, err)
		}
		if len(b) == 0 {
			break
		}
		if _, err := f.Write(b); err != nil {
			return fmt.Errorf("write a file of the container: %w", err)
		}
		at += int64(len(b))
	}
	return f.Close()
}
