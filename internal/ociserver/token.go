package ociserver

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// token exchanges a caller's credentials for a short-lived token that is good for the scopes asked for, as far as
// the caller may have them (distribution project, "Token Authentication Specification" and "OAuth2 Token Authentication").
// GET takes Basic credentials, POST a form. Who asks for a refresh token gets the credential itself again: it ends when its owner
// ends it, and there is no second one to look after.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	who, refresh, query, err := s.credentials(w, r)
	if err != nil {
		return err
	}
	if who.Token == identity.TokenRegistry {
		return slipway.Unauthenticated("a registry token cannot be exchanged for another: send the token it was made from")
	}
	answer := map[string]any{"expires_in": int(tokenLife.Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339)}
	value, granted := anonymousToken, []string{}
	if who.Kind != slipway.ActorAnonymous {
		if value, granted, err = s.issue(r.Context(), who, query["scope"]); err != nil {
			return err
		}
		if refresh != "" {
			answer["refresh_token"] = refresh
		}
	}
	answer["token"], answer["access_token"], answer["scope"] = value, value, strings.Join(granted, " ")
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, "application/json", answer)
	return nil
}

// credentials reads who asks, and the refresh token to answer with, if one is asked for.
func (s *Server) credentials(w http.ResponseWriter, r *http.Request) (who identity.Principal, refresh string, query url.Values, err error) {
	switch r.Method {
	case http.MethodGet:
		query = r.URL.Query()
		who, err = s.authenticate(r)
		if _, password, ok := r.BasicAuth(); ok && query.Get("offline_token") == "true" {
			refresh = password
		}
		return who, refresh, query, err
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxTokenForm)
		if err := r.ParseForm(); err != nil {
			return who, "", nil, slipway.Invalid("the form cannot be read: %v", err)
		}
		secret := ""
		switch r.PostForm.Get("grant_type") {
		case "password":
			secret = r.PostForm.Get("password")
			if r.PostForm.Get("access_type") == "offline" {
				refresh = secret
			}
		case "refresh_token":
			secret = r.PostForm.Get("refresh_token")
			refresh = secret
		default:
			return who, "", nil, slipway.Invalid("grant_type must be password or refresh_token")
		}
		who, err = s.identity.AuthenticateToken(r.Context(), secret)
		if slipway.CodeOf(err) == slipway.CodeUnauthenticated {
			err = s.attempts.wrong(r, secret, err)
		}
		return who, refresh, r.PostForm, err
	}
	return who, "", nil, errMethod
}

// issue makes the token. Scopes that the caller may not have are left out without a word: the request that needs
// them is then refused, with its reason.
func (s *Server) issue(ctx context.Context, who identity.Principal, asked []string) (token string, granted []string, err error) {
	granted = []string{}
	for _, list := range asked {
		for one := range strings.FieldsSeq(list) {
			if len(granted) >= maxScopes {
				return "", nil, slipway.Limit("a token has at most %d scopes", maxScopes)
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
	binding.Scopes, binding.Parent = granted, who.TokenID
	token, err = s.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenRegistry, Name: "registry", Actor: who.Actor,
		Project: who.Project, Binding: binding, Life: tokenLife})
	return token, granted, err
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
	for _, action := range []string{pull, push, remove, metadataRead, metadataWrite} {
		for _, wanted := range sc.actions {
			if wanted != action {
				continue
			}
			if _, err := s.allow(ctx, who, sc.name, action); err == nil || action == pull && s.mirrors(ctx, who) {
				list = append(list, action)
			}
		}
	}
	return list
}
