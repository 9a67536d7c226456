package gitserver

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/crypto/ssh"

	"slipway/internal/secret"
)

// HostKeys returns the keys by which SSH clients know the server, Ed25519 and ECDSA. They are kept in the folder, sealed, and made
// when they are not there.
func HostKeys(folder string, box *secret.Box) ([]ssh.Signer, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of host keys: %w", err)
	}
	var signers []ssh.Signer
	for _, kind := range []struct {
		name string
		make func() (any, error)
	}{
		{"ed25519", func() (any, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }},
		{"ecdsa", func() (any, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	} {
		key, err := hostKey(filepath.Join(folder, kind.name), box, kind.make)
		if err != nil {
			return nil, err
		}
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			return nil, fmt.Errorf("use host key %s: %w", kind.name, err)
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

func hostKey(path string, box *secret.Box, generate func() (any, error)) (any, error) {
	context := "ssh host key " + filepath.Base(path)
	sealed, err := os.ReadFile(path)
	if err == nil {
		plain, err := box.Open(sealed, context)
		if err != nil {
			return nil, fmt.Errorf("open host key %s: %w", path, err)
		}
		return x509.ParsePKCS8PrivateKey(plain)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	key, err := generate()
	if err != nil {
		return nil, fmt.Errorf("make host key: %w", err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode host key: %w", err)
	}
	if sealed, err = box.Seal(plain, context); err != nil {
		return nil, fmt.Errorf("seal host key: %w", err)
	}
	if err := renameio.WriteFile(path, sealed, 0o600); err != nil {
		return nil, fmt.Errorf("write host key: %w", err)
	}
	return key, nil
}
