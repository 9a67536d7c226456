package ociserver

import (
	"crypto/sha256"
	"net"
	"net/http"
	"sync"
	"time"

	"slipway"
	"slipway/internal/registry"
)

// Limits on guessing. What counts are different wrong passwords from one address: a client that repeats one of yesterday guesses
// nothing. Right ones are let in all the same, so that nobody locks out who shares an address.
const (
	maxWrong      = 20
	wrongWindow   = 5 * time.Minute
	maxRemembered = 10_000 // addresses
)

// attempts remembers by address which wrong passwords came of late.
type attempts struct {
	mu   sync.Mutex
	from map[string]*guesses
}

type guesses struct {
	since time.Time
	wrong map[[sha256.Size]byte]struct{}
}

// wrong counts a wrong password and returns the error to answer with: err, or that there were too many.
func (a *attempts) wrong(r *http.Request, password string, err error) error {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.from == nil || len(a.from) >= maxRemembered { // addresses come from outside: do not remember without end
		a.from = map[string]*guesses{}
	}
	g := a.from[address]
	if g == nil || now.Sub(g.since) > wrongWindow {
		g = &guesses{since: now, wrong: map[[sha256.Size]byte]struct{}{}}
		a.from[address] = g
	}
	key := sha256.Sum256([]byte(password))
	if _, known := g.wrong[key]; known {
		return err
	}
	if len(g.wrong) >= maxWrong {
		return &registry.Error{Fault: registry.TooManyRequests, Problem: slipway.Limit("too many wrong passwords came from %s: wait five minutes", address)}
	}
	g.wrong[key] = struct{}{}
	return err
}
