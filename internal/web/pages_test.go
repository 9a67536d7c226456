package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/hooks"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/insights/store"
	"slipway/internal/lineage"
	"slipway/internal/pipelines"
	"slipway/internal/registry"
	"slipway/internal/repos"
	"slipway/internal/scans"
	"slipway/internal/secret"
	"slipway/internal/signing"
	"slipway/internal/web"
)

// pages are the pages of the project "Shop" over real domains, and a browser in which its administrator is signed in.
type pages struct {
	*testing.T
	url      string
	browser  *http.Client
	project  identity.Project
	actor    slipway.Actor
	identity *identity.Service
	boards   *boards.Service
	lineage  *lineage.Service
	registry *registry.Service
	repos    *repos.Service

	environments *environments.Service
	rolledBack   chan slipway.DeploymentID
	pipelines    *pipelines.Service
}

func openPages(t *testing.T) *pages {
	t.Helper()
	ctx, logger, d := context.Background(), slog.New(slog.DiscardHandler), dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	files, err := blob.OpenFiles(t.TempDir())
	must(err)
	box, err := secret.NewBox(make([]byte, 32))
	must(err)
	p := &pages{T: t, identity: ids}
	p.registry, err = registry.Open(ctx, d, log, files, clock.System{}, logger, registry.Options{})
	must(err)
	p.boards, err = boards.Open(ctx, d, log, clock.System{})
	must(err)
	p.lineage, err = lineage.Open(ctx, d)
	must(err)
	things := web.Things{Registry: p.registry, Boards: p.boards}
	things.Repos, err = repos.Open(ctx, d, log, clock.System{}, t.TempDir(), logger)
	must(err)
	t.Cleanup(func() { _ = things.Repos.Close() })
	p.repos = things.Repos
	things.Signing, err = signing.Open(ctx, d, box, clock.System{}, "http://localhost")
	must(err)
	things.Scans, err = scans.Open(ctx, scans.Options{DB: d, Log: log, Clock: clock.System{}, Logger: logger})
	must(err)
	things.Environments, err = environments.Open(ctx, d, log, box, clock.System{}, logger)
	must(err)
	things.Pipelines, err = pipelines.Open(ctx, pipelines.Deps{DB: d, Log: log, Blobs: files, Clock: clock.System{}, Logger: logger, Tokens: ids})
	must(err)
	p.pipelines = things.Pipelines
	telemetry, err := store.Open(ctx, store.Options{Folder: t.TempDir(), Clock: clock.System{}, Logger: logger})
	must(err)
	t.Cleanup(func() { _ = telemetry.Close() })
	things.Insights, err = insights.Open(ctx, insights.Options{DB: d, Log: log, Clock: clock.System{}, Store: telemetry, Logger: logger})
	must(err)

	server := web.New(ids, log, logger, "http://localhost")
	server.AddOverview(p.lineage, things)
	server.AddBoards(p.boards, p.lineage, things)
	server.AddImages(p.registry, things)
	hook, err := hooks.Open(ctx, d, log, box, clock.System{}, logger, hooks.Options{URL: "http://localhost"})
	must(err)
	server.AddHooks(hook)
	server.AddTrace(p.lineage, things)
	server.AddPipelines(things.Pipelines, things)
	nowhere, err := clusters.Open(ctx, d, log, box, clock.System{}, nil, logger)
	must(err)
	p.environments, p.rolledBack = things.Environments, make(chan slipway.DeploymentID, 1)
	server.AddEnvironments(things.Environments, nowhere, func(ctx context.Context, to slipway.DeploymentID, by slipway.Actor, progress func(string)) (environments.Deployment, error) {
		d, err := things.Environments.StartRollback(ctx, to, by)
		if err != nil {
			return d, err
		}
		progress("begun")
		p.rolledBack <- d.RollbackTo
		return d, nil
	}, things)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	p.url = listener.URL

	u, err := ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: "ada", DisplayName: "Ada Lovelace", Password: "correct horse"})
	must(err)
	p.actor = slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: "ada"}
	p.project, err = ids.CreateProject(ctx, p.actor, "Shop", "")
	must(err)
	p.browser = p.signIn("ada")
	return p
}

// signIn returns a browser with a user's session.
func (p *pages) signIn(name string) *http.Client {
	p.Helper()
	secret, _, err := p.identity.SignIn(context.Background(), name, "correct horse")
	if err != nil {
		p.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	address, _ := url.Parse(p.url)
	jar.SetCookies(address, []*http.Cookie{identity.SessionCookie(secret, false)})
	return &http.Client{Jar: jar}
}

// member adds a user to the project and returns their browser.
func (p *pages) member(name string, role identity.Role) *http.Client {
	p.Helper()
	u, err := p.identity.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: name, Password: "correct horse"})
	if err == nil && role != identity.RoleNone {
		err = p.identity.SetRole(context.Background(), p.actor, p.project.ID, u.ID, role)
	}
	if err != nil {
		p.Fatal(err)
	}
	return p.signIn(name)
}

// get returns a page's text; a status other than want is a failure.
func (p *pages) get(browser *http.Client, path string, want int) string {
	p.Helper()
	answer, err := browser.Get(p.url + path)
	return p.read(answer, err, "GET "+path, want)
}

// post sends a form as a page of this server does, and returns the page that the browser lands on.
func (p *pages) post(browser *http.Client, path string, want int, fields ...string) string {
	p.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	answer, err := browser.PostForm(p.url+path, form)
	return p.read(answer, err, "POST "+path, want)
}

func (p *pages) read(answer *http.Response, err error, what string, want int) string {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.Fatal(err)
	}
	if answer.StatusCode != want {
		p.Fatalf("%s: %s, want %d\n%.2000s", what, answer.Status, want, body)
	}
	return string(body)
}

// has fails when the page lacks one of the texts.
func (p *pages) has(page string, texts ...string) {
	p.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			p.Errorf("the page does not have %q:\n%.3000s", text, page[strings.Index(page, "<main"):])
		}
	}
}

// lacks fails when the page has one of the texts.
func (p *pages) lacks(page string, texts ...string) {
	p.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			p.Errorf("the page has %q", text)
		}
	}
}

func TestBoardPages(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	b := p.browser
	page := p.post(b, "/Shop/_workitems/new", 200, "type", "User Story", "title", "Pay <by> card", "description", "As a **buyer**\r\n<script>alert(1)</script>",
		"assigned", p.actor.ID, "priority", "1", "tags", "pay; web", "revision", "0")
	p.has(page, "Pay &lt;by&gt; card", "<strong>buyer</strong>", "User Story 1, created by ada", `value="pay; web"`)
	p.lacks(page, "<script>alert")
	p.post(b, "/Shop/_workitems/new", 200, "type", "Bug", "title", "Button is grey", "priority", "2", "parent", "1")
	page = p.get(b, "/Shop/_boards", 200)
	p.has(page, `data-sortable="board"`, `data-list="Active"`, `data-item="1"`, "Ada Lovelace", "priority 1", "Button is grey")

	// The card's form, which needs no JavaScript, and the drag's request, which follows no redirect.
	p.post(b, "/Shop/_boards/move?level=stories", 200, "item", "1", "revision", "1", "list", "Active")
	p.post(b, "/Shop/_boards/move?level=stories", 200, "item", "2", "revision", "1", "list", "Active", "before", "1")
	p.post(b, "/Shop/_boards/move?level=stories", 409, "item", "2", "revision", "1", "list", "New")
	columns, err := p.boards.Board(t.Context(), p.project.ID, boards.Stories)
	if err != nil || len(columns[1].Items) != 2 || columns[1].Items[0].ID != 2 {
		t.Errorf("board %+v, %v", columns, err)
	}
	page = p.post(b, "/Shop/_workitems/edit/1", 200, "revision", "2", "type", "User Story", "state", "Resolved", "title", "Pay by card", "priority", "1")
	p.has(page, "changed state, title, description, assigned, tags", "<del>Ada Lovelace</del>", "Button is grey")
	p.post(b, "/Shop/_workitems/edit/1", 409, "revision", "2", "type", "User Story", "title", "old", "priority", "1")
	p.has(p.post(b, "/Shop/_workitems/edit/1/comments", 200, "text", "Looks *good*"), "<em>good</em>")
	p.has(p.get(b, "/Shop/_workitems?text=GREY", 200), "Button is grey")
	p.lacks(p.get(b, "/Shop/_workitems?text=GREY", 200), "Pay by card")
	p.get(b, "/Shop/_workitems/edit/99", 404)
	p.get(b, "/Shop/_boards?level=sprints", 404)

	reader := p.member("reader", identity.RoleReader)
	p.lacks(p.get(reader, "/Shop/_boards", 200), "data-sortable", "New work item")
	p.lacks(p.get(reader, "/Shop/_workitems/edit/1", 200), "<textarea")
	p.post(reader, "/Shop/_boards/move", 403, "item", "1", "list", "New")
	p.post(reader, "/Shop/_workitems/edit/1/comments", 403, "text", "x")
	stranger := p.member("stranger", identity.RoleNone)
	p.get(stranger, "/Shop/_workitems/edit/1", 404)
	other, err := p.identity.CreateProject(t.Context(), p.actor, "Other", "")
	if err != nil {
		t.Fatal(err)
	}
	p.get(b, "/"+other.Name+"/_workitems/edit/1", 404) // of another project
	p.post(b, "/"+other.Name+"/_boards/move", 404, "item", "1", "list", "New")
}

func TestImageAndTracePages(t *testing.T) {
	t.Parallel()
	p, ctx := openPages(t), context.Background()
	b := p.browser
	p.has(p.get(b, "/Shop/_images", 200), "docker push", "/shop/NAME:TAG")
	repo, err := p.registry.Ensure(ctx, "shop/web", p.project.ID)
	if err != nil {
		t.Fatal(err)
	}
	config := `{"architecture":"arm64","os":"linux","config":{"Entrypoint":["/shop"],"Labels":{"a":"b"}},"history":[{"created_by":"COPY shop /"}]}`
	digest := registry.DigestOf("sha256", []byte(config))
	if err := p.registry.PutBlob(ctx, repo, digest, strings.NewReader(config)); err != nil {
		t.Fatal(err)
	}
	commit := slipway.CommitID(strings.Repeat("ab", 20))
	m, err := p.registry.PutManifest(ctx, repo, registry.Push{Tags: []string{"v1"}, By: identity.Principal{Actor: p.actor, Binding: identity.Binding{Run: 3, Commit: commit}},
		Content: fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
			registry.TypeOCIManifest, digest, len(config))})
	if err != nil {
		t.Fatal(err)
	}
	p.has(p.get(b, "/Shop/_images", 200), "shop/web", "v1")
	p.has(p.get(b, "/Shop/_images/shop/web", 200), m.Digest.Short(), "linux/arm64", "?settings")
	page := p.get(b, "/Shop/_images/shop/web?digest="+url.QueryEscape(string(m.Digest)), 200)
	p.has(page, string(m.Digest), "linux/arm64", "/shop", "a=b", "COPY shop /", "docker pull ")
	p.post(b, "/Shop/_images/shop/web", 200, "do", "settings", "public", "yes")
	if repo, err = p.registry.Repository(ctx, "shop/web"); err != nil || !repo.Public {
		t.Errorf("repository %+v, %v", repo, err)
	}
	p.post(p.member("contributor", identity.RoleContributor), "/Shop/_images/shop/web", 403, "do", "delete-tag", "tag", "v1")
	if _, err := p.registry.Ensure(ctx, "other/web", "other"); err != nil {
		t.Fatal(err)
	}
	p.get(b, "/Shop/_images/other/web", 404)
	p.get(b, "/Shop/_images/shop/none", 404)

	item, err := p.boards.Create(ctx, p.actor, boards.NewItem{Project: p.project.ID, Type: boards.UserStory, Title: "Pay by card"})
	if err != nil {
		t.Fatal(err)
	}
	image, pod := slipway.Ref(slipway.RefImage, m.Digest), slipway.Ref(slipway.RefPod, "shop-dev/web-1")
	for n, e := range []events.Event{
		{Subject: slipway.Ref(slipway.RefWorkItem, item.ID), References: []slipway.Reference{slipway.Ref(slipway.RefCommit, commit)}},
		{Subject: image, References: []slipway.Reference{slipway.Ref(slipway.RefCommit, commit), slipway.Ref(slipway.RefRun, 3)}},
		{Subject: pod, References: []slipway.Reference{image}},
	} {
		e.ID, e.Project, e.Time = int64(n+1), p.project.ID, clock.System{}.Now()
		if err := p.lineage.Record(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	p.has(p.get(b, "/Shop/_trace", 200), "User Story 1", "Pay by card")
	page = p.get(b, "/Shop/_trace?thing="+url.QueryEscape(pod.String()), 200)
	p.has(page, "<svg", "shop/web:v1", "Pay by card", "pod shop-dev/web-1 → image shop/web:v1")
	p.has(p.get(b, "/Shop/_trace?thing=AB%231", 200), "shop-dev/web-1")
	p.get(b, "/Shop/_trace?thing=hello", 400)
	page = p.get(b, "/Shop/_workitems/edit/1", 200)
	p.has(page, "shop/web:v1", "shop-dev/web-1")
	p.has(p.post(b, "/Shop/_workitems/edit/1/links", 200, "to", string(m.Digest)), "shop/web:v1")
	p.has(p.post(b, "/Shop/_workitems/edit/1/unlink", 200, "to", image.String()), "Write AB#1")
	p.post(b, "/Shop/_images/shop/web", 200, "do", "delete", "digest", string(m.Digest))
	p.get(b, "/Shop/_images/shop/web?digest="+url.QueryEscape(string(m.Digest)), 404)
}
