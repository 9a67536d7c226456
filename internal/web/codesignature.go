package web

import (
	"context"
	"strings"

	"golang.org/x/crypto/ssh"

	"slipway"
	"slipway/internal/repos"
)

// signedView is what a commit's page says of its signature.
type signedView struct {
	State string // verified, unknown or bad; empty for a commit without one
	Note  string
}

// signed checks a commit's signature against the SSH keys of users.
func (p codePages) signed(ctx context.Context, c codeView, commit repos.Commit) (signedView, error) {
	sig, err := p.repos.CommitSignature(ctx, c.id, commit.ID)
	switch {
	case err != nil || sig.Kind == "":
		return signedView{}, err
	case sig.Kind == "pgp":
		return signedView{"unknown", "Signed with OpenPGP, whose keys are not known here."}, nil
	case sig.Kind != "ssh":
		return signedView{"unknown", "Signed with a certificate (X.509), which is not checked here."}, nil
	case sig.Bad != "":
		return signedView{"bad", "The signature by an SSH key does not hold: " + sig.Bad + "."}, nil
	}
	fingerprint := ssh.FingerprintSHA256(sig.Key)
	u, err := p.identity.SSHKeyOwner(ctx, sig.Key)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return signedView{"unknown", "Signed with the SSH key " + fingerprint + ", which no user has."}, nil
	}
	if err != nil {
		return signedView{}, err
	}
	if !strings.EqualFold(u.Email, commit.Committer.Email) {
		return signedView{"unknown", "Signed with the SSH key " + fingerprint + " of " + u.DisplayName + ", whose address is not that of the commit."}, nil
	}
	return signedView{"verified", "Signed with the SSH key " + fingerprint + " of " + u.DisplayName + "."}, nil
}
