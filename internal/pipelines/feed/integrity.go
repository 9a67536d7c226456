package feed

import (
	"crypto/sha1" //nolint:gosec // what old packages of npm have
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"

	"slipway"
)

// integrity compares what was downloaded with what the registry promised.
type integrity struct {
	hash.Hash
	want string
}

// strongest are the algorithms of Subresource Integrity, and npm's old one, the best first.
var strongest = []struct {
	name string
	make func() hash.Hash
}{{"sha512", sha512.New}, {"sha384", sha512.New384}, {"sha256", sha256.New}, {"sha1", sha1.New}}

// newIntegrity takes the strongest digest of a list; with "" everything is right.
func newIntegrity(text string) (*integrity, error) {
	for _, algorithm := range strongest {
		for _, one := range strings.Fields(text) {
			name, sum, ok := strings.Cut(one, "-")
			if !ok || name != algorithm.name {
				continue
			}
			sum, _, _ = strings.Cut(sum, "?")
			return &integrity{Hash: algorithm.make(), want: sum}, nil
		}
	}
	if strings.TrimSpace(text) != "" {
		return nil, slipway.Invalid("the registry gives a digest of no known kind: %q", text)
	}
	return &integrity{Hash: sha256.New()}, nil
}

func (i *integrity) verify(what string) error {
	if got := base64.StdEncoding.EncodeToString(i.Sum(nil)); i.want != "" && got != i.want {
		return slipway.Invalid("%s is not what the registry promised: its digest is %s and not %s", what, got, i.want)
	}
	return nil
}

// fromShasum is a hexadecimal SHA-1 in the form of the others.
func fromShasum(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil {
		return ""
	}
	return "sha1-" + base64.StdEncoding.EncodeToString(b)
}
