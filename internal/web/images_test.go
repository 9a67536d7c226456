package web_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/environments"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
)

// A repository's administrator governs it, sees what a retention rule would do, and is told what a deletion means.
func TestImagesAreGoverned(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	ctx, b := t.Context(), p.browser
	p.registry.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	repo, err := p.registry.Ensure(ctx, "shop/web", p.project.ID)
	must(err)
	const config = `{"architecture":"arm64","os":"linux"}`
	must(p.registry.PutBlob(ctx, repo, registry.DigestOf("sha256", []byte(config)), strings.NewReader(config)))
	push := func(content string, tags ...string) registry.Manifest {
		t.Helper()
		m, err := p.registry.PutManifest(ctx, repo, registry.Push{Content: []byte(content), Tags: tags, By: identity.Principal{Actor: p.actor}})
		must(err)
		return m
	}
	image := push(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
		registry.TypeOCIManifest, registry.DigestOf("sha256", []byte(config)), len(config)))
	index := push(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, registry.TypeOCIIndex, registry.TypeOCIManifest, image.Digest, image.Size), "v1", "latest")
	push(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[],"subject":{"mediaType":%q,"digest":%q,"size":1}}`, registry.TypeOCIIndex, registry.TypeOCIIndex, index.Digest))
	p.registry.Pulled(repo, "v1", index.Digest)
	env, err := p.environments.Ensure(ctx, environments.NewEnvironment{Project: p.project.ID, ProjectName: "Shop", Name: "Production"}, p.actor)
	must(err)
	d, err := p.environments.StartDeployment(ctx, environments.NewDeployment{Environment: env.ID, Run: 1, Stage: "S", Job: "J", Attempt: 1, By: p.actor})
	must(err)
	must(p.environments.UpdateDeployment(ctx, d.ID, environments.DeploymentUpdate{Images: []environments.Image{{Repository: "shop/web", Reference: "x", Digest: index.Digest}}}))

	const page = "/Shop/_images/shop/web"
	p.has(p.get(b, page, 200), "v1", "latest", "linux/arm64", "Production", "Without a tag", "?delete=v1")
	p.has(p.get(b, page+"?digest=v1", 200), "1 pull in all", "Production", "Raw manifest")
	p.lacks(p.get(b, page+"?search=lat", 200), "?delete=v1", "Without a tag")
	p.lacks(p.get(b, "/Shop/_images?search=api", 200), "shop/web")
	p.has(p.get(b, "/Shop/_images?search=WEB", 200), "shop/web")

	p.has(p.post(b, page, 200, "do", "settings", "public", "yes", "bytes", "2 GiB", "tags", "7", "immutable", "v* release-*", "retention", "yes", "remove", "*", "untagged", "7",
		"rule-tags", "latest", "rule-newest", "3"), `value="2 GiB"`, `value="7"`, `value="v* release-*"`, `value="latest"`, `value="3"`)
	if repo, err = p.registry.Repository(ctx, "shop/web"); err != nil || !repo.Public {
		t.Errorf("the repository is not public, %v", err)
	}
	got, err := p.registry.RepositorySettings(ctx, repo)
	want := registry.Settings{Quota: registry.Quota{Bytes: 2 << 30, Tags: 7}, Immutable: []string{"v*", "release-*"},
		Retention: &retention.Policy{Keep: []retention.Rule{{Tags: []string{"latest"}, Newest: 3}}, Remove: []string{"*"}, UntaggedDays: 7}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	p.has(p.get(b, page, 200), "of 2.0 GiB", "2 tags of 7", "public")
	p.has(p.post(b, "/Shop/_images", 400, "bytes", "many"), "write a number with KiB")
	p.has(p.post(b, "/Shop/_images", 200, "bytes", "10GiB"), "10 GiB")
	p.has(p.get(b, page+"?retention", 200), "is immutable: it matches v*", "was pushed less than an hour ago", "0 of 4 would go now")
	p.post(b, page, 200, "do", "retain")

	p.has(p.get(b, page+"?delete=latest", 200), "The image keeps the tags v1", "deployed to Production")
	p.has(p.get(b, page+"?delete="+url.QueryEscape(string(index.Digest)), 200), "With it go its tags: latest, v1", "1 part without a tag", "1 artifact about it")
	p.has(p.get(b, page+"?delete="+url.QueryEscape(string(image.Digest)), 200), "part of 1 index")
	p.has(p.get(b, page+"?delete=*", 200), "All of it goes: 2 tags and 3 manifests")
	p.has(p.post(b, page, 403, "do", "delete-tag", "tag", "v1"), "is immutable")
	contributor := p.member("contributor", identity.RoleContributor)
	p.get(contributor, page+"?delete=latest", 403)
	p.post(contributor, page, 403, "do", "settings")
	p.lacks(p.get(contributor, page+"?settings", 200), ">Save<")
	p.post(b, page, 200, "do", "settings") // nothing is immutable any more
	p.has(p.post(b, page, 200, "do", "lock", "reference", "v1", "forbid", "delete"), "Locked", `value="delete" checked`)
	p.has(p.get(b, page, 200), `title="not deleted"`)
	p.has(p.get(contributor, page+"?digest=v1", 200), "not deleted")
	p.has(p.post(b, page, 403, "do", "delete-tag", "tag", "v1"), "is locked")
	p.has(p.post(b, page, 200, "do", "lock", "forbid", "write"), `value="write" checked`)
	p.has(p.get(b, page, 200), "locked: not changed")
	p.has(p.post(b, page, 403, "do", "delete-tag", "tag", "latest"), "is locked")
	p.post(b, page, 400, "do", "lock", "forbid", "everything")
	p.post(contributor, page, 403, "do", "lock", "reference", "v1")
	p.post(b, page, 200, "do", "lock")
	p.post(b, page, 200, "do", "lock", "reference", "v1")
	p.has(p.post(b, page, 200, "do", "delete-tag", "tag", "latest"), "v1")
	p.lacks(p.post(b, page, 200, "do", "delete-repository"), "shop/web")
}
