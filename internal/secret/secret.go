// Package secret encrypts what must be kept but not read by whoever gets hold of the database: variables' values,
// signing keys, credentials of other systems. It knows no domain.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// Box seals and opens secrets with one master key. It is safe for concurrent use.
type Box struct{ master []byte }

const keySize = 32

// NewBox makes a Box from a master key of 32 bytes.
func NewBox(master []byte) (*Box, error) {
	if len(master) != keySize {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(master), keySize)
	}
	return &Box{master: master}, nil
}

// OpenKeyFile reads the master key, 64 hex digits, from path, and makes one (mode 0600) when there is no file.
// Whoever loses this file loses every secret: back it up apart from the database.
func OpenKeyFile(path string) (*Box, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		master := make([]byte, keySize)
		if _, err := rand.Read(master); err != nil {
			return nil, fmt.Errorf("make master key: %w", err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("make master key: %w", err)
		}
		if err := renameio.WriteFile(path, []byte(hex.EncodeToString(master)+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write master key: %w", err)
		}
		return NewBox(master)
	}
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	master, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("master key file %s does not hold 64 hex digits", path)
	}
	return NewBox(master)
}

// Seal encrypts plaintext. context names what the secret belongs to, for example "variable/12/PASSWORD": a sealed
// value moved to another place does not open there.
func (b *Box) Seal(plaintext []byte, context string) ([]byte, error) {
	aead, err := b.aead(context)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	return aead.Seal(nonce, nonce, plaintext, []byte(context)), nil
}

// Open decrypts what Seal made with the same context.
func (b *Box) Open(sealed []byte, context string) ([]byte, error) {
	aead, err := b.aead(context)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("open secret: sealed value is too short")
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(context))
	if err != nil {
		return nil, fmt.Errorf("open secret %s: wrong key or damaged value", context)
	}
	return plain, nil
}

// aead derives a key for each context, so that no key ever seals many values.
func (b *Box) aead(context string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, b.master, nil, "slipway secret "+context, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

// Derive returns 32 bytes that are always the same for a context, and tell nothing about the master key or those of
// other contexts: for credentials that must be known again without being kept.
func (b *Box) Derive(context string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, b.master, nil, "slipway derived "+context, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", context, err)
	}
	return key, nil
}
