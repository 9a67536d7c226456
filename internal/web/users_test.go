package web_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"testing"

	"slipway"
	"slipway/internal/identity"
)

// administrator is a browser in which an administrator of the installation is signed in.
func (p *pages) administrator() *http.Client {
	p.Helper()
	_, err := p.identity.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: "root", Password: "correct horse", Administrator: true})
	if err != nil {
		p.Fatal(err)
	}
	return p.signIn("root")
}

// enter signs in through the page, as a new user does.
func (p *pages) enter(name, password string) (browser *http.Client, page string) {
	p.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.Fatal(err)
	}
	browser = &http.Client{Jar: jar}
	return browser, p.post(browser, "/signin", 200, "name", name, "password", password, "next", "/")
}

func TestUserPages(t *testing.T) {
	t.Parallel()
	p, ctx := openPages(t), context.Background()
	root := p.administrator()
	p.get(p.browser, "/_users", 403) // a project's administrator is none of the installation
	p.post(p.browser, "/_users", 403, "name", "eve")
	p.lacks(p.get(p.browser, "/", 200), "/_users")
	p.has(p.get(root, "/", 200), "/_users")

	page := p.post(root, "/_users", 200, "name", "grace", "displayName", "Grace <Hopper>", "email", "grace@example.com")
	p.has(page, "Grace &lt;Hopper&gt;", "grace@example.com", "The password of grace", "new password")
	shown := regexp.MustCompile(`<pre class="copy">([a-z2-7]{20})</pre>`).FindStringSubmatch(page)
	if shown == nil {
		t.Fatal("the generated password is not shown")
	}
	p.lacks(p.get(root, "/_users", 200), shown[1])
	p.post(root, "/_users", 409, "name", "GRACE")
	p.post(root, "/_users", 400, "name", "short", "password", "1234567")
	grace, err := p.identity.UserByName(ctx, "grace")
	if err != nil {
		t.Fatal(err)
	}
	of := func(action string) string { return "/_users/" + string(grace.ID) + "/" + action }

	browser, page := p.enter("grace", shown[1])
	p.has(page, "choose one of your own")
	p.has(p.get(browser, "/", 200), "choose one of your own") // no page until then
	p.has(p.post(browser, "/profile/password", 400, "old", shown[1], "password", "one of my own", "again", "another"), "not the same")
	p.has(p.post(browser, "/profile/password", 400, "old", "guessed", "password", "one of my own", "again", "one of my own"), "the old password is not right")
	p.has(p.post(browser, "/profile/password", 200, "old", shown[1], "password", "one of my own", "again", "one of my own"), "Your password is changed")
	p.has(p.get(browser, "/", 200), "not a member of any project")
	p.get(browser, "/_users", 403)
	p.get(browser, "/Shop/_settings", 404)

	p.has(p.post(root, of("administrator"), 200, "administrator", "true"), "No administrator")
	p.get(browser, "/_users", 200)
	p.post(root, of("administrator"), 200, "administrator", "false")
	p.get(browser, "/_users", 403)
	p.has(p.post(root, of("password"), 200, "password", "from the root"), "Grace") // known to who wrote it: not shown
	p.has(p.get(browser, "/", 200), "Sign in")                                     // the reset ended the session
	browser, _ = p.enter("grace", "from the root")
	p.post(root, of("disable"), 200)
	p.has(p.get(browser, "/", 200), "Sign in")
	p.has(p.post(root, of("enable"), 200), "grace")
	p.post(root, "/_users/nobody/disable", 404)
	self, err := p.identity.UserByName(ctx, "root")
	if err != nil {
		t.Fatal(err)
	}
	p.post(root, "/_users/"+string(self.ID)+"/disable", 409)
	p.post(root, "/_users/"+string(self.ID)+"/administrator", 409, "administrator", "false")
	p.post(root, "/_users/"+string(self.ID)+"/password", 409)
}

func TestMemberPages(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	reader := p.member("reader", identity.RoleReader)
	p.has(p.get(p.browser, "/Shop/_settings", 200), "Ada Lovelace", "reader", "Add a member")
	p.lacks(p.get(reader, "/Shop/_settings", 200), "Add a member", "Remove")
	p.post(reader, "/Shop/_settings/members", 403, "user", "reader", "role", "administrator")
	p.post(p.browser, "/Shop/_settings/members", 404, "user", "nobody", "role", "reader")
	p.post(p.browser, "/Shop/_settings/members", 400, "user", "reader", "role", "king")
	p.has(p.post(p.browser, "/Shop/_settings/members", 409, "user", "ada", "role", "none"), "last administrator")
	p.has(p.post(p.browser, "/Shop/_settings/members", 200, "user", "reader", "role", "administrator"), `<option selected>administrator</option>`)
	p.has(p.post(p.browser, "/Shop/_settings/members", 200, "user", "ada", "role", "none"), "not a member of any project")
	p.get(p.browser, "/Shop/_settings", 404)
	p.has(p.get(reader, "/Shop/_settings", 200), "Add a member")
	p.has(p.get(p.administrator(), "/Shop/_settings", 200), `<option value="ada">`)
}
