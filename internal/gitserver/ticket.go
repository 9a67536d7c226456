package gitserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
)

// ticketLife is how long what git-lfs-authenticate gives is good.
const ticketLife = 15 * time.Minute

// ticketMark begins a ticket in an Authorization header.
const ticketMark = "Bearer lfs."

// ticket lets a user who came by SSH use Git LFS of one repository over HTTP. It is signed with a key of this process.
type ticket struct {
	User       slipway.UserID       `json:"user"`
	Repository slipway.RepositoryID `json:"repository"`
	Service    string               `json:"service"`
	Until      int64                `json:"until"` // seconds since 1970
}

func (s *Server) sign(payload string) string {
	m := hmac.New(sha256.New, s.ticketKey[:])
	m.Write([]byte(payload))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (s *Server) issueTicket(t ticket) (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("encode ticket: %w", err)
	}
	payload := base64.RawURLEncoding.EncodeToString(b)
	return ticketMark + payload + "." + s.sign(payload), nil
}

// ticketed is whom a request's ticket lets in; ok says that it has one.
func (s *Server) ticketed(r *http.Request, a address, service string) (c caller, ok bool, err error) {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), ticketMark)
	if !ok {
		return c, false, nil
	}
	bad := slipway.Unauthenticated("this access over SSH has expired: run the command again")
	payload, mac, _ := strings.Cut(text, ".")
	if !hmac.Equal([]byte(mac), []byte(s.sign(payload))) {
		return c, true, bad
	}
	b, err := base64.RawURLEncoding.DecodeString(payload)
	var t ticket
	if err != nil || json.Unmarshal(b, &t) != nil || time.Now().Unix() > t.Until || service == receivePack && t.Service != receivePack {
		return c, true, bad
	}
	u, err := s.identity.User(r.Context(), t.User)
	if err != nil || u.Disabled {
		return c, true, bad
	}
	p := identity.Principal{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}, Administrator: u.Administrator, Token: identity.TokenPersonal}
	if c, err = s.authorize(r.Context(), p, a, service); err == nil && c.repository.ID != t.Repository {
		err = bad
	}
	return c, true, err
}

// lfsAuthenticate answers the command git-lfs-authenticate (docs/api/server-discovery.md of git-lfs).
func (s *Server) lfsAuthenticate(ctx context.Context, p identity.Principal, a address, operation string) (any, error) {
	service := uploadPack
	switch operation {
	case "download":
	case "upload":
		service = receivePack
	default:
		return nil, slipway.Invalid("the operation is download or upload, not %q", operation)
	}
	c, err := s.authorize(ctx, p, a, service)
	if err != nil {
		return nil, err
	}
	header, err := s.issueTicket(ticket{slipway.UserID(p.ID), c.repository.ID, service, time.Now().Add(ticketLife).Unix()})
	if err != nil {
		return nil, err
	}
	return map[string]any{"href": s.options.URL + "/" + url.PathEscape(c.project.Name) + "/_git/" + url.PathEscape(c.repository.Name) + "/info/lfs",
		"header": map[string]string{"Authorization": header}, "expires_in": int(ticketLife.Seconds())}, nil
}
