package ociserver

import (
	"context"
	"net/http"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// token exchanges a caller's credentials for a short-lived token that is good for the scopes asked for, as far as
// the caller may have them. GET takes Basic credentials, POST a form (`grant_type=password` or `refresh_token`).
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	var who identity.Principal
	var err error
	query := r.URL.Query()
	switch r.Method {
	case http.MethodGet:
		who, err = s.authenticate(r)
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxTokenForm)
		if err := r.ParseForm(); err != nil {
			return slipway.Invalid("the form cannot be read: %v", err)
		}
		query = r.PostForm
		who, err = s.authenticateForm(r)
	default:
		return errMethod
	}
	if err != nil {
		return err
	}
	if who.Token == identity.TokenRegistry {
		return slipway.Unauthenticated("a registry token cannot be exchanged for another: send the token it was made from")
	}
	value := anonymousToken
	if who.Kind != slipway.ActorAnonymous {
		if value, err = s.issue(r.Context(), who, query["scope"]); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"token": value, "access_token": value, "expires_in": int(tokenLife.Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339),
	})
	return nil
}

func (s *Server) authenticateForm(r *http.Request) (identity.Principal, error) {
	switch r.PostForm.Get("grant_type") {
	case "password":
		return s.identity.AuthenticateToken(r.Context(), r.PostForm.Get("password"))
	case "refresh_token":
		return s.identity.AuthenticateToken(r.Context(), r.PostForm.Get("refresh_token"))
	}
	return identity.Anonymous, slipway.Invalid("grant_type must be password or refresh_token")
}

// issue makes the token. Scopes that the caller may not have are left out without a word: the request that needs
// them is then refused, with its reason.
func (s *Server) issue(ctx context.Context, who identity.Principal, asked []string) (string, error) {
	granted := []string{}
	for _, list := range asked {
		for one := range strings.FieldsSeq(list) {
			if len(granted) >= maxScopes {
				return "", slipway.Limit("a token has at most %d scopes", maxScopes)
			}
			if sc, ok := parseScope(one); ok {
				sc.actions = s.may(ctx, who, sc)
				if len(sc.actions) > 0 {
					granted = append(granted, sc.String())
				}
			}
		}
	}
	binding := who.Binding
	binding.Scopes = granted
	return s.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenRegistry, Name: "registry", Actor: who.Actor,
		Project: who.Project, Binding: binding, Life: tokenLife})
}

// may is the part of the scope's actions that the caller may do.
func (s *Server) may(ctx context.Context, who identity.Principal, sc scope) []string {
	if sc.resource == "registry" && sc.name == "catalog" {
		return []string{"*"}
	}
	if sc.resource != "repository" || registry.CheckName(sc.name) != nil {
		return nil
	}
	if len(sc.actions) == 1 && sc.actions[0] == "*" {
		sc.actions = []string{pull, push, remove}
	}
	var list []string
	for _, action := range []string{pull, push, remove} {
		for _, wanted := range sc.actions {
			if wanted != action {
				continue
			}
			if _, err := s.allow(ctx, who, sc.name, action); err == nil {
				list = append(list, action)
			}
		}
	}
	return list
}
