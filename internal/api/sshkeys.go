package api

import (
	"net/http"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

// SSHKey is a public key of the caller's.
type SSHKey struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Algorithm   string     `json:"algorithm"`
	Fingerprint string     `json:"fingerprint"`
	Created     time.Time  `json:"created"`
	Used        *time.Time `json:"used,omitempty"`
}

// NewSSHKey asks for one to be added: the line of a public key file. The name is its comment when empty.
type NewSSHKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// addSSHKeys serves the callers' own keys; nobody has those of others.
func (s *Server) addSSHKeys() {
	s.installation("GET", "/slipway/sshkeys", identity.Read, s.sshKeys)
	s.installation("POST", "/slipway/sshkeys", identity.Read, s.createSSHKey)
	s.installation("DELETE", "/slipway/sshkeys/{key}", identity.Read, s.deleteSSHKey)
}

func keyOwner(r request) (slipway.UserID, error) {
	if r.caller.Kind != slipway.ActorUser {
		return "", slipway.Forbidden("only a user has SSH keys")
	}
	return slipway.UserID(r.caller.ID), nil
}

func sshKey(k identity.SSHKey) SSHKey {
	return SSHKey{k.ID, k.Name, k.Algorithm, k.Fingerprint, k.Created, when(k.Used)}
}

func (s *Server) sshKeys(w http.ResponseWriter, r request) error {
	user, err := keyOwner(r)
	if err != nil {
		return err
	}
	all, err := s.identity.SSHKeys(r.Context(), user)
	if err != nil {
		return err
	}
	var out []SSHKey
	for _, k := range all {
		out = append(out, sshKey(k))
	}
	return list(w, out)
}

func (s *Server) createSSHKey(w http.ResponseWriter, r request) error {
	user, err := keyOwner(r)
	if err != nil {
		return err
	}
	var body NewSSHKey
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	k, err := s.identity.AddSSHKey(r.Context(), r.caller.Actor, user, body.Name, body.Key)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, sshKey(k))
	return nil
}

func (s *Server) deleteSSHKey(w http.ResponseWriter, r request) error {
	user, err := keyOwner(r)
	if err != nil {
		return err
	}
	if err := s.identity.RemoveSSHKey(r.Context(), r.caller.Actor, user, r.named("key")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
