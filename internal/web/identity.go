package web

import (
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
	s.Installation("POST", "/profile/tokens", identity.Read, s.issueToken)
	s.Installation("POST", "/profile/tokens/{token}/revoke", identity.Read, s.revokeToken)
	s.Project("GET", "/_settings", identity.Read, s.settings)
	s.Project("POST", "/_settings/members", identity.Administer, s.setMember)
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

func (s *Server) profile(w http.ResponseWriter, r *http.Request, v View) error {
	return s.showProfile(w, r, v, "")
}

func (s *Server) showProfile(w http.ResponseWriter, r *http.Request, v View, issued string) error {
	if err := userCaller(v); err != nil {
		return err
	}
	u, err := s.identity.User(r.Context(), slipway.UserID(v.Caller.ID))
	if err != nil {
		return err
	}
	tokens, err := s.identity.Tokens(r.Context(), u.ID)
	if err != nil {
		return err
	}
	return s.Render(w, r, v.Titled("Profile", ""), profilePage(u, tokens, issued))
}

// tokenLives are the choices of a token's life.
var tokenLives = map[string]time.Duration{"30": 30 * 24 * time.Hour, "90": 90 * 24 * time.Hour, "365": 365 * 24 * time.Hour}

func (s *Server) issueToken(w http.ResponseWriter, r *http.Request, v View) error {
	if err := userCaller(v); err != nil {
		return err
	}
	life, ok := tokenLives[r.FormValue("days")]
	if !ok {
		return slipway.Invalid("choose how long the token is to live: 30, 90 or 365 days")
	}
	token, err := s.identity.IssueToken(r.Context(), identity.TokenRequest{Kind: identity.TokenPersonal,
		Name: r.FormValue("name"), Actor: v.Caller.Actor, Life: life})
	if err != nil {
		return err
	}
	return s.showProfile(w, r, v, token)
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

func (s *Server) settings(w http.ResponseWriter, r *http.Request, v View) error {
	members, err := s.identity.Members(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	mayChange := s.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	return s.Render(w, r, v.Titled("Settings", "settings"), settingsPage(v, members, mayChange))
}

func (s *Server) setMember(w http.ResponseWriter, r *http.Request, v View) error {
	u, err := s.identity.UserByName(r.Context(), r.FormValue("user"))
	if err != nil {
		return err
	}
	role := identity.RoleNone
	if r.FormValue("role") != "none" {
		if role, err = identity.ParseRole(r.FormValue("role")); err != nil {
			return err
		}
	}
	if err := s.identity.SetRole(r.Context(), v.Caller.Actor, v.Project.ID, u.ID, role); err != nil {
		return err
	}
	return s.Redirect(w, r, v.URL("_settings"))
}
