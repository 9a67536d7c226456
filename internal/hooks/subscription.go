package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// State says whether a subscription is told anything.
type State string

// The states.
const (
	Enabled          State = "enabled"
	DisabledByUser   State = "disabledByUser"
	DisabledBySystem State = "disabledBySystem" // after too many failures on end, or when the target said that it is gone
)

// Format is the shape of what is sent.
type Format string

// The formats.
const (
	FormatEvent  Format = "event"  // Azure DevOps' envelope of service hooks around the event's payload
	FormatDocker Format = "docker" // notifications of Docker Registry, for registry.pushed and registry.deleted alone
)

// Target is where a subscription's deliveries go. All of it is kept sealed: addresses hold secrets too.
type Target struct {
	URL      string            `json:"url"`
	Secret   string            `json:"secret,omitempty"` // of the signature; empty for none
	Username string            `json:"username,omitempty"`
	Password string            `json:"password,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
}

// Subscription asks to be told of events.
type Subscription struct {
	ID          string            // UUID
	Project     slipway.ProjectID // empty: of all projects and the installation
	Description string
	Kinds       []string          // of events, * standing for any text: registry.pushed, pipelines.*
	Filters     map[string]string // patterns that fields of the payload must match, by the field's name
	Format      Format
	State       State
	Failures    int // deliveries that failed on end
	Created     time.Time
	CreatedBy   slipway.Actor
	Updated     time.Time

	target []byte // sealed
}

const (
	maxSubscriptions = 200 // of a project
	maxKinds         = 50
	maxFilters       = 20
	maxText          = 2000
	maxHeaders       = 20
	maxFailures      = 30 // deliveries on end, each tried several times
)

var kindForm = regexp.MustCompile(`^[a-z*]+(\.[a-z_*]+)?$`)

// azureKinds are the events that Azure DevOps calls otherwise.
var azureKinds = map[string]string{"git.push": "repos.pushed", "git.pullrequest.created": "repos.pull_request_created", "git.pullrequest.updated": "repos.pull_request_updated",
	"git.pullrequest.merged": "repos.pull_request_completed", "build.complete": "pipelines.run_completed", "workitem.created": "boards.*", "workitem.updated": "boards.*"}

func (n *Subscription) check() error {
	if n.Format == "" {
		n.Format = FormatEvent
	}
	if n.Format != FormatEvent && n.Format != FormatDocker {
		return slipway.Invalid("format %.40q: write event or docker", n.Format)
	}
	if len(n.Kinds) == 0 || len(n.Kinds) > maxKinds || len(n.Filters) > maxFilters || len(n.Description) > maxText {
		return slipway.Invalid("a subscription names 1 to %d kinds of events, at most %d filters, and has at most %d bytes of description", maxKinds, maxFilters, maxText)
	}
	for _, kind := range n.Kinds {
		if ours := azureKinds[kind]; ours != "" {
			return slipway.Invalid("events of kind %s have another shape here: subscribe to %s", kind, ours)
		}
		if !kindForm.MatchString(kind) || len(kind) > 100 {
			return slipway.Invalid("kind of events %.100q: write DOMAIN.WHAT, as registry.pushed, with * for any text", kind)
		}
	}
	for field, pattern := range n.Filters {
		if field == "" || len(field) > 100 || len(pattern) > 255 || !doublestar.ValidatePattern(pattern) {
			return slipway.Invalid("filter %.100q: write the name of a field of the event, and a pattern with * for any text", field)
		}
	}
	return nil
}

func (t Target) check() error {
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(t.URL) > maxText {
		return slipway.Invalid("the target is no http:// or https:// address of at most %d bytes", maxText)
	}
	if u.User != nil {
		return slipway.Invalid("give the user name and password of the target by themselves, not in its address")
	}
	if len(t.Headers) > maxHeaders || len(t.Secret)+len(t.Username)+len(t.Password) > 3*maxText || strings.Contains(t.Username, ":") {
		return slipway.Invalid("the target has at most %d headers, secrets of at most %d bytes, and a user name without a colon", maxHeaders, maxText)
	}
	for name, value := range t.Headers {
		if http.CanonicalHeaderKey(name) == "" || strings.ContainsAny(name, " \t\r\n:") || strings.ContainsAny(value, "\r\n") || len(name)+len(value) > maxText || reserved(name) {
			return slipway.Invalid("header %.100q cannot be sent: it has a bad form, or Slipway sets it", name)
		}
	}
	return nil
}

// reserved are headers that the sending itself makes.
func reserved(name string) bool {
	return slices.Contains([]string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", signatureHeader, "User-Agent"}, http.CanonicalHeaderKey(name))
}

// Matches reports whether the subscription is to be told of the event.
func (n Subscription) Matches(e events.Event) bool {
	if n.Project != "" && n.Project != e.Project {
		return false
	}
	if n.Format == FormatDocker && e.Kind != kindPushed && e.Kind != kindDeleted {
		return false
	}
	kind := func(pattern string) bool { return matches(pattern, string(e.Kind)) }
	if !slices.ContainsFunc(n.Kinds, kind) {
		return false
	}
	if len(n.Filters) == 0 {
		return true
	}
	var payload map[string]any
	if json.Unmarshal(e.Payload, &payload) != nil {
		return false
	}
	for field, pattern := range n.Filters {
		if !matchesField(payload, field, pattern) {
			return false
		}
	}
	return true
}

func matches(pattern, text string) bool {
	ok, err := doublestar.Match(pattern, text)
	return ok && err == nil
}

// matchesField compares a field of the payload, whose name is written in any case; of a list one element is enough.
func matchesField(payload map[string]any, field, pattern string) bool {
	for name, value := range payload {
		if !strings.EqualFold(name, field) {
			continue
		}
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		return slices.ContainsFunc(list, func(v any) bool { return matches(pattern, fmt.Sprint(v)) })
	}
	return matches(pattern, "") // a field that is left out is empty
}

const subscriptionColumns = `id, project, description, kinds, filters, format, target, state, failures, created, created_by, updated`

func scanSubscription(row interface{ Scan(...any) error }, n *Subscription) error {
	var kinds, filters, by string
	var created, updated int64
	err := row.Scan(&n.ID, (*string)(&n.Project), &n.Description, &kinds, &filters, (*string)(&n.Format), &n.target, (*string)(&n.State), &n.Failures, &created, &by, &updated)
	if err != nil {
		return err
	}
	n.Created, n.Updated = db.Time(created), db.Time(updated)
	for text, to := range map[string]any{kinds: &n.Kinds, filters: &n.Filters, by: &n.CreatedBy} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			return err
		}
	}
	return nil
}

// Subscriptions lists those of a project, or of the installation when it is empty, the oldest first.
func (s *Service) Subscriptions(ctx context.Context, project slipway.ProjectID) ([]Subscription, error) {
	list, err := db.List(ctx, s.db, scanSubscription, `SELECT `+subscriptionColumns+` FROM hook_subscriptions WHERE project = $1 ORDER BY created, id`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	return list, nil
}

// Subscription returns one.
func (s *Service) Subscription(ctx context.Context, id string) (Subscription, error) {
	n, err := db.One(ctx, s.db, scanSubscription, `SELECT `+subscriptionColumns+` FROM hook_subscriptions WHERE id = $1`, strings.ToLower(id))
	if db.IsNoRows(err) {
		return n, slipway.NotFound("there is no subscription %.60q", id)
	}
	if err != nil {
		return n, fmt.Errorf("get subscription: %w", err)
	}
	return n, nil
}

func sealContext(id string) string { return "hook/" + id }

// Target opens where the subscription's deliveries go. Show its secrets to nobody.
func (s *Service) Target(n Subscription) (t Target, err error) {
	plain, err := s.box.Open(n.target, sealContext(n.ID))
	if err == nil {
		err = json.Unmarshal(plain, &t)
	}
	if err != nil {
		return t, fmt.Errorf("open target of subscription %s: %w", n.ID, err)
	}
	return t, nil
}

// Subscribe makes a subscription; callers have authorized the administrator of its project.
func (s *Service) Subscribe(ctx context.Context, n Subscription, t Target) (Subscription, error) {
	n.ID, n.State, n.Created, n.Failures = uuid.NewString(), Enabled, s.clock.Now(), 0
	n.Updated = n.Created
	err := s.store(ctx, &n, t, true)
	return n, err
}

// Update changes a subscription: all of it, but for secrets of the target that t leaves empty while its address stays on the same host.
// Enabling it forgets its failures.
func (s *Service) Update(ctx context.Context, n Subscription, t Target) (Subscription, error) {
	before, err := s.Target(n)
	if err != nil {
		return n, err
	}
	if sameHost(before.URL, t.URL) { // who may change the address must not send the secrets elsewhere
		if t.Secret == "" {
			t.Secret = before.Secret
		}
		if t.Password == "" && t.Username == before.Username {
			t.Password = before.Password
		}
		if t.Headers == nil {
			t.Headers = before.Headers
		}
	}
	if n.State == Enabled {
		n.Failures = 0
	}
	n.Updated = s.clock.Now()
	err = s.store(ctx, &n, t, false)
	return n, err
}

func sameHost(a, b string) bool {
	one, err1 := url.Parse(a)
	two, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && one.Scheme == two.Scheme && one.Host == two.Host
}

func (s *Service) store(ctx context.Context, n *Subscription, t Target, isNew bool) error {
	if err := n.check(); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	var texts [3]string
	for i, v := range []any{n.Kinds, n.Filters, n.CreatedBy} {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("store subscription: %w", err)
		}
		texts[i] = string(b)
	}
	plain, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("store subscription: %w", err)
	}
	if n.target, err = s.box.Seal(plain, sealContext(n.ID)); err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if isNew {
			count, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM hook_subscriptions WHERE project = $1`, string(n.Project))
			if err != nil {
				return fmt.Errorf("store subscription: %w", err)
			}
			if count >= maxSubscriptions {
				return slipway.Limit("there are %d subscriptions already: delete some", count)
			}
		}
		const upsert = `
			INSERT INTO hook_subscriptions (` + subscriptionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
			ON CONFLICT (id) DO UPDATE SET description = excluded.description, kinds = excluded.kinds, filters = excluded.filters, format = excluded.format,
				target = excluded.target, state = excluded.state, failures = excluded.failures, updated = excluded.updated`
		if _, err := tx.ExecContext(ctx, upsert, n.ID, string(n.Project), n.Description, texts[0], texts[1], string(n.Format), n.target, string(n.State), n.Failures,
			db.Micros(n.Created), texts[2], db.Micros(n.Updated)); err != nil {
			return fmt.Errorf("store subscription: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.refresh(ctx)
}

// Unsubscribe deletes a subscription with the record of its deliveries.
func (s *Service) Unsubscribe(ctx context.Context, n Subscription) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM hook_deliveries WHERE subscription_id = $1`, n.ID); err != nil {
			return fmt.Errorf("delete subscription: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM hook_subscriptions WHERE id = $1`, n.ID); err != nil {
			return fmt.Errorf("delete subscription: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.refresh(ctx)
}
