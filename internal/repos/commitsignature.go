package repos

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"slipway"
)

// CommitSignature is the cryptographic signature of a commit.
type CommitSignature struct {
	Kind string        // ssh, pgp or x509; empty for a commit without one
	Key  ssh.PublicKey // that made a good signature of the kind ssh; nil otherwise
	Bad  string        // why a signature of the kind ssh does not hold; empty when it does
}

// signatureNamespace is what git signs for (ssh-keygen(1), -n).
const signatureNamespace = "git"

// CommitSignature reads and checks the signature of a commit. Those by SSH keys are checked against the key that they carry: whose it is, is for the
// caller to find out. Others are told apart and not checked.
func (s *Service) CommitSignature(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) (CommitSignature, error) {
	var raw []byte
	if err := checkCommitID(commit); err != nil {
		return CommitSignature{}, err
	}
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		o, data, err := r.contents(string(commit), maxCommit)
		if errors.Is(err, errTooLarge) {
			return slipway.Limit("commit %s is larger than %d bytes", commit.Short(), maxCommit)
		}
		if err == nil && (o.missing() || o.kind != "commit") {
			return slipway.NotFound("the repository has no commit %s", commit)
		}
		raw = data
		return err
	})
	if err != nil {
		return CommitSignature{}, err
	}
	return checkSignature(raw), nil
}

func checkSignature(raw []byte) CommitSignature {
	payload, signature := splitSignature(raw)
	switch {
	case signature == "":
		return CommitSignature{}
	case strings.HasPrefix(signature, "-----BEGIN PGP"):
		return CommitSignature{Kind: "pgp"}
	case !strings.HasPrefix(signature, "-----BEGIN SSH"):
		return CommitSignature{Kind: "x509"}
	}
	c := CommitSignature{Kind: "ssh"}
	sig, err := sshsig.Unarmor([]byte(signature))
	if err != nil {
		c.Bad = "it cannot be read"
		return c
	}
	if err := sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, signatureNamespace); err != nil {
		c.Bad = "it does not match the commit"
		return c
	}
	c.Key = sig.PublicKey
	return c
}

// splitSignature takes the header gpgsig (gpgsig-sha256 in repositories of SHA-256 names) out of a commit object: the rest is what was signed.
// The lines of a header that go on begin with a space.
func splitSignature(raw []byte) (payload []byte, signature string) {
	var text strings.Builder
	inside, head := false, true
	for line := range bytes.Lines(raw) {
		switch {
		case !head:
		case len(line) == 1:
			head, inside = false, false
		case inside && line[0] == ' ':
			text.Write(line[1:])
			continue
		case bytes.HasPrefix(line, []byte("gpgsig ")) || bytes.HasPrefix(line, []byte("gpgsig-sha256 ")):
			_, first, _ := bytes.Cut(line, []byte(" "))
			text.Write(first)
			inside = true
			continue
		default:
			inside = false
		}
		payload = append(payload, line...)
	}
	return payload, text.String()
}
