package gitserver_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
)

// awsKey has the documented shape of an access key's id; it is put together so that this file holds none.
const awsKey = "AKIA" + "Z7VRSQ5TJN2XMPLQ"

// A push that adds secrets is refused with their places and leaves nothing behind; taken out of the history, or let through with a
// reason, it goes.
func TestPushOfSecrets(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	w.repos.People = w.identity
	ctx := context.Background()
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	secret := commit(t, dir, "config.env", "# keys\nKEY="+awsKey+"\n", "configure")
	commit(t, dir, "config.env", "# keys\n", "take it out again") // it stays in the history
	out, err := git(t, dir, "push", "origin", "main")
	if err == nil || !strings.Contains(out, "config.env:2 has an AWS access key ID in commit "+secret[:7]) || strings.Contains(out, awsKey) {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := w.repos.Commit(ctx, w.repository.ID, slipway.CommitID(secret)); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("the refused commit is there: %v", err)
	}
	finding := regexp.MustCompile(`finding ([0-9a-f]{16})`).FindStringSubmatch(out)[1]
	for option, says := range map[string]string{"secret.allow=" + finding + ":": "say why", "secret.allow=0123456789abcdef:x": "has no finding"} {
		if out, err := git(t, dir, "push", "-o", option, "origin", "main"); err == nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v\n%s", option, err, out)
		}
	}
	mustGit(t, dir, "push", "-q", "-o", "secret.allow="+finding+":a key of the tests", "origin", "main")
	list, err := w.log.List(ctx, events.Filter{Kind: repos.EventSecretAllowed})
	if err != nil || len(list) != 1 {
		t.Fatalf("events %+v, %v", list, err)
	}
	var a repos.AllowedSecret
	if err := list[0].Decode(&a); err != nil || a.Finding != finding || a.Reason != "a key of the tests" || list[0].Actor.Name != "Ada" {
		t.Errorf("%+v, %v", a, err)
	}
	// It is allowed from now on; a token of this server is not, whose shape says nothing, and only as long as it is good.
	commit(t, dir, "again.env", "KEY="+awsKey+"\n", "again")
	mustGit(t, dir, "push", "-q", "origin", "main")
	commit(t, dir, "token", "x "+strings.Repeat("abcdefghijklm", 4)+"\n", "no token")
	mustGit(t, dir, "push", "-q", "origin", "main")
	commit(t, dir, "token", "x "+w.reader+"\n", "a token")
	if out, err := git(t, dir, "push", "origin", "main"); err == nil || !strings.Contains(out, "token:1 has a token of this server") || strings.Contains(out, w.reader+" ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What a merge brings from branches that are there is not looked at again; what it adds itself is.
func TestSecretsOfMerges(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "checkout", "-q", "-b", "topic")
	commit(t, dir, "topic", "1\n", "topic")
	mustGit(t, dir, "checkout", "-q", "main")
	commit(t, dir, "main", "1\n", "main")
	mustGit(t, dir, "push", "-q", "origin", "main", "topic")
	mustGit(t, dir, "merge", "-q", "--no-commit", "--no-ff", "topic")
	commit(t, dir, "topic", "1\nKEY="+awsKey+"\n", "an evil merge")
	out, err := git(t, dir, "push", "origin", "main")
	if err == nil || !strings.Contains(out, "topic:2 has an AWS access key ID") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSecretsOnPages(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	make := func(content string) error {
		_, err := w.repos.CommitFiles(context.Background(), repos.CommitRequest{Repository: w.repository.ID, Branch: "main", Message: "x", Actor: slipway.System,
			Changes: []repos.Change{{Path: "a", Content: []byte(content)}}, Author: repos.Signature{Name: "Ada"}})
		return err
	}
	if err := make("x\n" + awsKey + "\n"); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), "a:2 has an AWS access key ID") {
		t.Errorf("a page's commit: %v", err)
	}
	if err := make("x\n"); err != nil {
		t.Error(err)
	}
}
