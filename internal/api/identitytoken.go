package api

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-jose/go-jose/v4"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/issuer"
	"slipway/internal/pipelines"
)

// issuerCache is how long verifiers may keep what the issuer publishes.
const issuerCache = "public, max-age=3600"

// AddIssuer serves what others verify identity tokens by (OpenID Connect Discovery 1.0). Everybody may read it.
func (s *Server) AddIssuer(i *issuer.Service) {
	s.route("GET", "/.well-known/openid-configuration", httpx.JSON(s.logger, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", issuerCache)
		httpx.WriteJSON(w, http.StatusOK, map[string]any{
			"issuer": i.URL(), "jwks_uri": i.URL() + "/.well-known/jwks", "response_types_supported": []string{"id_token"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{string(jose.RS256)}, "scopes_supported": []string{"openid"},
			"claims_supported": []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "org", "project", "project_id", "pipeline", "pipeline_id", "run_id", "run_number",
				"reason", "stage", "job", "job_id", "attempt", "repository", "repository_id", "ref", "commit", "requested_for", "environment", "pull_request", "service_connection"},
		})
		return nil
	}))
	s.route("GET", "/.well-known/jwks", httpx.JSON(s.logger, func(w http.ResponseWriter, r *http.Request) error {
		keys, err := i.Keys(r.Context())
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", issuerCache)
		httpx.WriteJSON(w, http.StatusOK, keys)
		return nil
	}))
}

// identityToken gives a job its identity token, at Azure's own address and with its own token. Azure's audience is always the same;
// here ?audience= asks for another.
func (b buildRoutes) identityToken(w http.ResponseWriter, r request) error {
	id, err := r.number("job")
	if err != nil {
		return err
	}
	own := r.caller.Binding
	if r.caller.Token != identity.TokenJob || own.Job != slipway.JobID(id) || fmt.Sprint(int64(own.Run)) != chi.URLParam(r.Request, "plan") {
		return slipway.Forbidden("an identity token is for the job itself: send System.AccessToken as a bearer token to System.OidcRequestUri")
	}
	q := r.URL.Query()
	token, err := b.pipelines.IdentityToken(r.Context(), own.Job, pipelines.IdentityRequest{Audience: q.Get("audience"), Connection: q.Get("serviceConnectionId")})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusOK, map[string]string{"oidcToken": token})
	return nil
}
