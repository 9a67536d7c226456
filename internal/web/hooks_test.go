package web_test

import (
	"strings"
	"testing"

	"slipway/internal/identity"
)

// A project's administrator makes a service hook, tests it, sees what was sent, disables and deletes it.
func TestServiceHooks(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	const path = "/Shop/_settings/hooks"
	p.has(p.get(p.browser, "/Shop/_settings", 200), path)
	p.has(p.get(p.browser, path, 200), "There is none yet", "registry.pushed")
	p.has(p.post(p.browser, path, 400, "url", "https://a.example/in", "kinds", "git.push", "format", "event"), "subscribe to repos.pushed")
	p.has(p.post(p.browser, path, 400, "url", "https://a.example/in", "kinds", "*", "format", "event", "filters", "tag"), "write FIELD=PATTERN")
	page := p.post(p.browser, path, 200, "url", "https://a.example/in", "kinds", "registry.pushed, repos.pushed", "format", "event", "filters", "repository=shop/**", "secret", "s3cret", "description", "chat")
	p.has(page, "registry.pushed, repos.pushed", "https://a.example/in", "repository=shop/**", "X-Hub-Signature-256", "Nothing has been sent yet", "chat")
	p.lacks(page, "s3cret")
	list := p.get(p.browser, path, 200)
	_, rest, _ := strings.Cut(list, `href="`+path+"/")
	id, _, _ := strings.Cut(rest, `"`)
	hook := path + "/" + id
	p.has(p.post(p.browser, hook, 200, "do", "test"), "hooks.test", "pending")
	p.has(p.get(p.browser, hook+"/1", 200), "Delivery 1", "a test of this subscription")
	p.has(p.post(p.browser, hook, 200, "do", "redeliver", "delivery", "1"), hook+"/2")
	p.post(p.browser, hook, 404, "do", "redeliver", "delivery", "99")
	p.has(p.post(p.browser, hook, 200, "do", "disable"), "Enable")
	p.has(p.post(p.browser, hook, 200, "do", "enable"), "Disable")
	p.get(p.member("contributor", identity.RoleContributor), hook, 403)
	p.has(p.post(p.browser, hook, 200, "do", "delete"), "There is none yet")
	p.get(p.browser, hook, 404)
}
