package web

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/identity"
)

func (s *Server) addUsers() {
	s.Installation("GET", "/_users", identity.Administer, s.users)
	s.Installation("POST", "/_users", identity.Administer, s.addUser)
	s.Installation("POST", "/_users/{user}/password", identity.Administer, s.resetPassword)
	s.Installation("POST", "/_users/{user}/disable", identity.Administer, s.disableUser)
	s.Installation("POST", "/_users/{user}/enable", identity.Administer, s.enableUser)
	s.Installation("POST", "/_users/{user}/administrator", identity.Administer, s.setAdministrator)
}

// usersView is what the page of the installation's users shows.
type usersView struct {
	Users  []identity.User
	Caller slipway.UserID
	// NewPassword was generated just now for the user of that name: the only time that it can be shown.
	NewPassword, For string
}

func (s *Server) users(w http.ResponseWriter, r *http.Request, v View) error {
	return s.showUsers(w, r, v, usersView{})
}

func (s *Server) showUsers(w http.ResponseWriter, r *http.Request, v View, p usersView) error {
	var err error
	if p.Users, err = s.identity.Users(r.Context()); err != nil {
		return err
	}
	p.Caller = slipway.UserID(v.Caller.ID)
	return s.Render(w, r, v.Titled("Users", ""), usersPage(p))
}

// chosenPassword is the one that the form gives, or a new one when it gives none.
func chosenPassword(r *http.Request) (password string, generated bool, err error) {
	if given := r.FormValue("password"); given != "" {
		return given, false, nil
	}
	password, err = identity.GeneratePassword()
	return password, true, err
}

func (s *Server) addUser(w http.ResponseWriter, r *http.Request, v View) error {
	password, generated, err := chosenPassword(r)
	if err != nil {
		return err
	}
	u, err := s.identity.CreateUser(r.Context(), v.Caller.Actor, identity.NewUser{Name: strings.TrimSpace(r.FormValue("name")),
		DisplayName: strings.TrimSpace(r.FormValue("displayName")), Email: strings.TrimSpace(r.FormValue("email")), Password: password,
		Administrator: r.FormValue("administrator") != "", MustChange: true})
	if err != nil {
		return err
	}
	return s.passwordGiven(w, r, v, u.Name, password, generated)
}

// passwordGiven shows a password that was generated; one that the administrator wrote is known to them.
func (s *Server) passwordGiven(w http.ResponseWriter, r *http.Request, v View, name, password string, generated bool) error {
	if !generated {
		return s.Redirect(w, r, "/_users")
	}
	return s.showUsers(w, r, v, usersView{NewPassword: password, For: name})
}

func (s *Server) resetPassword(w http.ResponseWriter, r *http.Request, v View) error {
	u, err := s.identity.User(r.Context(), slipway.UserID(chi.URLParam(r, "user")))
	if err != nil {
		return err
	}
	if string(u.ID) == v.Caller.ID {
		return slipway.Conflict("change your own password on your profile's page")
	}
	password, generated, err := chosenPassword(r)
	if err != nil {
		return err
	}
	if err := s.identity.ResetPassword(r.Context(), v.Caller.Actor, u.ID, password); err != nil {
		return err
	}
	return s.passwordGiven(w, r, v, u.Name, password, generated)
}

func (s *Server) disableUser(w http.ResponseWriter, r *http.Request, v View) error {
	if err := s.identity.DisableUser(r.Context(), v.Caller.Actor, slipway.UserID(chi.URLParam(r, "user"))); err != nil {
		return err
	}
	return s.Redirect(w, r, "/_users")
}

func (s *Server) enableUser(w http.ResponseWriter, r *http.Request, v View) error {
	if err := s.identity.EnableUser(r.Context(), v.Caller.Actor, slipway.UserID(chi.URLParam(r, "user"))); err != nil {
		return err
	}
	return s.Redirect(w, r, "/_users")
}

func (s *Server) setAdministrator(w http.ResponseWriter, r *http.Request, v View) error {
	user, to := slipway.UserID(chi.URLParam(r, "user")), r.FormValue("administrator") == "true"
	if err := s.identity.SetAdministrator(r.Context(), v.Caller.Actor, user, to); err != nil {
		return err
	}
	if string(user) == v.Caller.ID && !to {
		return s.Redirect(w, r, "/") // who is one no more does not see this page
	}
	return s.Redirect(w, r, "/_users")
}
