package web_test

import (
	"context"
	"testing"

	"slipway/internal/repos"
)

// TestFirstStepsOfAProject has a newcomer follow what the first page of a project says is next.
func TestFirstStepsOfAProject(t *testing.T) {
	t.Parallel()
	p, ctx := openPages(t), context.Background()
	p.has(p.get(p.browser, "/Shop", 200), "Create a repository", `href="/Shop/_git"`, "yet to come")
	r, err := p.repos.Create(ctx, repos.CreateRequest{Project: p.project.ID, Name: "hats", Actor: p.actor})
	if err != nil {
		t.Fatal(err)
	}
	p.has(p.get(p.browser, "/Shop", 200), "git push http://localhost/Shop/_git/hats HEAD:main")
	_, err = p.repos.CommitFiles(ctx, repos.CommitRequest{Repository: r.ID, Branch: "main", Message: "Sell hats", Author: repos.Signature{Name: "Ada", Email: "ada@example.com"},
		Actor: p.actor, Changes: []repos.Change{{Path: "hats.txt", Content: []byte("felt\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	p.has(p.get(p.browser, "/Shop", 200), "Add a file azure-pipelines.yml", "/Shop/_git/hats/edit?new=1")
}
