package identity

import (
	"net/http"

	"slipway"
)

// TokenScope is the most that a personal access token may do, however much its owner may.
type TokenScope string

// The scopes.
const (
	ScopeAll          TokenScope = ""              // all that its owner may
	ScopeRead         TokenScope = "read"          // see and fetch, of everything
	ScopeRegistry     TokenScope = "registry"      // images, and nothing else
	ScopeRegistryRead TokenScope = "registry-read" // pull images, and nothing else
)

// ParseTokenScope reads a scope's name.
func ParseTokenScope(s string) (TokenScope, error) {
	switch scope := TokenScope(s); scope {
	case ScopeAll, ScopeRead, ScopeRegistry, ScopeRegistryRead:
		return scope, nil
	}
	return "", slipway.Invalid("scope %.40q: write read, registry or registry-read, or nothing for all that you may", s)
}

// withinScope refuses what the caller's token is not for. Outside of the registry, tokens for it open nothing.
func (p Principal) withinScope(a Action) error {
	switch {
	case p.Token == TokenRegistry, p.Binding.Scope == ScopeRegistry, p.Binding.Scope == ScopeRegistryRead:
		return slipway.Forbidden("this token opens the image registry alone: issue another in your profile")
	case p.Binding.PullRequest != 0 && a != Read:
		return slipway.Forbidden("this job runs a pull request from a fork: its token may only read")
	case p.Binding.Scope == ScopeRead && a != Read:
		return slipway.Forbidden("this token may only read: issue another in your profile")
	}
	return nil
}

// AllowMethod refuses requests that change something to callers whose token may only read. Doors ask it beside Authorize, since
// some changes, as of one's own keys, need no more than to be signed in.
func (p Principal) AllowMethod(method string) error {
	if method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
		return nil
	}
	return p.withinScope(Contribute)
}

// InRegistry is the caller as the registry's door, which has looked at a registry token's own scopes, asks about it.
func (p Principal) InRegistry() Principal {
	if p.Token == TokenRegistry {
		p.Token = ""
	}
	switch p.Binding.Scope {
	case ScopeRegistry:
		p.Binding.Scope = ScopeAll
	case ScopeRegistryRead:
		p.Binding.Scope = ScopeRead
	}
	return p
}
