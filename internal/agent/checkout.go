package agent

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// checkout fetches a repository with the image's git, or that of the pool's image.
func (t *task) checkout(c *plan.Checkout) error {
	alias := strings.ToLower(t.text(c.Repository))
	if alias == "none" {
		t.log.Printf("Nothing is checked out.")
		return nil
	}
	repo, ok := t.work.Repositories[alias]
	if !ok {
		return fmt.Errorf("repository %s is not here: give its folder with --repository %[1]s=FOLDER", c.Repository) // a server knows all
	}
	dir, err := t.checkoutFolder(c, alias, &repo)
	if err != nil {
		return err
	}
	if err := t.findGit(t.flag(c.LFS, false)); err != nil {
		return err
	}
	g := gitFolder{t, dir, &repo}
	if err := g.prepare(t.flag(c.Clean, false)); err != nil {
		return err
	}
	if err := g.fetch(c); err != nil {
		return err
	}
	if err := g.sparse(c); err != nil {
		return err
	}
	if err := g.remote("checkout", "--force", "--detach", string(repo.Commit)); err != nil {
		return err
	}
	if err := g.extras(c); err != nil {
		return err
	}
	if t.flag(c.PersistCredentials, false) {
		if err := g.git("config", g.headerKey(), g.header()); err != nil {
			return err
		}
	}
	t.log.Printf("%s is at %s", repo.Name, repo.Commit)
	if alias == "self" {
		t.sourcesAt(dir)
	}
	if t.flag(c.WorkspaceRepo, false) {
		t.workAt(dir)
	}
	return nil
}

// checkoutFolder is where the files go: s, or s/NAME when the job has several checkouts, or the path that the step says.
func (t *task) checkoutFolder(c *plan.Checkout, alias string, repo *job.Repository) (string, error) {
	if path := t.text(c.Path); path != "" {
		dir := filepath.Join(t.folders.workspace, path)
		if rel, err := filepath.Rel(t.folders.workspace, dir); err != nil || rel == "." || strings.HasPrefix(rel, "..") || filepath.IsAbs(path) {
			return "", fmt.Errorf("path %q must be a folder below $(Pipeline.Workspace)", path)
		}
		return dir, nil
	}
	if !t.severalCheckouts() {
		return t.folders.checkouts, nil
	}
	name := filepath.Base(repo.Name)
	if name == "." || name == "/" {
		name = alias
	}
	return filepath.Join(t.folders.checkouts, name), nil
}

// severalCheckouts reports a job that checks out more than once.
func (t *task) severalCheckouts() bool {
	several := 0
	for _, st := range t.work.Steps {
		if st.Checkout != nil && !strings.EqualFold(st.Checkout.Repository, "none") {
			several++
		}
	}
	return several > 1
}

// sourcesAt tells later steps where the run's own repository is. Build.SourcesDirectory is that of the only checkout, and with several
// ones s, wherever they are.
func (t *task) sourcesAt(dir string) {
	several := t.severalCheckouts()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runner.vars.Put(variable.BuildRepositoryLocalPath, variable.Value{Text: dir, ReadOnly: true})
	if several {
		return
	}
	t.folders.sources = dir
	for _, name := range []string{variable.BuildSourcesDirectory, variable.SystemDefaultWorkingDirectory} {
		t.runner.vars.Put(name, variable.Value{Text: dir, ReadOnly: true})
	}
}

// workAt makes a checkout the place where later steps begin (workspaceRepo; System.DefaultWorkingDirectory, as the pull request 3479 of
// microsoft/azure-pipelines-agent has it). Build.SourcesDirectory stays.
func (t *task) workAt(dir string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.folders.sources = dir
	t.runner.vars.Put(variable.SystemDefaultWorkingDirectory, variable.Value{Text: dir, ReadOnly: true})
}

// gitFolder is a working tree under the hands of git.
type gitFolder struct {
	*task
	dir  string
	repo *job.Repository
}

// header authenticates git at the server with the job's token.
func (g gitFolder) header() string {
	secret := base64.StdEncoding.EncodeToString([]byte("job:" + g.config.Token))
	g.mask.Add(secret)
	return "Authorization: Basic " + secret
}

// headerKey is for all of this server, where submodules lie too. The token opens the job's project alone.
func (g gitFolder) headerKey() string {
	server := g.repo.URL
	if u, err := url.Parse(g.repo.URL); err == nil && u.Host != "" {
		server = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
	}
	return "http." + server + ".extraHeader"
}

// git runs git in the folder. Credentials go by the environment, so that neither the disk nor a list of processes shows them.
func (g gitFolder) git(args ...string) error {
	g.log.Printf("##[command]git %s", strings.Join(args, " "))
	return g.run(g.command(args...))
}

const (
	// remoteAttempts is how often git is asked for what it gets from a server, as Azure's agent does (GitSourceProvider).
	remoteAttempts = 3
	// remoteWait is that before the second attempt; before the third it is three times as long.
	remoteWait = time.Second
)

// remote runs a command of git's that gets something from a server. One that fails is run again, once this server answers: it may have started
// anew, or the network have been away, which breaks what git was getting.
func (g gitFolder) remote(args ...string) error {
	wait := remoteWait
	for attempt := 1; ; attempt++ {
		err := g.git(args...)
		var exit errExit
		if !errors.As(err, &exit) || attempt == remoteAttempts || g.ctx.Err() != nil {
			return err
		}
		g.log.Printf("%v: trying again, attempt %d of %d", err, attempt+1, remoteAttempts)
		if !pause(g.ctx, wait) {
			return err
		}
		if err := g.client.await(g.ctx); err != nil {
			return err
		}
		wait *= 3
	}
}

func (g gitFolder) command(args ...string) process {
	env := map[string]string{
		"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": "3", "LC_ALL": "C.UTF-8",
		"GIT_CONFIG_KEY_0": g.headerKey(), "GIT_CONFIG_VALUE_0": g.header(),
		"GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "*",
		"GIT_CONFIG_KEY_2": "init.defaultBranch", "GIT_CONFIG_VALUE_2": "main",
	}
	if g.owner != nil {
		env["HOME"] = g.folders.root // that of the pool's image is another user's
	}
	return process{name: "git", args: args, dir: g.dir, env: env}
}

// prepare makes an empty repository, or cleans the one that is there.
func (g gitFolder) prepare(clean bool) error {
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the sources: %w", err)
	}
	if _, err := os.Stat(filepath.Join(g.dir, ".git")); err == nil {
		err := g.reuse(clean)
		if err == nil || g.soft.Err() != nil {
			return err
		}
		g.log.Printf("The repository that is there cannot be used, so it is fetched anew: %v", err)
		if err := errors.Join(os.RemoveAll(g.dir), os.MkdirAll(g.dir, 0o755)); err != nil {
			return fmt.Errorf("make the folder of the sources: %w", err)
		}
	}
	init := []string{"init", "--quiet"}
	if len(g.repo.Commit) == 64 { // the repository names its objects by SHA-256
		init = append(init, "--object-format=sha256")
	}
	if err := g.git(append(init, ".")...); err != nil {
		return err
	}
	return g.git("remote", "add", "origin", g.repo.URL)
}

// reuse makes the repository of an earlier job, which may have been killed, ready for this one.
func (g gitFolder) reuse(clean bool) error {
	for _, lock := range []string{"index.lock", "shallow.lock", "config.lock", "HEAD.lock"} {
		_ = os.Remove(filepath.Join(g.dir, ".git", lock)) // most often there is none
	}
	if err := g.git("remote", "set-url", "origin", g.repo.URL); err != nil {
		return err
	}
	p := g.command("config", "--unset-all", g.headerKey())
	p.stdout = &bytes.Buffer{}
	var exit errExit
	if err := g.run(p); err != nil && (!errors.As(err, &exit) || exit.code != 5) { // 5: an earlier job has kept no credentials
		return err
	}
	if !clean {
		return nil
	}
	if err := g.git("clean", "-ffdx"); err != nil {
		return err
	}
	return g.git("reset", "--hard")
}

// depth is how many commits are fetched: 1 if the step says nothing, "0" for all.
func (g gitFolder) depth(c *plan.Checkout) (string, error) {
	text := strings.TrimSpace(g.text(c.FetchDepth))
	if text == "" {
		return "1", nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return "", fmt.Errorf("the value %q of fetchDepth is no number of commits; 0 is all of them", text)
	}
	return strconv.Itoa(n), nil
}

// fetchedRef is the branch of the remote that a checkout makes for its commit.
const fetchedRef = "refs/remotes/origin/slipway"

// fetch gets the commit with what the step says.
func (g gitFolder) fetch(c *plan.Checkout) error {
	depth, err := g.depth(c)
	if err != nil {
		return err
	}
	tags, filter := g.flag(c.FetchTags, false), g.text(c.FetchFilter)
	if g.repo.Objects != "" {
		alone := depth == "1" && !tags && filter == ""
		if err := g.borrow(alone); alone || err != nil {
			return err
		}
	}
	args := []string{"fetch", "--force", "--no-recurse-submodules"}
	if tags {
		args = append(args, "--tags")
	} else {
		args = append(args, "--no-tags")
	}
	if filter != "" {
		args = append(args, "--filter="+filter)
	}
	args = append(args, "origin")
	specs := []string{"+" + string(g.repo.Commit) + ":" + fetchedRef}
	if depth == "0" {
		args = append(args[:len(args)-1], "--update-shallow", "origin") // all that there is: on a user's machine it may have an end
		specs = append([]string{"+refs/heads/*:refs/remotes/origin/*"}, specs...)
	} else {
		args = append(args[:len(args)-1], "--depth="+depth, "origin")
	}
	return g.remote(append(args, specs...)...)
}

// borrow makes the objects on this machine the repository's own (gitrepository-layout(5)). With the commit alone it has all that a fetch of the
// depth 1 would get, and its history ends there. A fetch of more learns where a shallow history ends only from who has commits that it lacks,
// so that of such a one nothing is borrowed.
func (g gitFolder) borrow(alone bool) error {
	if _, err := os.Stat(filepath.Join(filepath.Dir(g.repo.Objects), "shallow")); err == nil && !alone {
		return nil
	}
	files := map[string]string{"objects/info/alternates": g.repo.Objects + "\n"}
	if alone {
		files["shallow"] = string(g.repo.Commit) + "\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(g.dir, ".git", name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("borrow objects: %w", err)
		}
	}
	if !alone {
		return nil
	}
	return g.git("update-ref", fetchedRef, string(g.repo.Commit))
}

// sparse limits the working tree to what the step names.
func (g gitFolder) sparse(c *plan.Checkout) error {
	if dirs := strings.Fields(g.text(c.SparseDirectories)); len(dirs) > 0 {
		return g.git(append([]string{"sparse-checkout", "set", "--cone"}, dirs...)...)
	}
	if patterns := strings.Fields(g.text(c.SparsePatterns)); len(patterns) > 0 {
		return g.git(append([]string{"sparse-checkout", "set", "--no-cone"}, patterns...)...)
	}
	return nil
}

// extras fetches submodules and large files.
func (g gitFolder) extras(c *plan.Checkout) error {
	switch submodules := strings.ToLower(g.text(c.Submodules)); submodules {
	case "", "false":
	case "true", "recursive":
		args := []string{"submodule", "update", "--init", "--force"}
		if depth, err := g.depth(c); err == nil && depth != "0" {
			args = append(args, "--depth="+depth)
		}
		if submodules == "recursive" {
			args = append(args, "--recursive")
		}
		if err := g.remote(args...); err != nil {
			return err
		}
	default:
		return fmt.Errorf("submodules: %q is neither true, false nor recursive", submodules)
	}
	if !g.flag(c.LFS, false) {
		return nil
	}
	return g.remote("lfs", "pull")
}

// findGit finds git, and git-lfs for large files, in the job's container, or else in the one of the pool's image beside it, where it then
// works as the job's user.
func (t *task) findGit(lfs bool) error {
	err := t.hasGit(lfs)
	if err == nil || !t.work.HasHost {
		return err
	}
	host := t.targetNamed(plan.TargetHost)
	if greetErr := host.greet(t.ctx); greetErr != nil {
		return errors.Join(err, greetErr)
	}
	t.target, t.owner = host, &owner{uint32(os.Getuid()), uint32(os.Getgid())}
	return t.hasGit(lfs)
}

// hasGit says what is missing, before anything is fetched.
func (t *task) hasGit(lfs bool) error {
	if _, err := t.look("git"); err != nil {
		return errors.New("the job's image has no git: use an image that has it, or `checkout: none`")
	}
	if !lfs {
		return nil
	}
	p := process{name: "git", args: []string{"lfs", "version"}, dir: t.folders.workspace, stdout: &bytes.Buffer{}}
	if err := t.run(p); err != nil {
		return errors.New("the job's image has no git-lfs, which `lfs: true` needs: use an image that has it")
	}
	return nil
}
