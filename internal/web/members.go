package web

import (
	"net/http"

	"slipway/internal/identity"
)

func (s *Server) addMembers() {
	s.Project("GET", "/_settings", identity.Read, s.settings)
	s.Project("GET", "/_settings/audit", identity.Administer, s.audit)
	s.Project("POST", "/_settings/members", identity.Administer, s.setMember)
}

// settingsView is what a project's settings show.
type settingsView struct {
	Members   []identity.Member
	MayChange bool
	Others    []string // names of users who are no members, for who may know them
}

// roleChoice is a role with what it may.
type roleChoice struct {
	Role identity.Role
	May  string
}

// roleChoices are the roles from weakest to strongest.
var roleChoices = []roleChoice{
	{identity.RoleReader, "sees everything but secrets"},
	{identity.RoleContributor, "also pushes, queues runs, edits work items, uploads images"},
	{identity.RoleAdministrator, "also changes settings, members, environments' secrets, and deletes"},
}

func (s *Server) settings(w http.ResponseWriter, r *http.Request, v View) error {
	members, err := s.identity.Members(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	p := settingsView{Members: members, MayChange: s.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	if v.Caller.Administrator { // a project's administrator need not know who else is on the installation
		if p.Others, err = s.notYetMembers(r, members); err != nil {
			return err
		}
	}
	return s.Render(w, r, v.Titled("Settings", "settings"), settingsPage(v, p))
}

func (s *Server) notYetMembers(r *http.Request, members []identity.Member) ([]string, error) {
	users, err := s.identity.Users(r.Context())
	if err != nil {
		return nil, err
	}
	member := map[string]bool{}
	for _, m := range members {
		member[m.Name] = true
	}
	var others []string
	for _, u := range users {
		if !member[u.Name] && !u.Disabled {
			others = append(others, u.Name)
		}
	}
	return others, nil
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
	if string(u.ID) == v.Caller.ID && role == identity.RoleNone && !v.Caller.Administrator {
		return s.Redirect(w, r, "/") // who left the project does not see its settings
	}
	return s.Redirect(w, r, v.URL("_settings"))
}
