package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"slipway"
)

const (
	maxChanges     = 1000     // files in one commit made by the server
	maxChangeBytes = 32 << 20 // their content in all
	maxNewMessage  = 64 << 10 // bytes of the message
)

// Change is one file of a commit that the server makes.
type Change struct {
	Path       string // from the root, with slashes
	Content    []byte
	From       string // when not empty: the file or folder whose content, as it was before the commit, Path gets; Content is ignored
	Executable bool
	Like       string // when not empty: the file whose mode Path gets, be it executable or a link, and which must be there
	New        bool   // there must be no file or folder of that name yet
	Delete     bool   // remove the file, or everything in the folder of that name; Content is ignored
}

// CommitRequest asks the server to make a commit.
type CommitRequest struct {
	Repository slipway.RepositoryID
	Branch     string           // made if it is missing
	Start      slipway.CommitID // when not zero: Branch is made anew and begins here; one that is there is a Conflict
	Expect     slipway.CommitID // when not zero: what the branch must be at, else it is a Conflict
	Changes    []Change
	Message    string
	Author     Signature // also the committer; a zero time means now
	Actor      slipway.Actor
}

// CommitFiles makes a commit of the changes on top of the branch, and announces it. When the branch moved meanwhile it
// is a Conflict.
func (s *Service) CommitFiles(ctx context.Context, req CommitRequest) (slipway.CommitID, error) {
	commits, err := s.CommitSeries(ctx, []CommitRequest{req})
	if err != nil {
		return "", err
	}
	return commits[0], nil
}

// maxSeries bounds the commits that are made at once.
const maxSeries = 100

// CommitSeries makes several commits of one branch, each on the one before, and moves the branch once: all come or none. Repository, Branch,
// Start, Expect and Actor are those of the first.
func (s *Service) CommitSeries(ctx context.Context, series []CommitRequest) ([]slipway.CommitID, error) {
	if len(series) == 0 || len(series) > maxSeries {
		return nil, slipway.Invalid("a push has 1 to %d commits", maxSeries)
	}
	size := 0
	for i := range series {
		req := &series[i]
		req.Repository, req.Branch, req.Actor = series[0].Repository, series[0].Branch, series[0].Actor
		if err := req.check(); err != nil {
			return nil, err
		}
		for _, c := range req.Changes {
			size += len(c.Content)
		}
	}
	if size > maxChangeBytes {
		return nil, slipway.Limit("the changed files have %d bytes in all, more than the %d allowed", size, maxChangeBytes)
	}
	was, parent, err := s.seriesStart(ctx, series[0])
	if err != nil {
		return nil, err
	}
	var commits []slipway.CommitID
	for _, req := range series {
		if err := s.checkSecrets(ctx, req, parent); err != nil {
			return nil, err
		}
		if parent, err = s.makeCommit(ctx, req, parent); err != nil {
			return nil, err
		}
		commits = append(commits, parent)
	}
	req := series[0]
	args := []string{"update-ref", branchPrefix + req.Branch, string(parent), string(was)} // an empty name says that there must be no such branch
	if _, err := s.git.run(ctx, command{dir: s.dir(req.Repository), args: args}); err != nil {
		return nil, slipway.Conflict("branch %s was changed by somebody else in the meantime", req.Branch).Because(err)
	}
	// The ref is on disk: whether the caller still waits does not matter to its event.
	if _, err := s.Announce(context.WithoutCancel(ctx), req.Repository, req.Actor, branchPrefix+req.Branch); err != nil {
		return nil, err
	}
	return commits, nil
}

// seriesStart is what a branch is at, and what the first of new commits is made on.
func (s *Service) seriesStart(ctx context.Context, req CommitRequest) (was, parent slipway.CommitID, err error) {
	if err := s.checkFilled(ctx, req.Repository); err != nil {
		return "", "", err
	}
	parent, err = s.Resolve(ctx, req.Repository, branchPrefix+req.Branch)
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		return "", "", err
	}
	if !req.Expect.IsZero() && parent != req.Expect {
		return "", "", slipway.Conflict("branch %s is not at %s any more", req.Branch, req.Expect.Short())
	}
	was = parent
	if !req.Start.IsZero() {
		if err := s.checkFree(ctx, req.Repository, branchPrefix+req.Branch); err != nil {
			return "", "", err
		}
		if parent, err = s.Resolve(ctx, req.Repository, string(req.Start)); err != nil {
			return "", "", err
		}
	}
	if !was.IsZero() {
		if err := s.checkDirect(ctx, req.Repository, branchPrefix+req.Branch); err != nil {
			return "", "", err
		}
	}
	return was, parent, nil
}

func (r CommitRequest) check() error {
	if err := checkBranch(r.Branch); err != nil {
		return err
	}
	if strings.TrimSpace(r.Message) == "" || len(r.Message) > maxNewMessage || strings.ContainsRune(r.Message, 0) {
		return slipway.Invalid("a commit needs a message of at most %d bytes", maxNewMessage)
	}
	if err := r.Author.check("an author"); err != nil {
		return err
	}
	if len(r.Changes) == 0 || len(r.Changes) > maxChanges {
		return slipway.Invalid("a commit needs 1 to %d changed files", maxChanges)
	}
	size := 0
	for _, c := range r.Changes {
		if c.Path == "" || !c.Delete { // what is there can go, whatever its name
			if err := checkNewPath(c.Path); err != nil {
				return err
			}
		}
		if err := errors.Join(checkPath(c.Path), checkPath(c.From), checkPath(c.Like)); err != nil {
			return err
		}
		size += len(c.Content)
	}
	if size > maxChangeBytes {
		return slipway.Limit("the changed files have %d bytes in all, more than the %d allowed", size, maxChangeBytes)
	}
	return nil
}

// checkNewPath refuses what git would not check out everywhere; git's own check (protectHFS, protectNTFS) follows.
func checkNewPath(path string) error {
	p := slipway.Invalid("%q cannot be the path of a file", shorten(path, 100))
	p.Field = "path"
	if path == "" || len(path) > 1024 || strings.ContainsAny(path, "\x00\n\t\"\\") {
		return p
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || len(part) > 255 {
			return p
		}
	}
	return nil
}

// makeCommit writes the objects by way of an index of its own and returns the commit, to which no ref points yet.
func (s *Service) makeCommit(ctx context.Context, req CommitRequest, parent slipway.CommitID) (slipway.CommitID, error) {
	work, err := os.MkdirTemp(s.git.scratch, "commit-")
	if err != nil {
		return "", fmt.Errorf("make folder for a commit: %w", err)
	}
	defer os.RemoveAll(work)
	w := writer{s: s, dir: s.dir(req.Repository), work: work}
	w.env = append(w.env, "GIT_INDEX_FILE="+filepath.Join(work, "index"))
	if !parent.IsZero() {
		if _, err := w.git(ctx, nil, "read-tree", string(parent)); err != nil {
			return "", err
		}
	}
	if err := w.index(ctx, req.Changes); err != nil {
		return "", err
	}
	tree, err := w.git(ctx, nil, "write-tree")
	if err != nil {
		return "", err
	}
	if !parent.IsZero() {
		was, err := w.git(ctx, nil, "rev-parse", "--verify", string(parent)+"^{tree}")
		if err != nil {
			return "", err
		}
		if was == tree {
			return "", slipway.Invalid("the commit would change nothing: branch %s has these files already", req.Branch)
		}
	}
	who := req.Author
	if who.Time.IsZero() {
		who.Time = s.clock.Now()
	}
	c := newCommit{tree: tree, message: req.Message, author: who, committer: who}
	if !parent.IsZero() {
		c.parents = []slipway.CommitID{parent}
	}
	return s.writeCommit(ctx, req.Repository, c)
}

// writer runs the steps of one commit.
type writer struct {
	s    *Service
	dir  string
	work string
	env  []string
}

func (w *writer) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	out, err := w.s.git.run(ctx, command{dir: w.dir, args: args, env: w.env, stdin: bytes.NewReader(stdin)})
	if err != nil {
		return "", fmt.Errorf("make commit: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// index stores the files' contents and enters them.
func (w *writer) index(ctx context.Context, changes []Change) error {
	var files bytes.Buffer // of hash-object: one name a line
	for i, c := range changes {
		if c.Delete || c.From != "" {
			continue
		}
		name := filepath.Join(w.work, fmt.Sprintf("file-%d", i))
		if err := os.WriteFile(name, c.Content, 0o600); err != nil {
			return fmt.Errorf("write file for a commit: %w", err)
		}
		files.WriteString(name + "\n")
	}
	out, err := w.git(ctx, files.Bytes(), "hash-object", "-w", "--no-filters", "--stdin-paths")
	if err != nil {
		return err
	}
	objects := strings.Fields(out)
	modes, err := w.modes(ctx, changes)
	if err != nil {
		return err
	}
	var lines bytes.Buffer // of update-index, each ended by a NUL: names may hold anything else
	for _, c := range changes {
		if c.Delete || c.From != "" {
			add := w.remove
			if c.From != "" {
				add = w.copy
			}
			if err := add(ctx, c, &lines); err != nil {
				return err
			}
			continue
		}
		mode := modes[c.Like]
		switch {
		case mode != "":
		case c.Executable:
			mode = "100755"
		default:
			mode = "100644"
		}
		fmt.Fprintf(&lines, "%s %s\t%s\x00", mode, objects[0], c.Path)
		objects = objects[1:]
	}
	if _, err := w.git(ctx, lines.Bytes(), "update-index", "--add", "--replace", "-z", "--index-info"); err != nil {
		return slipway.Invalid("git does not accept the paths of these files").Because(err)
	}
	return nil
}

// remove enters the removal of a file or of all files of a folder.
func (w *writer) remove(ctx context.Context, c Change, lines *bytes.Buffer) error {
	entries, err := w.entries(ctx, c.Path)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return slipway.NotFound("there is no file %q to delete", c.Path)
	}
	for _, e := range entries {
		fmt.Fprintf(lines, "0 %s\t%s\x00", formatOf(e.object).NoObject(), e.name)
	}
	return nil
}

// copy enters a file, or all files of a folder, by another name.
func (w *writer) copy(ctx context.Context, c Change, lines *bytes.Buffer) error {
	from := strings.Trim(c.From, "/")
	entries, err := w.entries(ctx, from)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return slipway.NotFound("there is no file %q", from)
	}
	for _, e := range entries {
		fmt.Fprintf(lines, "%s %s\t%s\x00", e.mode, e.object, c.Path+strings.TrimPrefix(e.name, from))
	}
	return nil
}

// indexEntry is a file of the index as it was read from the parent.
type indexEntry struct{ mode, object, name string }

// modes are those of the files that changes are like. What should be there and is not, or is and should not, is refused.
func (w *writer) modes(ctx context.Context, changes []Change) (map[string]string, error) {
	var paths []string
	for _, c := range changes {
		if c.Like != "" {
			paths = append(paths, c.Like)
		}
		if c.New {
			paths = append(paths, c.Path)
		}
	}
	modes, folders := map[string]string{}, map[string]bool{}
	if len(paths) == 0 {
		return modes, nil
	}
	entries, err := w.entries(ctx, paths...)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		modes[e.name] = e.mode
		for at := path.Dir(e.name); at != "."; at = path.Dir(at) {
			folders[at] = true
		}
	}
	for _, c := range changes {
		switch {
		case c.Like != "" && modes[c.Like] == "":
			return nil, slipway.NotFound("there is no file %s", c.Like)
		case c.New && modes[c.Path] != "":
			return nil, slipway.Conflict("there is a file %s already", c.Path)
		case c.New && folders[c.Path]:
			return nil, slipway.Conflict("there is a folder %s already", c.Path)
		}
	}
	return modes, nil
}

// entries are the files of those names, and the files of those folders.
func (w *writer) entries(ctx context.Context, paths ...string) ([]indexEntry, error) {
	out, err := w.git(ctx, nil, append([]string{"--literal-pathspecs", "ls-files", "-z", "--stage", "--"}, paths...)...)
	if err != nil || out == "" {
		return nil, err
	}
	var list []indexEntry
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		head, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head) // mode, object, stage
		if len(fields) != 3 {
			return nil, fmt.Errorf("make commit: git lists %q", line)
		}
		list = append(list, indexEntry{fields[0], fields[1], name})
	}
	return list, nil
}
