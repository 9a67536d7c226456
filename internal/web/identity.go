package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/identity"
)

func (s *Server) addIdentity() {
	s.Public("GET", "/signin", s.signInPage)
	s.Public("POST", "/signin", s.signIn)
	s.Public("POST", "/signout", s.signOut)
	s.Installation("GET", "/", identity.Read, s.projects)
	s.Installation("POST", "/projects", identity.Read, s.createProject)
	s.Installation("GET", "/profile", identity.Read, s.profile)
	s.Installation("POST", "/profile/password", identity.Read, s.changePassword)
	s.Installation("POST", "/profile/ssh-keys", identity.Read, s.changeSSHKeys)
	s.Installation("POST", "/profile/tokens", identity.Read, s.issueToken)
	s.Installation("POST", "/profile/tokens/{token}/revoke", identity.Read, s.revokeToken)
	s.addUsers()
	s.addMembers()
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, v View) error {
	if v.SignedIn() {
		return s.Redirect(w, r, "/")
	}
	return s.Render(w, r, v.Titled("Sign in", ""), signInPage(r.URL.Query().Get("next"), ""))
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request, v View) error {
	next := r.FormValue("next")
	secret, _, err := s.identity.SignIn(r.Context(), r.FormValue("name"), r.FormValue("password"))
	switch slipway.CodeOf(err) {
	case slipway.CodeUnauthenticated, slipway.CodeLimit:
		s.write(w, r, http.StatusUnauthorized, v.Titled("Sign in", ""), signInPage(next, err.Error()))
		return nil
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, identity.SessionCookie(secret, s.secure))
	return s.Redirect(w, r, next)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request, _ View) error {
	if err := s.identity.SignOut(r.Context(), identity.SessionSecret(r)); err != nil {
		return err
	}
	http.SetCookie(w, identity.SessionCookie("", s.secure))
	return s.Redirect(w, r, "/signin")
}

func (s *Server) projects(w http.ResponseWriter, r *http.Request, v View) error {
	list, err := s.identity.Projects(r.Context(), v.Caller)
	if err != nil {
		return err
	}
	return s.Render(w, r, v.Titled("Projects", ""), projectsPage(list, v.Caller.Administrator))
}

func (s *Server) createProject(w http.ResponseWriter, r *http.Request, v View) error {
	if err := s.identity.Authorize(r.Context(), v.Caller, identity.Administer, ""); err != nil {
		return err
	}
	p, err := s.identity.CreateProject(r.Context(), v.Caller.Actor, r.FormValue("name"), r.FormValue("description"))
	if err != nil {
		return err
	}
	v.Project = &p
	return s.Redirect(w, r, v.URL())
}

// userCaller refuses what only a person may do.
func userCaller(v View) error {
	if !v.SignedIn() {
		return slipway.Forbidden("only a user has a profile")
	}
	return nil
}

// profileView is what the profile's page shows.
type profileView struct {
	User            identity.User
	Tokens          []identity.Token
	Issued          string // a token that was made just now
	Keys            []identity.SSHKey
	KeyProblem      string
	PasswordProblem string
	PasswordChanged bool
}

func (s *Server) profile(w http.ResponseWriter, r *http.Request, v View) error {
	return s.showProfile(w, r, v, http.StatusOK, profileView{PasswordChanged: r.URL.Query().Get("password") == "changed"})
}

func (s *Server) showProfile(w http.ResponseWriter, r *http.Request, v View, status int, p profileView) error {
	err := userCaller(v)
	if err != nil {
		return err
	}
	if p.User, err = s.identity.User(r.Context(), slipway.UserID(v.Caller.ID)); err != nil {
		return err
	}
	if p.Tokens, err = s.identity.Tokens(r.Context(), p.User.ID); err != nil {
		return err
	}
	if p.Keys, err = s.identity.SSHKeys(r.Context(), p.User.ID); err != nil {
		return err
	}
	s.write(w, r, status, v.Titled("Profile", ""), profilePage(p))
	return nil
}

func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, v View) error {
	if err := userCaller(v); err != nil {
		return err
	}
	chosen := r.FormValue("password")
	if chosen != r.FormValue("again") {
		return s.showProfile(w, r, v, http.StatusBadRequest, profileView{PasswordProblem: "the two new passwords are not the same"})
	}
	err := s.identity.ChangePassword(r.Context(), slipway.UserID(v.Caller.ID), r.FormValue("old"), chosen, identity.SessionSecret(r))
	switch slipway.CodeOf(err) {
	case slipway.CodeInvalid, slipway.CodeLimit:
		return s.showProfile(w, r, v, http.StatusBadRequest, profileView{PasswordProblem: err.Error()})
	}
	if err != nil {
		return err
	}
	return s.Redirect(w, r, "/profile?password=changed")
}

// tokenLives are the choices of a token's life.
var tokenLives = map[string]time.Duration{"30": 30 * 24 * time.Hour, "90": 90 * 24 * time.Hour, "365": 365 * 24 * time.Hour}

// tokenScopes are the choices of what a token may.
var tokenScopes = []identity.TokenScope{identity.ScopeAll, identity.ScopeRead, identity.ScopeRegistry, identity.ScopeRegistryRead}

// scopeMeaning says what a token of that scope may.
func scopeMeaning(s identity.TokenScope) string {
	switch s {
	case identity.ScopeRead:
		return "read, of everything"
	case identity.ScopeRegistry:
		return "push and pull images"
	case identity.ScopeRegistryRead:
		return "pull images"
	}
	return "all that you may"
}

func (s *Server) issueToken(w http.ResponseWriter, r *http.Request, v View) error {
	if err := userCaller(v); err != nil {
		return err
	}
	life, ok := tokenLives[r.FormValue("days")]
	if !ok {
		return slipway.Invalid("choose how long the token is to live: 30, 90 or 365 days")
	}
	scope, err := identity.ParseTokenScope(r.FormValue("scope"))
	if err != nil {
		return err
	}
	token, err := s.identity.IssueToken(r.Context(), identity.TokenRequest{Kind: identity.TokenPersonal,
		Name: r.FormValue("name"), Actor: v.Caller.Actor, Life: life, Binding: identity.Binding{Scope: scope}})
	if err != nil {
		return err
	}
	return s.showProfile(w, r, v, http.StatusOK, profileView{Issued: token})
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request, v View) error {
	if err := userCaller(v); err != nil {
		return err
	}
	if err := s.identity.RevokeToken(r.Context(), slipway.UserID(v.Caller.ID), chi.URLParam(r, "token")); err != nil {
		return err
	}
	return s.Redirect(w, r, "/profile")
}

// changeSSHKeys adds or removes one of the caller's keys.
func (s *Server) changeSSHKeys(w http.ResponseWriter, r *http.Request, v View) error {
	if err := userCaller(v); err != nil {
		return err
	}
	user := slipway.UserID(v.Caller.ID)
	if id := r.FormValue("remove"); id != "" {
		if err := s.identity.RemoveSSHKey(r.Context(), v.Caller.Actor, user, id); err != nil {
			return err
		}
		return s.Redirect(w, r, "/profile")
	}
	_, err := s.identity.AddSSHKey(r.Context(), v.Caller.Actor, user, r.FormValue("name"), r.FormValue("key"))
	var p *slipway.Problem
	if errors.As(err, &p) && p.Code != slipway.CodeInternal {
		return s.showProfile(w, r, v, http.StatusBadRequest, profileView{KeyProblem: p.Message})
	}
	if err != nil {
		return err
	}
	return s.Redirect(w, r, "/profile")
}
