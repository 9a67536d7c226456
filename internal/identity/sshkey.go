package identity

import (
	"context"
	"crypto/rsa"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// The events of SSH keys; the subject is the user, and the payload has name and fingerprint.
const (
	EventSSHKeyAdded   events.Kind = "identity.ssh_key_added"
	EventSSHKeyRemoved events.Kind = "identity.ssh_key_removed"
)

// SSHKey is a public key of a user.
type SSHKey struct {
	ID          string
	Name        string
	Algorithm   string // as ssh-ed25519
	Fingerprint string // as ssh-keygen -l writes it: SHA256:...
	Created     time.Time
	Used        time.Time // zero before the first time
}

const (
	maxSSHKey  = 16 << 10 // bytes of a public key's line
	maxSSHKeys = 100      // of one user
	minRSABits = 3072     // what ssh-keygen makes; NIST SP 800-57 asks for as much beyond 2030
)

// parseSSHKey reads a line of a public key file, and refuses keys that are too weak.
func parseSSHKey(line string) (ssh.PublicKey, string, error) {
	bad := func(format string, args ...any) error {
		p := slipway.Invalid(format, args...)
		p.Field = "key"
		return p
	}
	if len(line) > maxSSHKey {
		return nil, "", bad("a public key has at most %d bytes", maxSSHKey)
	}
	if strings.Contains(line, "PRIVATE KEY") {
		return nil, "", bad("this is a private key, which nobody else may see: make another pair, and give the content of the file that ends in .pub")
	}
	key, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, "", bad("this is no public key: give the content of a file as ~/.ssh/id_ed25519.pub, which begins with its kind")
	}
	if len(options) > 0 || strings.TrimSpace(string(rest)) != "" {
		return nil, "", bad("give one key alone, without options before it")
	}
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return key, comment, nil
	case ssh.KeyAlgoRSA:
		crypto, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			return nil, "", bad("this RSA key cannot be read")
		}
		if k, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); !ok || k.N.BitLen() < minRSABits {
			return nil, "", bad("this RSA key is shorter than %d bits and too weak: make one by ssh-keygen -t ed25519", minRSABits)
		}
		return key, comment, nil
	}
	return nil, "", bad("keys of the kind %s are too weak or not supported: make one by ssh-keygen -t ed25519", key.Type())
}

// AddSSHKey gives a user a key, by the line of its public key file. The name is the key's comment when empty. A key that somebody has
// already is a Conflict.
func (s *Service) AddSSHKey(ctx context.Context, by slipway.Actor, user slipway.UserID, name, line string) (SSHKey, error) {
	key, comment, err := parseSSHKey(strings.TrimSpace(line))
	if err != nil {
		return SSHKey{}, err
	}
	if name = strings.TrimSpace(name); name == "" {
		name = comment
	}
	if n := utf8.RuneCountInString(name); n == 0 || n > 100 || strings.ContainsAny(name, "\n\x00") {
		return SSHKey{}, slipway.Invalid("a key needs a name of one line, of at most 100 characters")
	}
	k := SSHKey{ID: uuid.NewString(), Name: name, Algorithm: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), Created: s.clock.Now()}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM ssh_keys WHERE user_id = $1`, string(user))
		if err != nil {
			return err
		}
		if n >= maxSSHKeys {
			return slipway.Limit("you have %d keys already: remove one", n)
		}
		const insert = `INSERT INTO ssh_keys (id, user_id, name, algorithm, fingerprint, created, used) VALUES ($1, $2, $3, $4, $5, $6, 0)`
		_, err = tx.ExecContext(ctx, insert, k.ID, string(user), k.Name, k.Algorithm, k.Fingerprint, db.Micros(k.Created))
		if db.IsUniqueViolation(err) {
			return slipway.Conflict("the key %s is in use already: each belongs to one user", k.Fingerprint)
		}
		if err != nil {
			return err
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventSSHKeyAdded, Actor: by, Subject: slipway.Ref(slipway.RefUser, user)},
			map[string]string{"name": k.Name, "fingerprint": k.Fingerprint})
	})
	if err != nil {
		return SSHKey{}, fmt.Errorf("add SSH key: %w", err)
	}
	return k, nil
}

// SSHKeys lists a user's keys, the oldest first.
func (s *Service) SSHKeys(ctx context.Context, user slipway.UserID) ([]SSHKey, error) {
	const query = `SELECT id, name, algorithm, fingerprint, created, used FROM ssh_keys WHERE user_id = $1 ORDER BY created, id LIMIT 1000`
	return db.List(ctx, s.db, func(row interface{ Scan(...any) error }, k *SSHKey) error {
		var created, used int64
		err := row.Scan(&k.ID, &k.Name, &k.Algorithm, &k.Fingerprint, &created, &used)
		k.Created, k.Used = db.Time(created), db.Time(used)
		return err
	}, query, string(user))
}

// RemoveSSHKey takes one of the user's keys away, by id or fingerprint.
func (s *Service) RemoveSSHKey(ctx context.Context, by slipway.Actor, user slipway.UserID, id string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM ssh_keys WHERE user_id = $1 AND (id = $2 OR fingerprint = $2)`, string(user), id)
		if err != nil {
			return fmt.Errorf("remove SSH key: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return slipway.NotFound("you have no key %q", id)
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventSSHKeyRemoved, Actor: by, Subject: slipway.Ref(slipway.RefUser, user)}, map[string]string{"key": id})
	})
}

// AuthenticateSSHKey returns whom a public key belongs to; the caller has made sure that the other side has the private one, or
// asks before it does. It counts as the user's personal access token.
func (s *Service) AuthenticateSSHKey(ctx context.Context, key ssh.PublicKey) (Principal, error) {
	unknown := slipway.Unauthenticated("this key is unknown: add it on the page Profile")
	id, err := db.One(ctx, s.db, db.Value[string], `SELECT user_id FROM ssh_keys WHERE fingerprint = $1`, ssh.FingerprintSHA256(key))
	if db.IsNoRows(err) {
		return Principal{}, unknown
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up SSH key: %w", err)
	}
	u, err := s.User(ctx, slipway.UserID(id))
	if err != nil || u.Disabled {
		return Principal{}, unknown
	}
	if u.MustChange {
		return Principal{}, slipway.Unauthenticated("choose a password of your own first: sign in to the pages")
	}
	return Principal{Actor: slipway.Actor{Kind: slipway.ActorUser, ID: id, Name: u.Name}, Administrator: u.Administrator, Token: TokenPersonal}, nil
}

// SSHKeyOwner returns the user whom a public key belongs to, NotFound when it is nobody's.
func (s *Service) SSHKeyOwner(ctx context.Context, key ssh.PublicKey) (User, error) {
	id, err := db.One(ctx, s.db, db.Value[string], `SELECT user_id FROM ssh_keys WHERE fingerprint = $1`, ssh.FingerprintSHA256(key))
	if db.IsNoRows(err) {
		return User{}, slipway.NotFound("no user has the key %s", ssh.FingerprintSHA256(key))
	}
	if err != nil {
		return User{}, fmt.Errorf("look up SSH key: %w", err)
	}
	return s.User(ctx, slipway.UserID(id))
}

// SSHKeyUsed notes that a key let its user in.
func (s *Service) SSHKeyUsed(ctx context.Context, key ssh.PublicKey) error {
	_, err := s.db.ExecContext(ctx, `UPDATE ssh_keys SET used = $1 WHERE fingerprint = $2`, db.Micros(s.clock.Now()), ssh.FingerprintSHA256(key))
	return err
}
