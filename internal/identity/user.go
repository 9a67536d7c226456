package identity

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// User is a person who may sign in.
type User struct {
	ID            slipway.UserID
	Name          string // what they sign in with; unique in any case
	DisplayName   string
	Email         string
	Administrator bool
	Disabled      bool
	MustChange    bool // has a password that somebody else gave
	Created       time.Time
}

// NewUser is what CreateUser needs.
type NewUser struct {
	Name          string
	DisplayName   string // Name when empty
	Email         string
	Password      string // at least 8 characters
	Administrator bool
	MustChange    bool // asks for another password at the first sign-in
}

// userName is compiled when it is needed first: it is large, and most programs do without it.
var userName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$`) })

// Bounds of what people write about themselves.
const (
	maxDisplayName = 100
	maxEmail       = 254 // RFC 5321's longest path
)

// CreateUser adds a user. Conflict when the name is taken.
func (s *Service) CreateUser(ctx context.Context, by slipway.Actor, n NewUser) (User, error) {
	if !userName().MatchString(n.Name) {
		return User{}, slipway.Invalid("user name %q: use up to 64 letters, digits, dots, dashes, underscores or @, beginning with a letter or digit", n.Name)
	}
	if len(n.DisplayName) > maxDisplayName || len(n.Email) > maxEmail {
		return User{}, slipway.Limit("a display name has at most %d bytes, an address %d", maxDisplayName, maxEmail)
	}
	hash, err := hashPassword(n.Password)
	if err != nil {
		return User{}, err
	}
	u := User{ID: slipway.UserID(uuid.NewString()), Name: n.Name, DisplayName: n.DisplayName, Email: n.Email,
		Administrator: n.Administrator, MustChange: n.MustChange, Created: s.clock.Now()}
	if u.DisplayName == "" {
		u.DisplayName = u.Name
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		const insert = `
			INSERT INTO users (id, name, name_key, display_name, email, password_hash, administrator, must_change, created)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
		_, err := tx.ExecContext(ctx, insert, string(u.ID), u.Name, strings.ToLower(u.Name), u.DisplayName, u.Email, hash, u.Administrator, u.MustChange, db.Micros(u.Created))
		if db.IsUniqueViolation(err) {
			return slipway.Conflict("there is a user called %q already", n.Name)
		}
		if err != nil {
			return fmt.Errorf("create user: %w", err)
		}
		return s.log.Append(ctx, tx, &events.Event{Kind: EventUserCreated, Actor: by, Subject: slipway.Ref(slipway.RefUser, u.ID)}, nil)
	})
	return u, err
}

// GitName is the user's name as git has it beside the address: without the characters that separate the two.
func (u User) GitName() string {
	return strings.NewReplacer("<", "", ">", "").Replace(cmp.Or(u.DisplayName, u.Name))
}

const userColumns = `id, name, display_name, email, administrator, disabled, must_change, created`

func scanUser(row interface{ Scan(...any) error }, u *User) error {
	var created int64
	err := row.Scan((*string)(&u.ID), &u.Name, &u.DisplayName, &u.Email, &u.Administrator, &u.Disabled, &u.MustChange, &created)
	u.Created = db.Time(created)
	return err
}

// User returns the user with that id.
func (s *Service) User(ctx context.Context, id slipway.UserID) (User, error) {
	u, err := db.One(ctx, s.db, scanUser, `SELECT `+userColumns+` FROM users WHERE id = $1`, string(id))
	return u, notFound(err, "there is no such user")
}

// UserByName returns the user with that name in any case.
func (s *Service) UserByName(ctx context.Context, name string) (User, error) {
	u, err := db.One(ctx, s.db, scanUser, `SELECT `+userColumns+` FROM users WHERE name_key = $1`, strings.ToLower(name))
	return u, notFound(err, "there is no user called %q", name)
}

// Users lists up to 1000 users by name.
func (s *Service) Users(ctx context.Context) ([]User, error) {
	return db.List(ctx, s.db, scanUser, `SELECT `+userColumns+` FROM users ORDER BY name_key LIMIT 1000`)
}

// HasUsers reports whether anybody exists yet; an installation begins with nobody.
func (s *Service) HasUsers(ctx context.Context) (bool, error) {
	n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM (SELECT 1 FROM users LIMIT 1) AS any_user`)
	return n > 0, err
}

// notFound turns the absence of a row into NotFound and leaves other errors as they are.
func notFound(err error, format string, args ...any) error {
	if db.IsNoRows(err) {
		return slipway.NotFound(format, args...)
	}
	return err
}
