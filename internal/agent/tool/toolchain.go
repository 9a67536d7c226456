package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
)

// Go's toolchains are modules too (go.dev/doc/toolchain), so that a site with nothing but a proxy of modules has them.
const (
	toolchainModule = "golang.org/toolchain"
	toolchainPrefix = "v0.0.1-"
	defaultSumDB    = "sum.golang.org"
	chineseSumDB    = "sum.golang.google.cn" // the same database at another address
	// sumDBKey is the public key of sum.golang.org, as the go command has it.
	sumDBKey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
)

// proxies are those that a mirror or GOPROXY names and that are reached by HTTP, in their order; none if nobody names any, since
// Go then comes from its vendor.
func (i *Installer) proxies() []string {
	setting := i.mirror("goproxy")
	if setting == "" {
		setting = i.getenv("GOPROXY")
	}
	var list []string
	for _, one := range strings.FieldsFunc(setting, func(r rune) bool { return r == ',' || r == '|' }) {
		if one = strings.TrimSpace(one); one == "off" {
			break
		}
		if strings.HasPrefix(one, "https://") || strings.HasPrefix(one, "http://") {
			list = append(list, strings.TrimRight(one, "/"))
		}
	}
	return list
}

// goAnywhere looks for a version of Go at the vendor or its mirror, and at the proxies of modules: there first, if somebody
// has chosen one and no mirror, since then the vendor is most likely out of reach.
func goAnywhere(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	vendor := func() (release, error) { return goRelease(ctx, i, base, want) }
	proxy := func() (release, error) { return i.toolchain(ctx, want) }
	order := []func() (release, error){vendor, proxy}
	if base == goVendor && (i.mirror("goproxy") != "" || i.getenv("GOPROXY") != "") {
		order = []func() (release, error){proxy, vendor}
	}
	var errs []string
	for _, find := range order {
		r, err := find()
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return release{}, err
		}
		errs = append(errs, err.Error())
	}
	return release{}, errors.New(strings.Join(errs, "; "))
}

// toolchain finds a version among the modules of a proxy.
func (i *Installer) toolchain(ctx context.Context, want Spec) (release, error) {
	proxies := i.proxies()
	if len(proxies) == 0 {
		return release{}, errors.New("no proxy of modules is named in GOPROXY")
	}
	var errs []string
	for _, proxy := range proxies {
		v := want.exact
		if v == nil {
			list, err := i.text(ctx, proxy+"/"+toolchainModule+"/@v/list", maxSums)
			if err != nil {
				errs = append(errs, err.Error())
				continue
			}
			if _, v = newest(want, strings.Fields(list), toolchainVersion); v == nil {
				errs = append(errs, fmt.Sprintf("%s: %v", shown(proxy), errNoRelease))
				continue
			}
		}
		r, err := i.toolchainRelease(ctx, proxy, v)
		if err == nil {
			return r, nil
		}
		errs = append(errs, err.Error())
	}
	return release{}, errors.New(strings.Join(errs, "; "))
}

// toolchainVersion reads a version of the module for this machine, as v0.0.1-go1.22.3.linux-amd64.
func toolchainVersion(text string) (*semver.Version, error) {
	name, ok := strings.CutSuffix(text, ".linux-"+runtime.GOARCH)
	if name, found := strings.CutPrefix(name, toolchainPrefix); ok && found {
		return goVersion(name)
	}
	return nil, fmt.Errorf("%q is no toolchain for this machine", text)
}

// toolchainRelease finds out the checksum of a toolchain before anything is downloaded.
func (i *Installer) toolchainRelease(ctx context.Context, proxy string, v *semver.Version) (release, error) {
	version := toolchainPrefix + goName(v) + ".linux-" + runtime.GOARCH
	want, err := i.moduleSum(ctx, proxy, version)
	if err != nil {
		return release{}, err
	}
	r := release{version: v, url: proxy + "/" + toolchainModule + "/@v/" + version + ".zip"}
	r.check = func(archive string) error {
		if want == "" {
			i.Logf("##[warning]GOSUMDB is off, so the checksum of %s is not known.", version)
			return nil
		}
		got, err := dirhash.HashZip(archive, dirhash.Hash1)
		if err != nil {
			return fmt.Errorf("read %s: %w", version, err)
		}
		if got != want {
			return fmt.Errorf("%s has the checksum %s, and the checksum database says %s", shown(r.url), got, want)
		}
		i.Logf("The checksum is that of Go's checksum database.")
		return nil
	}
	r.unpack = func(ctx context.Context, archive, folder string) error {
		return unpackToolchain(ctx, archive, folder, toolchainModule+"@"+version+"/")
	}
	return r, nil
}

// unpackToolchain makes a GOROOT of a module: modules keep no modes, and have _go.mod for each go.mod below their own.
func unpackToolchain(ctx context.Context, archive, folder, prefix string) error {
	err := unpack(ctx, archive, folder, func(name string) string {
		name, ok := strings.CutPrefix(name, prefix)
		if !ok {
			return ""
		}
		if rest, ok := strings.CutSuffix(name, "/_go.mod"); ok {
			return rest + "/go.mod"
		}
		return name
	})
	if err != nil {
		return err
	}
	for _, programs := range []string{"bin", filepath.Join("pkg", "tool"), filepath.Join("lib", "wasm"), filepath.Join("misc", "wasm")} {
		err := filepath.WalkDir(filepath.Join(folder, programs), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				err = os.Chmod(path, 0o755) //nolint:gosec // programs are to be run
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make the programs of Go executable: %w", err)
		}
	}
	return nil
}

// moduleSum is the checksum (h1:...) of a toolchain in Go's checksum database, whose signature is verified. The proxy passes
// the database's answers on, if it can. It is "" when GOSUMDB=off gives the check up.
func (i *Installer) moduleSum(ctx context.Context, proxy, version string) (string, error) {
	setting := strings.Fields(i.getenv("GOSUMDB"))
	if len(setting) > 0 && setting[0] == "off" {
		return "", nil
	}
	key, direct := sumDBKey, "https://"+defaultSumDB
	switch {
	case len(setting) == 0 || setting[0] == defaultSumDB:
	case setting[0] == chineseSumDB:
		direct = "https://" + chineseSumDB
	default:
		key, direct = setting[0], ""
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return "", fmt.Errorf("GOSUMDB: %q is no key of a checksum database: %w", key, err)
	}
	if direct == "" {
		direct = "https://" + verifier.Name()
	}
	if len(setting) > 1 {
		direct = strings.TrimRight(setting[1], "/")
	}
	ops := &sumOps{ctx: ctx, installer: i, base: direct, key: key, files: map[string][]byte{}}
	if through := proxy + "/sumdb/" + verifier.Name(); len(setting) < 2 {
		if _, err := i.text(ctx, through+"/supported", maxSums); err == nil {
			ops.base = through
		}
	}
	lines, err := sumdb.NewClient(ops).Lookup(toolchainModule, version)
	if err != nil {
		return "", fmt.Errorf("the checksum database says nothing of %s@%s: %w", toolchainModule, version, err)
	}
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) == 3 && fields[1] == version {
			return fields[2], nil
		}
	}
	return "", fmt.Errorf("the checksum database holds no checksum of %s@%s", toolchainModule, version)
}

// sumOps lets the client of the checksum database reach it. Nothing is kept: a job asks for one tree.
type sumOps struct {
	ctx       context.Context
	installer *Installer
	base, key string

	mu    sync.Mutex
	files map[string][]byte // guarded by mu
}

func (s *sumOps) ReadRemote(path string) ([]byte, error) {
	text, err := s.installer.text(s.ctx, s.base+path, maxSums)
	return []byte(text), err
}

func (s *sumOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(s.key), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[file], nil
}

func (s *sumOps) WriteConfig(file string, old, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Equal(s.files[file], old) {
		return sumdb.ErrWriteConflict
	}
	s.files[file] = content
	return nil
}

func (s *sumOps) ReadCache(string) ([]byte, error) { return nil, fs.ErrNotExist }
func (s *sumOps) WriteCache(string, []byte)        {}
func (s *sumOps) Log(string)                       {}

// SecurityError is told in the error of the lookup too.
func (s *sumOps) SecurityError(message string) { s.installer.Logf("##[error]%s", message) }
