package environments

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Variable is an environment's parameter. The value of a secret is empty except in what Values returns.
type Variable struct {
	Name      string
	Value     string
	Secret    bool
	Changed   time.Time
	ChangedBy slipway.Actor
}

const (
	maxVariables = 1000
	maxValue     = 64 << 10
)

// A name that a macro $(name) can hold, as Azure Pipelines has them: letters, digits, dots and underscores.
var variableName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,254}$`) })

// SetVariable adds a variable or changes its value; names are the same whatever their case. A secret's value is
// sealed before it is stored, and never leaves but through Values.
func (s *Service) SetVariable(ctx context.Context, id slipway.EnvironmentID, v Variable, by slipway.Actor) error {
	if !variableName().MatchString(v.Name) {
		return &slipway.Problem{Code: slipway.CodeInvalid, Field: "name", Message: fmt.Sprintf(
			"variable name %q: use letters, digits, dots and underscores, beginning with a letter", v.Name)}
	}
	if len(v.Value) > maxValue {
		return slipway.Limit("the value of %s has more than %d bytes", v.Name, maxValue)
	}
	stored := v.Value
	if v.Secret {
		sealed, err := s.box.Seal([]byte(v.Value), sealContext(id, v.Name))
		if err != nil {
			return fmt.Errorf("seal variable %s: %w", v.Name, err)
		}
		stored = base64.StdEncoding.EncodeToString(sealed)
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		e, err := getEnvironment(ctx, tx, id)
		if err != nil {
			return err
		}
		const count = `SELECT count(*) FROM environment_variables WHERE environment_id = $1 AND name_key <> $2`
		n, err := db.One(ctx, tx, db.Value[int], count, int64(id), strings.ToLower(v.Name))
		if err != nil {
			return fmt.Errorf("count variables: %w", err)
		}
		if n >= maxVariables {
			return slipway.Limit("environment %s has %d variables already", e.Name, n)
		}
		const upsert = `
			INSERT INTO environment_variables (environment_id, name_key, name, value, secret, changed, changed_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (environment_id, name_key) DO UPDATE SET name = excluded.name, value = excluded.value,
			  secret = excluded.secret, changed = excluded.changed, changed_by = excluded.changed_by`
		_, err = tx.ExecContext(ctx, upsert, int64(id), strings.ToLower(v.Name), v.Name, stored, v.Secret,
			db.Micros(s.clock.Now()), string(actor))
		if err != nil {
			return fmt.Errorf("set variable %s: %w", v.Name, err)
		}
		return s.changed(ctx, tx, e, by, "variable "+v.Name)
	})
}

// DeleteVariable removes a variable.
func (s *Service) DeleteVariable(ctx context.Context, id slipway.EnvironmentID, name string, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		e, err := getEnvironment(ctx, tx, id)
		if err != nil {
			return err
		}
		const remove = `DELETE FROM environment_variables WHERE environment_id = $1 AND name_key = $2`
		result, err := tx.ExecContext(ctx, remove, int64(id), strings.ToLower(name))
		if err != nil {
			return fmt.Errorf("delete variable %s: %w", name, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return slipway.NotFound("environment %s has no variable %q", e.Name, name)
		}
		return s.changed(ctx, tx, e, by, "variable "+name)
	})
}

// Variables lists an environment's variables by name, the values of secrets left out.
func (s *Service) Variables(ctx context.Context, id slipway.EnvironmentID) ([]Variable, error) {
	list, err := s.variables(ctx, id)
	for i := range list {
		if list[i].Secret {
			list[i].Value = ""
		}
	}
	return list, err
}

// Values lists an environment's variables with the values of secrets, for the job that deploys to it.
func (s *Service) Values(ctx context.Context, id slipway.EnvironmentID) ([]Variable, error) {
	list, err := s.variables(ctx, id)
	if err != nil {
		return nil, err
	}
	for i, v := range list {
		if !v.Secret {
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(v.Value)
		if err != nil {
			return nil, fmt.Errorf("open variable %s of environment %d: %w", v.Name, id, err)
		}
		plain, err := s.box.Open(sealed, sealContext(id, v.Name))
		if err != nil {
			return nil, fmt.Errorf("open variable %s of environment %d: %w", v.Name, id, err)
		}
		list[i].Value = string(plain)
	}
	return list, nil
}

func (s *Service) variables(ctx context.Context, id slipway.EnvironmentID) ([]Variable, error) {
	const query = `SELECT name, value, secret, changed, changed_by FROM environment_variables
		WHERE environment_id = $1 ORDER BY name_key LIMIT $2`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, v *Variable) error {
		var changed int64
		var actor string
		if err := row.Scan(&v.Name, &v.Value, &v.Secret, &changed, &actor); err != nil {
			return err
		}
		v.Changed = db.Time(changed)
		return json.Unmarshal([]byte(actor), &v.ChangedBy)
	}, query, int64(id), maxVariables)
	if err != nil {
		return nil, fmt.Errorf("list variables of environment %d: %w", id, err)
	}
	return list, nil
}

// sealContext binds a sealed value to its place, so that no other row opens it.
func sealContext(id slipway.EnvironmentID, name string) string {
	return fmt.Sprintf("environment/%d/variable/%s", id, strings.ToLower(name))
}
