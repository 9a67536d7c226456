package jobserver_test

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
)

const checkouts = `
jobs:
- job: usual
  steps:
  - checkout: self
  - bash: echo "commits $(git rev-list --count HEAD), tags [$(git tag)], at $(git log -1 --format=%s)"; git ls-remote origin || echo no credentials are left
    displayName: look
- job: all
  steps:
  - checkout: self
    fetchDepth: 0
    fetchTags: true
  - bash: echo "commits $(git rev-list --count HEAD), tags [$(git tag)], branch $(git branch -r | tr -d ' ' | sort | head -1)"
    displayName: look
- job: two
  variables: {depth: 2}
  steps:
  - checkout: self
    fetchDepth: $(depth)
  - bash: echo "commits $(git rev-list --count HEAD)"
    displayName: look
- job: partial
  steps:
  - checkout: self
    fetchDepth: 0
    fetchFilter: blob:none
  - bash: echo "missing $(git rev-list --objects --all --missing=print | grep -c '^?'), $(cat README)"
    displayName: look
- job: directories
  steps:
  - checkout: self
    sparseCheckoutDirectories: docs tools
  - bash: echo "files" $(git ls-files -t | grep '^H' | cut -c3- | sort) "." ; echo "there" $(find . -name .git -prune -o -type f -print | sort) "."
    displayName: look
- job: patterns
  steps:
  - checkout: self
    sparseCheckoutPatterns: /src/*.txt !/src/b.txt
  - bash: echo "there" $(find . -name .git -prune -o -type f -print | sort) "."
    displayName: look
- job: submodules
  steps:
  - checkout: self
    submodules: true
  - bash: echo "lib has $(cat lib/lib.txt), $(git -C lib rev-list --count HEAD) commit"
    displayName: look
- job: path
  steps:
  - checkout: self
    path: s/here/it is
  - bash: echo "in ${PWD#$PIPELINE_WORKSPACE}, sources ${BUILD_SOURCESDIRECTORY#$PIPELINE_WORKSPACE}"; ls
    displayName: look
- job: persist
  steps:
  - checkout: self
    persistCredentials: true
  - bash: git ls-remote origin refs/heads/main | cut -f2; grep -c "$SYSTEM_ACCESSTOKEN" .git/config || echo the token itself is not in the file
    displayName: look
    env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}
- job: twice
  steps:
  - checkout: self
  - bash: cd shop && echo changed > README && echo new > new
    displayName: change
  - checkout: self
    clean: true
  - bash: cd shop && echo "README is $(cat README), new is $(ls new 2>/dev/null || echo gone), sources ${BUILD_SOURCESDIRECTORY#$PIPELINE_WORKSPACE}"
    displayName: look
- job: workspace
  steps:
  - checkout: self
    path: s/first
  - checkout: self
    path: s/second
    workspaceRepo: true
  - bash: echo "in ${PWD#$PIPELINE_WORKSPACE}, sources ${BUILD_SOURCESDIRECTORY#$PIPELINE_WORKSPACE}, default ${SYSTEM_DEFAULTWORKINGDIRECTORY#$PIPELINE_WORKSPACE}"
    displayName: look
- job: depth
  steps:
  - checkout: self
    fetchDepth: $(nothing)
  - bash: echo no
`

// What a checkout step says of depth, tags, filters, sparse trees, submodules, paths and credentials is so in the folder that
// later steps see.
func TestCheckoutOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.command("git", "-C", w.source.dir, "config", "uploadpack.allowFilter", "true")
	lib := filepath.Join(w.folder, "git", "lib.git")
	w.command("git", "init", "--quiet", "--bare", "-b", "main", lib)
	own := filepath.Join(w.folder, "lib")
	w.command("git", "clone", "--quiet", lib, own)
	for _, text := range []string{"old", "new"} {
		w.write(filepath.Join(own, "lib.txt"), text, 0o644)
		w.command("git", "-C", own, "add", "-A")
		w.command("git", "-C", own, "commit", "--quiet", "-m", text)
	}
	w.command("git", "-C", own, "push", "--quiet", "origin", "HEAD:main")
	w.push("trigger: none\nsteps:\n- bash: x\n", "README", "one")
	w.command("git", "-C", w.work, "tag", "v1")
	w.command("git", "-C", w.work, "push", "--quiet", "origin", "v1")
	w.command("git", "-C", w.work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib.git", "lib")
	w.push("trigger: none\nsteps:\n- bash: x\n", "README", "two", "src/a.txt", "a", "src/b.txt", "b", "docs/d.md", "d", "tools/t", "t")
	tl := w.completed(w.one(w.push(checkouts, "README", "three")))
	for name, want := range map[string]string{
		"usual":       "commits 1, tags [], at Change the shop\n",
		"all":         "commits 3, tags [v1], branch origin/main\n",
		"two":         "commits 2\n",
		"partial":     ", three\n",
		"directories": "there ./.gitmodules ./README ./azure-pipelines.yml ./docs/d.md ./tools/t .\n",
		"patterns":    "there ./src/a.txt .\n",
		"submodules":  "lib has new, 1 commit\n",
		"path":        "in /s/here/it is, sources /s/here/it is\n",
		"workspace":   "in /s/second, sources /s, default /s/second\n",
		"persist":     "refs/heads/main\n",
		"twice":       "README is three, new is gone, sources /s\n",
	} {
		j := w.job(tl, "__default."+name)
		if log := w.log(j, "look"); j.Result != schedule.Succeeded || !strings.Contains(log, want) {
			t.Errorf("%s is %s, and its log has no %q:\n%s", name, j.Result, want, log)
		}
	}
	if log := w.log(w.job(tl, "__default.usual"), "look"); !strings.Contains(log, "no credentials are left") {
		t.Errorf("credentials are left:\n%s", log)
	}
	if log := w.log(w.job(tl, "__default.partial"), "look"); strings.Contains(log, "missing 0,") {
		t.Errorf("a filter leaves nothing out:\n%s", log)
	}
	if j := w.job(tl, "__default.depth"); j.Result != schedule.Failed || !strings.Contains(w.log(j, "Checkout self"), `The value "$(nothing)" of fetchDepth is no number of commits; 0 is all of them.`) {
		t.Errorf("a depth that is no number: %s\n%s", j.Result, w.log(j, "Checkout self"))
	}
}
