package repos

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/db"
)

// Bounds of properties.
const (
	maxProperties   = 100 // of one pull request
	maxPropertyName = 400 // bytes
	maxProperty     = 8000
)

// PropertyKind is how the text of a property is read.
type PropertyKind string

// The kinds, which keep their type; others are texts.
const (
	PropertyString  PropertyKind = "string"
	PropertyInteger PropertyKind = "integer" // of 32 bits
	PropertyNumber  PropertyKind = "number"
)

// Property is what another program keeps with a pull request.
type Property struct {
	Name  string
	Kind  PropertyKind
	Value string
}

// Properties lists those of a pull request by their names.
func (s *Service) Properties(ctx context.Context, id slipway.PullRequestID) ([]Property, error) {
	scan := func(row interface{ Scan(...any) error }, p *Property) error {
		return row.Scan(&p.Name, (*string)(&p.Kind), &p.Value)
	}
	list, err := db.List(ctx, s.db, scan, `SELECT name, kind, value FROM pull_request_properties WHERE pull_request = $1 ORDER BY name LIMIT $2`, int64(id), maxProperties)
	if err != nil {
		return nil, fmt.Errorf("list properties of pull request %d: %w", id, err)
	}
	return list, nil
}

// SetProperties sets properties of a pull request and removes those of the names, all or none.
func (s *Service) SetProperties(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, set []Property, remove []string) error {
	for _, p := range set {
		if p.Name == "" || len(p.Name) > maxPropertyName || strings.ContainsRune(p.Name, 0) {
			return slipway.Invalid("a property has a name of 1 to %d bytes, not %.40q", maxPropertyName, p.Name)
		}
		if len(p.Value) > maxProperty || strings.ContainsRune(p.Value, 0) {
			return slipway.Limit("property %.40q has %d bytes, and may have %d, without zero bytes", p.Name, len(p.Value), maxProperty)
		}
	}
	err := s.changeExtras(ctx, by, id, func(tx *db.Tx) error {
		for _, name := range remove {
			if _, err := tx.ExecContext(ctx, `DELETE FROM pull_request_properties WHERE pull_request = $1 AND name = $2`, int64(id), name); err != nil {
				return err
			}
		}
		for _, p := range set {
			const upsert = `INSERT INTO pull_request_properties (pull_request, name, kind, value) VALUES ($1, $2, $3, $4) ON CONFLICT (pull_request, name) DO UPDATE SET kind = $3, value = $4`
			if _, err := tx.ExecContext(ctx, upsert, int64(id), p.Name, string(p.Kind), p.Value); err != nil {
				return err
			}
		}
		n, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM pull_request_properties WHERE pull_request = $1`, int64(id))
		if err == nil && n > maxProperties {
			err = slipway.Limit("pull request %d would have %d properties, and may have %d", id, n, maxProperties)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set properties of pull request %d: %w", id, err)
	}
	return nil
}
