package pipelines

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // what senders sign with, as Azure Pipelines asks of them
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/trigger"
)

// Webhook is an address at which another system starts runs: an incoming webhook connection of Azure Pipelines.
type Webhook struct {
	ID      int64
	Project slipway.ProjectID
	// Name is what `connection` in a file calls it, unique in the project in any case.
	Name string
	// Address is the last part of its URL, unique in the installation in any case.
	Address string
	// Header is the name of the header with the HMAC-SHA1 of the body; "" without a secret.
	Header    string
	Secured   bool // it has a secret
	Created   time.Time
	CreatedBy slipway.Actor
	Called    time.Time // last
}

// Bounds of webhooks.
const (
	MaxWebhookBody  = 1 << 20 // bytes
	maxWebhooks     = 100     // of a project
	maxWebhookDepth = 50      // objects and lists within one another
	maxWaitingCalls = 100     // of one webhook that have not started their runs yet
	maxWebhookCalls = 60      // of one webhook in a minute, at one server
)

var (
	webhookName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-_A-Za-z0-9]{1,100}$`) })
	headerName  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-A-Za-z0-9]{1,100}$`) })
)

const webhookColumns = `id, project, name, address, header, secret, created, created_by, called`

// webhook has the sealed secret, which nobody is shown.
type webhook struct {
	Webhook
	secret []byte
}

func scanWebhook(row interface{ Scan(...any) error }, w *webhook) error {
	var created, called int64
	var by string
	if err := row.Scan(&w.ID, (*string)(&w.Project), &w.Name, &w.Address, &w.Header, &w.secret, &created, &by, &called); err != nil {
		return err
	}
	w.Created, w.Called, w.Secured = db.Time(created), db.Time(called), len(w.secret) > 0
	return decodeColumns(column{by, &w.CreatedBy})
}

// Webhooks lists the incoming webhooks of a project by name.
func (s *Service) Webhooks(ctx context.Context, project slipway.ProjectID) ([]Webhook, error) {
	list, err := db.List(ctx, s.db, scanWebhook, `SELECT `+webhookColumns+` FROM pipeline_webhooks WHERE project = $1 ORDER BY name_key LIMIT $2`, string(project), maxWebhooks)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	out := make([]Webhook, len(list))
	for i := range list {
		out[i] = list[i].Webhook
	}
	return out, nil
}

// CreateWebhook makes an incoming webhook. Without an address it is the name; without a secret anybody who knows the address starts
// runs, and without a header the signature is in X-Hub-Signature.
func (s *Service) CreateWebhook(ctx context.Context, w Webhook, secret string) (Webhook, error) {
	if w.Address == "" {
		w.Address = w.Name
	}
	if w.Header == "" && secret != "" {
		w.Header = "X-Hub-Signature"
	}
	wrong := func(field, format string, args ...any) error {
		return &slipway.Problem{Code: slipway.CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case strings.TrimSpace(w.Name) == "" || len(w.Name) > 100:
		return w, wrong("name", "a webhook has a name of up to 100 characters")
	case !webhookName().MatchString(w.Address):
		return w, wrong("address", "webhook name %q: use letters, digits, dashes and underscores", w.Address)
	case secret == "" && w.Header != "":
		return w, wrong("secret", "a header needs a secret, with which senders sign the body")
	case w.Header != "" && !headerName().MatchString(w.Header):
		return w, wrong("header", "header %q: use letters, digits and dashes", w.Header)
	case len(secret) > 1000:
		return w, wrong("secret", "a secret has up to 1000 characters")
	}
	by, err := json.Marshal(w.CreatedBy)
	if err != nil {
		return w, err
	}
	sealed := []byte{}
	if secret != "" {
		if sealed, err = s.Secrets.Seal([]byte(secret), "pipelines/webhook/"+strings.ToLower(w.Address)); err != nil {
			return w, err
		}
	}
	w.Created, w.Secured = s.clock.Now(), secret != ""
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM pipeline_webhooks WHERE project = $1`, string(w.Project))
		if err != nil {
			return err
		}
		if n >= maxWebhooks {
			return slipway.Limit("a project has up to %d webhooks", maxWebhooks)
		}
		const insert = `INSERT INTO pipeline_webhooks (project, name, name_key, address, address_key, header, secret, created, created_by, called)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) RETURNING id`
		return tx.QueryRowContext(ctx, insert, string(w.Project), w.Name, strings.ToLower(w.Name), w.Address, strings.ToLower(w.Address), w.Header, sealed,
			db.Micros(w.Created), string(by)).Scan(&w.ID)
	})
	if db.IsUniqueViolation(err) {
		return w, slipway.Conflict("there is a webhook %q in this project, or one of the address %q in this installation, already", w.Name, w.Address)
	}
	return w, err
}

// DeleteWebhook deletes an incoming webhook, with the calls that have not started runs yet.
func (s *Service) DeleteWebhook(ctx context.Context, project slipway.ProjectID, id int64) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		const calls = `DELETE FROM pipeline_webhook_calls WHERE webhook IN (SELECT id FROM pipeline_webhooks WHERE id = $1 AND project = $2)`
		if _, err := tx.ExecContext(ctx, calls, id, string(project)); err != nil {
			return fmt.Errorf("delete webhook %d: %w", id, err)
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM pipeline_webhooks WHERE id = $1 AND project = $2`, id, string(project))
		if err != nil {
			return fmt.Errorf("delete webhook %d: %w", id, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, slipway.NotFound("there is no webhook %d", id))
		}
		return nil
	})
}

// hookCalls counts the calls of a webhook in a minute.
type hookCalls struct {
	minute time.Time
	n      int
}

// countCall reports whether the webhook may be called once more in this minute.
func (s *Service) countCall(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.hooks[id]
	if minute := s.clock.Now().Truncate(time.Minute); !c.minute.Equal(minute) {
		c = hookCalls{minute: minute}
	}
	c.n++
	s.hooks[id] = c
	return c.n <= maxWebhookCalls
}

// CallWebhook takes a call of an incoming webhook, whose body is JSON, and keeps it: Run starts the runs. header gives a header of
// the call by its name.
func (s *Service) CallWebhook(ctx context.Context, address string, header func(name string) string, body []byte) error {
	w, err := db.One(ctx, s.db, scanWebhook, `SELECT `+webhookColumns+` FROM pipeline_webhooks WHERE address_key = $1`, strings.ToLower(address))
	if db.IsNoRows(err) {
		return slipway.NotFound("there is no webhook %q", address)
	}
	if err != nil {
		return fmt.Errorf("find webhook %q: %w", address, err)
	}
	if w.Secured {
		secret, err := s.Secrets.Open(w.secret, "pipelines/webhook/"+strings.ToLower(w.Address))
		if err != nil {
			return err
		}
		if !signed(secret, header(w.Header), body) {
			return slipway.Forbidden("header %s has no HMAC-SHA1 of the body with the webhook's secret", w.Header)
		}
	}
	if !s.countCall(w.ID) {
		return slipway.Limit("the webhook takes %d calls a minute: call again later", maxWebhookCalls)
	}
	if len(body) > MaxWebhookBody {
		return slipway.Limit("the body has more than %d bytes", MaxWebhookBody)
	}
	payload, err := decodePayload(string(body))
	if err != nil {
		return err
	}
	if depth(payload, 0) > maxWebhookDepth {
		return slipway.Limit("the body has more than %d levels", maxWebhookDepth)
	}
	text, err := storablePayload(payload)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM pipeline_webhook_calls WHERE webhook = $1`, w.ID)
		if err != nil {
			return err
		}
		if n >= maxWaitingCalls {
			return slipway.Limit("%d calls of the webhook wait already: call again later", n)
		}
		now := db.Micros(s.clock.Now())
		if _, err := tx.ExecContext(ctx, `INSERT INTO pipeline_webhook_calls (webhook, body, received) VALUES ($1, $2, $3)`, w.ID, text, now); err != nil {
			return fmt.Errorf("keep the call of webhook %q: %w", address, err)
		}
		tx.AfterCommit(s.Wake)
		_, err = tx.ExecContext(ctx, `UPDATE pipeline_webhooks SET called = $1 WHERE id = $2`, now, w.ID)
		return err
	})
}

// signed reports whether a header has the HMAC-SHA1 of the body in hexadecimal digits, with or without sha1= before them, as
// GitHub sends it.
func signed(secret []byte, header string, body []byte) bool {
	text := strings.TrimSpace(header)
	if len(text) > 5 && strings.EqualFold(text[:5], "sha1=") {
		text = text[5:]
	}
	given, err := hex.DecodeString(text)
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, secret)
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), given)
}

func decodePayload(body string) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var payload map[string]any
	if err := decoder.Decode(&payload); err != nil || payload == nil {
		return nil, slipway.Invalid("the body is no JSON object").Because(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, slipway.Invalid("the body has more than one JSON object")
	}
	return payload, nil
}

// storablePayload is a payload as text that PostgreSQL keeps: without NUL, and in UTF-8 whatever the sender's bytes were.
func storablePayload(payload map[string]any) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(withoutNUL(payload)); err != nil {
		return "", fmt.Errorf("encode the body: %w", err)
	}
	return text.String(), nil
}

func withoutNUL(v any) any {
	clean := func(text string) string { return strings.ReplaceAll(text, "\x00", "") }
	switch v := v.(type) {
	case string:
		return clean(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, one := range v {
			out[clean(name)] = withoutNUL(one)
		}
		return out
	case []any:
		for i := range v {
			v[i] = withoutNUL(v[i])
		}
	}
	return v
}

// depth is how deep objects and lists lie within one another.
func depth(v any, at int) int {
	deepest := at
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			deepest = max(deepest, depth(one, at+1))
		}
	case []any:
		for _, one := range v {
			deepest = max(deepest, depth(one, at+1))
		}
	}
	return deepest
}

// webhookCall is a call that is to start runs.
type webhookCall struct {
	id      int64
	project slipway.ProjectID
	name    string
	body    string
}

// startCalled starts the runs of calls of webhooks (resources.webhooks). A call is forgotten when all of them have started.
func (s *Service) startCalled(ctx context.Context) error {
	const query = `SELECT c.id, w.project, w.name, c.body FROM pipeline_webhook_calls c JOIN pipeline_webhooks w ON w.id = c.webhook ORDER BY c.id LIMIT 100`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, c *webhookCall) error {
		return row.Scan(&c.id, (*string)(&c.project), &c.name, &c.body)
	}, query)
	if err != nil {
		return fmt.Errorf("list calls of webhooks: %w", err)
	}
	var errs []error
	for _, c := range list {
		if err := s.startCalledBy(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("webhook %q: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) startCalledBy(ctx context.Context, c webhookCall) error {
	listeners, err := s.listeners(ctx, plan.ResourceWebhook, strings.ToLower(c.name))
	if err != nil {
		return err
	}
	payload, err := decodePayload(c.body)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		if starts, _ := trigger.MatchWebhook(l.section, payload); !starts || l.project != c.project {
			continue
		}
		_, err := s.startFor(ctx, l, resourceEvent{payload: payload}, fmt.Sprintf("webhook/%d", c.id), slipway.System)
		switch slipway.CodeOf(err) {
		case "", slipway.CodeNotFound: // a repository that is gone starts nothing
		case slipway.CodeInternal, slipway.CodeUnavailable, slipway.CodeLimit:
			return fmt.Errorf("pipeline %d: %w", l.pipeline, err)
		default: // nor does what is refused: trying again would keep other calls waiting for ever
			s.Logger.Warn("a call of a webhook starts no run", "webhook", c.name, "pipeline", l.pipeline, "error", err)
		}
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM pipeline_webhook_calls WHERE id = $1`, c.id); err != nil {
		return fmt.Errorf("forget the call: %w", err)
	}
	return nil
}

// WebhookPipelines are the names of the pipelines that a webhook may start.
func (s *Service) WebhookPipelines(ctx context.Context, w Webhook) ([]string, error) {
	list, err := s.listeners(ctx, plan.ResourceWebhook, strings.ToLower(w.Name))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range list {
		if l.project != w.Project {
			continue
		}
		d, err := s.Definition(ctx, l.pipeline)
		if err != nil {
			return nil, err
		}
		names = append(names, d.Name)
	}
	return names, nil
}
