package issuer

import (
	"context"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"slipway"
)

// Verify returns the claims of a token that this issuer signed for the audience and that is still good.
func (s *Service) Verify(ctx context.Context, token, audience string) (map[string]any, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, slipway.Unauthenticated("send an identity token of this server: what was sent is none (%v)", err)
	}
	keys, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var standard jwt.Claims
	var claims map[string]any
	if err := parsed.Claims(keys, &standard, &claims); err != nil {
		return nil, slipway.Unauthenticated("the identity token was not signed by this server (%v)", err)
	}
	expected := jwt.Expected{Issuer: s.url, AnyAudience: jwt.Audience{audience}, Time: s.clock.Now()}
	if err := standard.ValidateWithLeeway(expected, 0); err != nil {
		return nil, slipway.Unauthenticated("the identity token is not good for audience %s of %s now: %v", audience, s.url, err)
	}
	return claims, nil
}
