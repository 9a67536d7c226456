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

	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/pipelines/job"
)

// source is a repository of its own that borrows the objects of the user's and holds the working tree as a commit.
type source struct {
	top     string // the working tree
	folder  string // the borrowing repository
	objects string // the folder of the user's objects, "" in a folder without git
	branch  string // full name; that of a detached head is refs/heads/HEAD
	name    string // of the repository, for people
	author  string
	email   string
	// promisor is the remote from which a partial clone gets objects when they are asked for; "" for a whole one.
	promisor string
}

// snapshot is the working tree at one moment.
type snapshot struct {
	commit  slipway.CommitID
	tree    string
	message string
}

// openSource prepares the repository in folder, which must not be there yet. Each start of git costs milliseconds, so that what can be
// asked at once is, and the rest at the same time.
func openSource(ctx context.Context, top, folder string) (*source, error) {
	top, err := filepath.Abs(top) // git runs in it, and its objects are named from another folder
	if err != nil {
		return nil, fmt.Errorf("find the working tree: %w", err)
	}
	s := &source{top: top, folder: folder, name: filepath.Base(top), branch: "refs/heads/HEAD", author: "nobody", email: "nobody@localhost"}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, slipway.Unavailable("there is no git on this machine: install it")
	}
	if _, err := os.Stat(top); err != nil {
		return nil, slipway.Invalid("%s cannot be read: %v", top, err)
	}
	var all errgroup.Group
	all.Go(func() error { return s.borrow(ctx) })
	all.Go(func() error {
		if branch, err := s.user(ctx, "symbolic-ref", "--quiet", "HEAD"); err == nil {
			s.branch = branch
		}
		return nil
	})
	all.Go(func() error {
		settings, _ := s.user(ctx, "config", "--get-regexp", `^(user\.(name|email)|remote\..*\.promisor)$`) // an error says that there are none
		for line := range strings.Lines(settings) {
			switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); {
			case value == "":
			case name == "user.name":
				s.author = value
			case name == "user.email":
				s.email = value
			case value == "true":
				s.promisor = strings.TrimSuffix(strings.TrimPrefix(name, "remote."), ".promisor")
			}
		}
		return nil
	})
	return s, all.Wait()
}

// borrow makes the repository, which sees the user's objects and refs, and what is ignored there. Its files are those of
// gitrepository-layout(5).
func (s *source) borrow(ctx context.Context) error {
	var refs string
	var all errgroup.Group
	all.Go(func() (err error) {
		refs, err = s.user(ctx, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", "refs/remotes")
		return err
	})
	const format, objects = 0, 1
	names := []string{"", "objects", "index", "shallow", "info/exclude"}
	args := []string{"rev-parse", "--show-object-format"}
	for _, name := range names[objects:] {
		args = append(args, "--git-path", name)
	}
	out, err := s.user(ctx, args...)
	said := strings.Split(out, "\n")
	refsErr := all.Wait()
	if err != nil {
		return s.plain(err)
	}
	if refsErr != nil {
		return refsErr
	}
	if len(said) != len(names) {
		return fmt.Errorf("git rev-parse answered %q", out)
	}
	if said[format] != "sha1" {
		return slipway.Unsupported("%s is a git repository with %s names of objects: a run on this machine takes one with sha1, git's default", s.top, said[format])
	}
	for i := objects; i < len(said); i++ {
		if !filepath.IsAbs(said[i]) {
			said[i] = filepath.Join(s.top, said[i])
		}
	}
	s.objects = said[objects]
	files := map[string]string{"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
		"objects/info/alternates": s.objects + "\n"}
	if refs != "" {
		files["packed-refs"] = refs + "\n"
	}
	for i := objects + 1; i < len(names); i++ {
		b, err := os.ReadFile(said[i])
		if err == nil {
			files[names[i]] = string(b)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read the repository's %s: %w", names[i], err)
		}
	}
	return s.lay(files)
}

// plain makes the repository of a folder that is in none of git's: all of its files are taken. What git refuses for another reason it says.
func (s *source) plain(refused error) error {
	if !strings.Contains(refused.Error(), "not a git repository") {
		return slipway.Invalid("%s cannot be read by git", s.top).Because(refused)
	}
	s.objects = ""
	return s.lay(map[string]string{"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"})
}

// lay writes the files of the repository.
func (s *source) lay(files map[string]string) error {
	for _, folder := range []string{"objects/info", "objects/pack", "refs", "info"} {
		if err := os.MkdirAll(filepath.Join(s.folder, folder), 0o755); err != nil {
			return fmt.Errorf("borrow the repository's objects: %w", err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("borrow the repository's objects: %w", err)
		}
	}
	return nil
}

// take makes a commit of the working tree: that of HEAD if nothing is changed. Files that git ignores are not in it.
func (s *source) take(ctx context.Context) (snapshot, error) {
	var tree, last string
	var headErr error
	var all errgroup.Group
	all.Go(func() error {
		_, err := s.own(ctx, "add", "--all")
		if err == nil {
			tree, err = s.own(ctx, "write-tree")
		}
		if err != nil {
			return fmt.Errorf("read the working tree: %w", err)
		}
		return s.complete(ctx, tree)
	})
	all.Go(func() error {
		last, headErr = s.user(ctx, "log", "-1", "--no-show-signature", "--format=%H %T%n%B", "HEAD")
		return nil
	})
	if err := all.Wait(); err != nil {
		return snapshot{}, err
	}
	if headErr != nil { // a folder without git, a repository without a commit, or a broken one
		if s.objects != "" {
			if _, err := s.user(ctx, "rev-parse", "--quiet", "--verify", "HEAD"); err == nil {
				return snapshot{}, headErr
			}
		}
		commit, err := s.own(ctx, "commit-tree", tree, "-m", "working tree")
		return snapshot{slipway.CommitID(commit), tree, "working tree"}, err
	}
	ids, message, _ := strings.Cut(last, "\n")
	head, headTree, _ := strings.Cut(ids, " ")
	if headTree == tree {
		return snapshot{slipway.CommitID(head), tree, message}, nil
	}
	commit, err := s.own(ctx, "commit-tree", tree, "-p", head, "-m", "working tree")
	return snapshot{slipway.CommitID(commit), tree, message}, err
}

// complete gets what a partial clone has not of a tree, as a checkout of all of it in the clone would: into the clone, from its remote.
func (s *source) complete(ctx context.Context, tree string) error {
	if s.promisor == "" {
		return nil
	}
	list, err := s.own(ctx, "rev-list", "--objects", "--missing=print", tree)
	if err != nil {
		return fmt.Errorf("look for what the partial clone lacks: %w", err)
	}
	var missing strings.Builder
	for line := range strings.Lines(list) {
		if name, lacks := strings.CutPrefix(line, "?"); lacks {
			missing.WriteString(strings.TrimSuffix(name, "\n") + "\n")
		}
	}
	if missing.Len() == 0 {
		return nil
	}
	if _, err := run(ctx, s.top, strings.NewReader(missing.String()), "git", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no",
		"--filter=blob:none", "--stdin", s.promisor); err != nil {
		return slipway.Unavailable("%s is a partial clone, and the files that it lacks cannot be fetched from its remote %s", s.top, s.promisor).Because(err)
	}
	return nil
}

// changes lists the files in which two trees differ, but for those in a folder.
func (s *source) changes(ctx context.Context, before, after, without string) ([]string, error) {
	args := []string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after, "--", ":(top)"}
	if folder, err := filepath.Abs(without); without != "" && err == nil {
		if below, err := filepath.Rel(s.top, folder); err == nil && filepath.IsLocal(below) && below != "." {
			args = append(args, ":(top,exclude,literal)"+below)
		}
	}
	out, err := s.own(ctx, args...)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), nil
}

// url is where a checkout fetches from.
func (s *source) url() string { return "file://" + s.folder }

// repository is what a checkout of the snapshot gets.
func (s *source) repository(snap snapshot) job.Repository {
	return job.Repository{Name: s.name, URL: s.url(), Ref: s.branch, Commit: snap.commit, Objects: filepath.Join(s.folder, "objects")}
}

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
