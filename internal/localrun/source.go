package localrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway"
)

// source is a repository of its own that borrows the objects of the user's and holds the working tree as a commit.
type source struct {
	top     string // the working tree
	folder  string // the borrowing repository
	objects string // the folder of the user's objects
	branch  string // full name; that of a detached head is refs/heads/HEAD
	name    string // of the repository, for people
	author  string
	email   string
}

// snapshot is the working tree at one moment.
type snapshot struct {
	commit  slipway.CommitID
	tree    string
	message string
}

// openSource prepares the repository in folder, which must not be there yet.
func openSource(ctx context.Context, top, folder string) (*source, error) {
	s := &source{top: top, folder: folder, name: filepath.Base(top)}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, slipway.Unavailable("there is no git on this machine: install it")
	}
	if _, err := s.user(ctx, "rev-parse", "--git-dir"); err != nil {
		return nil, slipway.Invalid("%s is no git repository: run git init in it", top)
	}
	if _, err := run(ctx, top, nil, "git", "init", "--quiet", "--bare", folder); err != nil {
		return nil, err
	}
	if err := s.borrow(ctx); err != nil {
		return nil, err
	}
	s.branch = "refs/heads/HEAD"
	if branch, err := s.user(ctx, "symbolic-ref", "--quiet", "HEAD"); err == nil {
		s.branch = branch
	}
	if s.author, _ = s.user(ctx, "config", "user.name"); s.author == "" {
		s.author = "nobody"
	}
	if s.email, _ = s.user(ctx, "config", "user.email"); s.email == "" {
		s.email = "nobody@localhost"
	}
	return s, nil
}

// borrow lets the repository see the user's objects and refs, and what is ignored there.
func (s *source) borrow(ctx context.Context) error {
	paths := map[string]string{}
	for _, name := range []string{"objects", "index", "shallow", "info/exclude"} {
		path, err := s.user(ctx, "rev-parse", "--git-path", name)
		if err != nil {
			return err
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.top, path)
		}
		paths[name] = path
	}
	s.objects = paths["objects"]
	if err := os.WriteFile(filepath.Join(s.folder, "objects", "info", "alternates"), []byte(paths["objects"]+"\n"), 0o644); err != nil {
		return fmt.Errorf("borrow the repository's objects: %w", err)
	}
	for _, name := range []string{"index", "shallow", "info/exclude"} {
		b, err := os.ReadFile(paths[name])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(s.folder, name), b, 0o600)
		}
		if err != nil {
			return fmt.Errorf("read the repository's %s: %w", name, err)
		}
	}
	refs, err := s.user(ctx, "for-each-ref", "--format=create %(refname) %(objectname)", "refs/heads", "refs/tags", "refs/remotes")
	if err != nil {
		return err
	}
	_, err = run(ctx, s.top, strings.NewReader(refs+"\n"), "git", "--git-dir", s.folder, "update-ref", "--stdin")
	return err
}

// take makes a commit of the working tree: that of HEAD if nothing is changed. Files that git ignores are not in it.
func (s *source) take(ctx context.Context) (snapshot, error) {
	if _, err := s.own(ctx, "add", "--all"); err != nil {
		return snapshot{}, fmt.Errorf("read the working tree: %w", err)
	}
	tree, err := s.own(ctx, "write-tree")
	if err != nil {
		return snapshot{}, fmt.Errorf("read the working tree: %w", err)
	}
	head, err := s.user(ctx, "rev-parse", "--quiet", "--verify", "HEAD")
	if err != nil { // a repository without a commit
		commit, err := s.own(ctx, "commit-tree", tree, "-m", "working tree")
		return snapshot{slipway.CommitID(commit), tree, "working tree"}, err
	}
	message, err := s.user(ctx, "log", "-1", "--format=%B", head)
	if err != nil {
		return snapshot{}, err
	}
	if same, err := s.user(ctx, "rev-parse", head+"^{tree}"); err == nil && same == tree {
		return snapshot{slipway.CommitID(head), tree, message}, nil
	}
	commit, err := s.own(ctx, "commit-tree", tree, "-p", head, "-m", "working tree")
	return snapshot{slipway.CommitID(commit), tree, message}, err
}

// url is where a checkout fetches from.
func (s *source) url() string { return "file://" + s.folder }

// user runs git in the user's repository, which it only reads.
func (s *source) user(ctx context.Context, args ...string) (string, error) {
	return run(ctx, s.top, nil, "git", append([]string{"--no-optional-locks"}, args...)...)
}

// own runs git in the borrowing repository, on the user's working tree.
func (s *source) own(ctx context.Context, args ...string) (string, error) {
	return run(ctx, s.top, nil, "git", append([]string{"--git-dir", s.folder, "--work-tree", s.top, "-c", "user.name=" + s.author, "-c", "user.email=" + s.email,
		"-c", "core.bare=false"}, args...)...)
}

func run(ctx context.Context, dir string, in *strings.Reader, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if in != nil {
		cmd.Stdin = in
	}
	// A run that is started by a hook of git must not meet the hook's repository.
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "GIT_DIR=") && !strings.HasPrefix(pair, "GIT_INDEX_FILE=") && !strings.HasPrefix(pair, "GIT_WORK_TREE=") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
