package jobserver_test

import (
	"os"
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// A run of a repository that names its objects by SHA-256 checks it out as it is.
func TestCheckoutOfSHA256(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, folder := range []string{w.source.dir, w.work} {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	w.command("git", "init", "--quiet", "--bare", "-b", "main", "--object-format=sha256", w.source.dir)
	w.command("git", "init", "--quiet", "-b", "main", "--object-format=sha256", w.work)
	w.command("git", "-C", w.work, "remote", "add", "origin", w.source.dir)
	tl := w.completed(w.one(w.push(`
steps:
- checkout: self
- bash: echo "$(git rev-parse --show-object-format), $(git rev-parse HEAD), $BUILD_SOURCEVERSION, $(cat README)"
  displayName: look
`, "README", "wide")))
	head := strings.TrimSpace(w.command("git", "-C", w.work, "rev-parse", "HEAD"))
	j := w.job(tl, "__default.Job")
	if want := "sha256, " + head + ", " + head + ", wide\n"; len(head) != 64 || j.Result != schedule.Succeeded || !strings.Contains(w.log(j, "look"), want) {
		t.Errorf("the job is %s, and its log has no %q:\n%s", j.Result, want, w.log(j, "look"))
	}
}
