package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
)

type world struct {
	*testing.T
	url      string
	identity *identity.Service
	project  identity.Project
}

func setup(t *testing.T) world {
	t.Helper()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Open(ctx, d, log, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ids.CreateProject(ctx, slipway.System, "Shop", "")
	if err != nil {
		t.Fatal(err)
	}
	server := api.New(ids, logger, "http://localhost")
	server.AddUsers()
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	return world{t, listener.URL, ids, p}
}

// user adds a user and returns their personal access token.
func (w world) user(name string, administrator bool) string {
	w.Helper()
	u, err := w.identity.CreateUser(context.Background(), slipway.System, identity.NewUser{Name: name, Password: "correct horse", Administrator: administrator})
	if err != nil {
		w.Fatal(err)
	}
	token, err := w.identity.IssueToken(context.Background(), identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test",
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// call sends a request and decodes the answer into out; a status other than want is a failure.
func (w world) call(token, method, path, body string, want int, out any) {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.url+path, bytes.NewBufferString(body))
	if err != nil {
		w.Fatal(err)
	}
	if token != "" {
		r.SetBasicAuth("", token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		w.Fatal(err)
	}
	if answer.StatusCode != want {
		w.Fatalf("%s %s %s: %s, want %d: %s", method, path, body, answer.Status, want, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			w.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	root, ada := w.user("root", true), w.user("ada", false)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/_apis/graph/users", ""}, {"GET", "/_apis/slipway/users", ""},
		{"POST", "/_apis/slipway/users", `{"name":"eve"}`}, {"PATCH", "/_apis/slipway/users/ada", `{"administrator":true}`},
	} {
		w.call("", c.method, c.path, c.body, 401, nil)
		w.call(ada, c.method, c.path, c.body, 403, nil)
	}
	var made api.User
	w.call(root, "POST", "/_apis/slipway/users", `{"name":"grace","email":"grace@example.com"}`, 201, &made)
	if made.Name != "grace" || made.DisplayName != "grace" || len(made.Password) != 20 || !made.MustChange {
		t.Errorf("made %+v", made)
	}
	if _, _, err := w.identity.SignIn(t.Context(), "grace", made.Password); err != nil {
		t.Errorf("sign in with the generated password: %v", err)
	}
	w.call(root, "POST", "/_apis/slipway/users", `{"name":"Grace"}`, 409, nil)
	w.call(root, "POST", "/_apis/slipway/users", `{"name":"a b"}`, 400, nil)
	w.call(root, "POST", "/_apis/slipway/users", `{"name":"x","role":"king"}`, 400, nil)

	var u api.User
	w.call(root, "PATCH", "/_apis/slipway/users/Grace", `{"password":""}`, 200, &u)
	if len(u.Password) != 20 || u.Password == made.Password {
		t.Errorf("reset %+v", u)
	}
	u = api.User{}
	w.call(root, "PATCH", "/_apis/slipway/users/"+made.ID, `{"password":"correct horse"}`, 200, &u)
	if u.Password != "" {
		t.Error("a given password was answered")
	}
	w.call(root, "PATCH", "/_apis/slipway/users/grace", `{"administrator":true}`, 200, &u)
	if !u.Administrator {
		t.Errorf("made administrator %+v", u)
	}
	w.call(root, "PATCH", "/_apis/slipway/users/grace", `{"disabled":true}`, 200, &u)
	if !u.Disabled {
		t.Errorf("disabled %+v", u)
	}
	w.call(root, "PATCH", "/_apis/slipway/users/root", `{"administrator":false}`, 409, nil)
	w.call(root, "PATCH", "/_apis/slipway/users/grace", `{"disabled":false,"administrator":false}`, 400, nil)
	w.call(root, "PATCH", "/_apis/slipway/users/grace", `{}`, 400, nil)
	w.call(root, "PATCH", "/_apis/slipway/users/nobody", `{"disabled":true}`, 404, nil)
	var graph struct {
		Count int
		Value []api.GraphUser
	}
	w.call(root, "GET", "/_apis/graph/users", "", 200, &graph)
	if graph.Count != 3 || graph.Value[1].PrincipalName != "grace" || graph.Value[1].MailAddress != "grace@example.com" {
		t.Errorf("graph %+v", graph)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	root, ada, eve := w.user("root", true), w.user("ada", false), w.user("eve", false)
	const members = "/Shop/_apis/slipway/members"
	w.call(eve, "GET", members, "", 404, nil) // a stranger may not know of the project
	w.call(root, "PUT", members+"/ada", `{"role":"administrator"}`, 200, nil)
	w.call(ada, "PUT", members+"/eve", `{"role":"Reader"}`, 200, nil)
	w.call(eve, "PUT", members+"/eve", `{"role":"administrator"}`, 403, nil)
	w.call(eve, "DELETE", members+"/ada", "", 403, nil)
	w.call(ada, "PUT", members+"/eve", `{"role":"king"}`, 400, nil)
	w.call(ada, "PUT", members+"/nobody", `{"role":"reader"}`, 404, nil)
	var list struct{ Value []api.Member }
	w.call(eve, "GET", members, "", 200, &list)
	first, err := w.identity.UserByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Value) != 2 || list.Value[0] != (api.Member{ID: string(first.ID), Name: "ada", DisplayName: "ada", Role: "administrator"}) || list.Value[1].Role != "reader" {
		t.Errorf("members %+v", list.Value)
	}
	w.call(ada, "DELETE", members+"/ada", "", 409, nil)
	w.call(ada, "DELETE", members+"/eve", "", 204, nil)
	w.call(ada, "DELETE", members+"/eve", "", 404, nil)
	w.call(eve, "GET", members, "", 404, nil)
}
