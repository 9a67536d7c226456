package mirror

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/gitremote"
)

// Limits of one fetch.
const (
	// MaxBytes bounds what a fetch takes from the network.
	MaxBytes = 2 << 30
	// FetchTime bounds how long it takes.
	FetchTime = 5 * time.Minute
	stopGrace = 5 * time.Second
	maxStderr = 8 << 10
)

// Options are those of a Store.
type Options struct {
	// Folder holds the mirrors.
	Folder string
	// Networks are those that may be reached besides public addresses.
	Networks []netip.Prefix
	// MaxBytes is MaxBytes when 0.
	MaxBytes int64
}

// Store is the mirrors of one installation. It is safe for concurrent use.
type Store struct {
	options Options
	git     string

	mu    sync.Mutex
	locks map[string]*sync.Mutex // by folder: one fetch at a time
	swept map[string]bool        // folders in which nothing of a process before is left
}

// Open makes a store; without the program git it is an error.
func Open(o Options) (*Store, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, slipway.Unavailable("the program git is not installed: install Debian's package git").Because(err)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = MaxBytes
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of mirrors: %w", err)
	}
	return &Store{options: o, git: path, locks: map[string]*sync.Mutex{}, swept: map[string]bool{}}, nil
}

// Remote is a repository of another host.
type Remote struct {
	// Owner parts mirrors: what one owner fetched with its credentials, another does not see.
	Owner string
	URL   string // http or https, without a user
	// User and Password are those of basic authentication; both are "" without one.
	User, Password string
}

func (r *Remote) check() error {
	remote := r.remote()
	if remote.SSH() {
		return slipway.Invalid("%.200q is no URL of a git repository: it begins with https:// or http://, and has no user in it", r.URL)
	}
	return remote.Check()
}

func (r *Remote) remote() gitremote.Remote {
	return gitremote.Remote{URL: r.URL, User: r.User, Password: r.Password}
}

// folder is where the mirror is; what two users of one host may see differs, and so do their mirrors.
func (s *Store) folder(r Remote) string {
	sum := sha256.Sum256([]byte(r.Owner + "\x00" + r.URL + "\x00" + r.User))
	return filepath.Join(s.options.Folder, hex.EncodeToString(sum[:16])+".git")
}

func (s *Store) lock(folder string) func() {
	s.mu.Lock()
	m := s.locks[folder]
	if m == nil {
		m = &sync.Mutex{}
		s.locks[folder] = m
	}
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

var refName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^refs/[A-Za-z0-9][A-Za-z0-9._/+@=-]{0,250}$`) })

// FullRef is the full name of a ref: main is refs/heads/main.
func FullRef(ref string) string {
	if !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	return ref
}

// Fetch brings what a ref names now, with all of its history if whole is set, and returns the commit. An absent repository or
// ref, and credentials that are refused, are problems of CodeNotFound.
func (s *Store) Fetch(ctx context.Context, r Remote, ref string, whole bool) (slipway.CommitID, error) {
	ref = FullRef(ref)
	if err := r.check(); err != nil {
		return "", err
	}
	if !refName().MatchString(ref) || strings.Contains(ref, "..") || strings.Contains(ref, "//") || strings.HasSuffix(ref, ".lock") {
		return "", slipway.Invalid("%.200q is no ref: write a branch, or refs/heads/BRANCH or refs/tags/TAG", ref)
	}
	folder := s.folder(r)
	defer s.lock(folder)()
	if err := s.fetch(ctx, folder, r, "+"+ref+":"+ref, whole); err != nil {
		return "", err
	}
	out, err := s.run(ctx, folder, nil, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		return "", slipway.NotFound("%s of %s names no commit", ref, r.URL).Because(err)
	}
	commit := slipway.CommitID(strings.TrimSpace(string(out)))
	return commit, s.pin(ctx, folder, commit)
}

// pin keeps a commit when its branch goes on without it.
func (s *Store) pin(ctx context.Context, folder string, commit slipway.CommitID) error {
	if _, err := s.run(ctx, folder, nil, "update-ref", "refs/slipway/"+string(commit), string(commit)); err != nil {
		return fmt.Errorf("keep commit %s: %w", commit, err)
	}
	return nil
}

var commitName = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// Ensure makes sure that a commit that a ref named once is there, with all of its history if whole is set.
func (s *Store) Ensure(ctx context.Context, r Remote, ref string, commit slipway.CommitID, whole bool) error {
	if err := r.check(); err != nil {
		return err
	}
	if !commitName.MatchString(string(commit)) {
		return slipway.Invalid("%.100q is no commit", commit)
	}
	folder := s.folder(r)
	defer s.lock(folder)()
	if s.has(ctx, folder, commit) && (!whole || !shallow(folder)) {
		return nil
	}
	ref = FullRef(ref)
	if err := s.fetch(ctx, folder, r, "+"+ref+":"+ref, whole); err != nil && (!s.has(ctx, folder, commit) || whole && shallow(folder)) {
		return err
	}
	if !s.has(ctx, folder, commit) { // the branch has gone on
		if err := s.fetch(ctx, folder, r, "+"+string(commit)+":refs/slipway/"+string(commit), whole); err != nil {
			return err
		}
	}
	return s.pin(ctx, folder, commit)
}

func (s *Store) has(ctx context.Context, folder string, commit slipway.CommitID) bool {
	if _, err := os.Stat(folder); err != nil {
		return false
	}
	_, err := s.run(ctx, folder, nil, "cat-file", "-e", string(commit)+"^{tree}")
	return err == nil
}

func shallow(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "shallow"))
	return err == nil
}

// fetch brings what a refspec names.
func (s *Store) fetch(ctx context.Context, folder string, r Remote, spec string, whole bool) error {
	ctx, cancel := context.WithTimeout(ctx, FetchTime)
	defer cancel()
	fresh := false
	if _, err := os.Stat(filepath.Join(folder, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		fresh = true
		if err := s.initialize(ctx, folder, "sha1"); err != nil {
			return err
		}
	}
	if err := s.sweep(folder); err != nil {
		return err
	}
	access, err := gitremote.Open(r.remote(), gitremote.Options{Networks: s.options.Networks, MaxBytes: s.options.MaxBytes})
	if err != nil {
		return err
	}
	defer access.Close()
	args := []string{"fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"}
	switch {
	case whole && shallow(folder):
		args = append(args, "--unshallow")
	case !whole && (fresh || shallow(folder) || s.empty(ctx, folder)):
		args = append(args, "--depth=1")
	}
	_, err = s.run(ctx, folder, access.Settings(), append(args, r.URL, spec)...)
	if err != nil && strings.Contains(err.Error(), "mismatched algorithms") && s.empty(ctx, folder) { // it names its objects by SHA-256
		if err := errors.Join(os.RemoveAll(folder), s.initialize(ctx, folder, "sha256")); err != nil {
			return err
		}
		_, err = s.run(ctx, folder, access.Settings(), append(args, r.URL, spec)...)
	}
	if err == nil {
		return nil
	}
	return access.Failure(ctx, "fetched", err)
}

func (s *Store) initialize(ctx context.Context, folder, format string) error {
	if _, err := s.run(ctx, s.options.Folder, nil, "init", "--bare", "--quiet", "--template=", "--object-format="+format, folder); err != nil {
		return fmt.Errorf("make a mirror: %w", err)
	}
	return nil
}

// sweep removes the lock files that git left behind when a server was killed, once.
func (s *Store) sweep(folder string) error {
	s.mu.Lock()
	swept := s.swept[folder]
	s.swept[folder] = true
	s.mu.Unlock()
	if swept {
		return nil
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock") {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("clear a mirror: %w", err)
	}
	return nil
}

func (s *Store) empty(ctx context.Context, folder string) bool {
	out, err := s.run(ctx, folder, nil, "for-each-ref", "--count=1")
	return err == nil && len(out) == 0
}

// ReadFile reads a file of a commit that has been fetched, of at most limit bytes. An absent one is CodeNotFound.
func (s *Store) ReadFile(ctx context.Context, r Remote, commit slipway.CommitID, path string, limit int64) ([]byte, error) {
	if !commitName.MatchString(string(commit)) || path == "" || strings.ContainsAny(path, "\n\x00") {
		return nil, slipway.NotFound("there is no file %q", path)
	}
	out, err := s.runInput(ctx, s.folder(r), nil, strings.NewReader(string(commit)+":"+path+"\n"), limit+1<<10, "cat-file", "--batch")
	if errors.Is(err, errTooLong) {
		return nil, slipway.Limit("file %s of %s has more than %d bytes", path, r.URL, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", path, r.URL, err)
	}
	in := bufio.NewReader(bytes.NewReader(out))
	head, err := in.ReadString('\n')
	fields := strings.Fields(head)
	if err != nil || len(fields) != 3 || fields[1] != "blob" {
		return nil, slipway.NotFound("there is no file %s in %s at %s", path, r.URL, commit)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size > limit {
		return nil, slipway.Limit("file %s of %s has more than %d bytes", path, r.URL, limit)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", path, r.URL, err)
	}
	return data, nil
}

// Serve answers a git client that fetches from the mirror; rest is the path below it: info/refs or git-upload-pack.
func (s *Store) Serve(w http.ResponseWriter, req *http.Request, r Remote, rest string) error {
	fetches := rest == "git-upload-pack" && req.Method == http.MethodPost ||
		rest == "info/refs" && req.Method == http.MethodGet && req.URL.Query().Get("service") == "git-upload-pack"
	if !fetches {
		return slipway.Forbidden("a repository of another host is only fetched here")
	}
	folder := s.folder(r)
	if _, err := os.Stat(folder); err != nil {
		return slipway.NotFound("the repository is not mirrored")
	}
	inner := req.Clone(req.Context())
	inner.URL.Path, inner.URL.RawPath = "/"+filepath.Base(folder)+"/"+rest, ""
	inner.Header.Del("Authorization")
	handler := cgi.Handler{Path: s.git, Args: []string{"http-backend"}, Dir: s.options.Folder, Root: "/",
		Env: append(s.environment([]string{"uploadpack.allowAnySHA1InWant=true", "uploadpack.allowFilter=true", "transfer.hideRefs=refs/slipway", "http.receivepack=false"}),
			"GIT_PROJECT_ROOT="+s.options.Folder, "GIT_HTTP_EXPORT_ALL=1")}
	handler.ServeHTTP(w, inner)
	return nil
}

var errTooLong = errors.New("the output is too long")

func (s *Store) environment(config []string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.options.Folder, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_ALLOW_PROTOCOL=http:https", "GIT_NO_REPLACE_OBJECTS=1"}
	for _, name := range []string{"GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	config = append([]string{"safe.directory=*", "gc.auto=0", "maintenance.auto=false", "core.fsync=all", "core.hooksPath=/dev/null", "fetch.unpackLimit=1", "init.defaultBranch=main"}, config...)
	for i, setting := range config {
		key, value, _ := cutLast(setting)
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(config)))
}

// cutLast parts KEY=VALUE where the key's last part ends: a URL in a key may hold an equals sign.
func cutLast(setting string) (key, value string, ok bool) {
	if i := strings.Index(setting, ".extraHeader="); i >= 0 {
		return setting[:i+len(".extraHeader")], setting[i+len(".extraHeader="):], true
	}
	return strings.Cut(setting, "=")
}

func (s *Store) run(ctx context.Context, folder string, config []string, args ...string) ([]byte, error) {
	return s.runInput(ctx, folder, config, nil, 1<<20, args...)
}

// runInput runs git, whose output has at most limit bytes.
func (s *Store) runInput(ctx context.Context, folder string, config []string, input io.Reader, limit int64, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.git, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = folder, s.environment(config), input
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopGrace
	out, complaints := &limitedBuffer{limit: limit}, &limitedBuffer{limit: maxStderr, drop: true}
	cmd.Stdout, cmd.Stderr = out, complaints
	err := cmd.Run()
	if out.over {
		return nil, errTooLong
	}
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(complaints.String()))
	}
	return out.Bytes(), nil
}

// limitedBuffer keeps the beginning; one that does not drop the rest fails the writer.
type limitedBuffer struct {
	bytes.Buffer
	limit      int64
	drop, over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := b.limit - int64(b.Len())
	if int64(len(p)) <= room {
		return b.Buffer.Write(p)
	}
	b.Buffer.Write(p[:max(room, 0)])
	if b.drop {
		return len(p), nil
	}
	b.over = true
	return 0, errTooLong
}
