package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/hooks"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

// maxHookBody bounds the bodies about subscriptions.
const maxHookBody = 128 << 10

type hookRoutes struct {
	*Server
	hooks *hooks.Service
}

// AddHooks serves outgoing service hooks as Azure DevOps has them: subscriptions, and the notifications that were sent. Their
// project is an input of the subscription, so each handler asks for its administrator.
func (s *Server) AddHooks(h *hooks.Service) {
	r := hookRoutes{s, h}
	s.installation("GET", "/hooks/subscriptions", identity.Read, r.listSubscriptions)
	s.installation("POST", "/hooks/subscriptions", identity.Read, r.createSubscription)
	s.installation("GET", "/hooks/subscriptions/{subscription}", identity.Read, r.showSubscription)
	s.installation("PUT", "/hooks/subscriptions/{subscription}", identity.Read, r.replaceSubscription)
	s.installation("DELETE", "/hooks/subscriptions/{subscription}", identity.Read, r.deleteSubscription)
	s.installation("GET", "/hooks/subscriptions/{subscription}/notifications", identity.Read, r.listNotifications)
	s.installation("GET", "/hooks/subscriptions/{subscription}/notifications/{notification}", identity.Read, r.showNotification)
	s.installation("POST", "/slipway/hooks/{subscription}/test", identity.Read, r.testSubscription)
	s.installation("POST", "/slipway/hooks/{subscription}/notifications/{notification}/redeliver", identity.Read, r.redeliver)
}

// HookSubscription is Azure DevOps' Subscription. The publisher's inputs are `projectId`, empty for the whole installation, and beside it
// patterns that fields of the event must match; the consumer's are `url`, `basicAuthUsername`, `basicAuthPassword`, `httpHeaders` (lines of
// NAME:VALUE), and of Slipway's own `secret` and `format`. Secrets are never shown.
type HookSubscription struct {
	ID               string            `json:"id,omitempty"`
	URL              string            `json:"url,omitempty"`
	Status           string            `json:"status,omitempty"`
	PublisherID      string            `json:"publisherId,omitempty"`
	EventType        string            `json:"eventType"` // several with commas; * stands for any text
	ResourceVersion  string            `json:"resourceVersion,omitempty"`
	ConsumerID       string            `json:"consumerId"`
	ConsumerActionID string            `json:"consumerActionId"`
	EventDescription string            `json:"eventDescription,omitempty"`
	PublisherInputs  map[string]string `json:"publisherInputs"`
	ConsumerInputs   map[string]string `json:"consumerInputs"`
	CreatedBy        *IdentityRef      `json:"createdBy,omitempty"`
	CreatedDate      *time.Time        `json:"createdDate,omitempty"`
	ModifiedDate     *time.Time        `json:"modifiedDate,omitempty"`
	Failures         int               `json:"failures,omitempty"` // deliveries on end that failed
}

// masked stands for a secret that is there.
const masked = "********"

func (h hookRoutes) subscription(n hooks.Subscription) (HookSubscription, error) {
	t, err := h.hooks.Target(n)
	if err != nil {
		return HookSubscription{}, err
	}
	out := HookSubscription{ID: n.ID, URL: h.url + "/_apis/hooks/subscriptions/" + n.ID, Status: string(n.State), PublisherID: "slipway", EventType: strings.Join(n.Kinds, ","),
		ResourceVersion: "1.0", ConsumerID: "webHooks", ConsumerActionID: "httpRequest", EventDescription: n.Description, PublisherInputs: map[string]string{}, CreatedBy: identityRef(n.CreatedBy),
		ConsumerInputs: map[string]string{"url": t.URL, "format": string(n.Format)}, CreatedDate: when(n.Created), ModifiedDate: when(n.Updated), Failures: n.Failures}
	maps.Copy(out.PublisherInputs, n.Filters)
	if n.Project != "" {
		out.PublisherInputs["projectId"] = string(n.Project)
	}
	inputs := map[string]string{"basicAuthUsername": t.Username}
	for name, there := range map[string]bool{"basicAuthPassword": t.Password != "", "secret": t.Secret != ""} {
		if there {
			inputs[name] = masked
		}
	}
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		headers = append(headers, name+":"+masked)
	}
	inputs["httpHeaders"] = strings.Join(headers, "\n")
	for name, value := range inputs {
		if value != "" {
			out.ConsumerInputs[name] = value
		}
	}
	return out, nil
}

// read makes a subscription of a body, over the one that is there when it replaces one.
func (h hookRoutes) read(w http.ResponseWriter, r request, n hooks.Subscription) (hooks.Subscription, hooks.Target, error) {
	var body HookSubscription
	if err := r.decode(w, maxHookBody, &body, "a subscription"); err != nil {
		return n, hooks.Target{}, err
	}
	if body.ConsumerID != "webHooks" || body.ConsumerActionID != "httpRequest" {
		return n, hooks.Target{}, slipway.Unsupported("consumer %.40q with action %.40q is not there: use webHooks with httpRequest, which other services take too", body.ConsumerID, body.ConsumerActionID)
	}
	n.Kinds, n.Description, n.Filters = nil, body.EventDescription, map[string]string{}
	for kind := range strings.SplitSeq(body.EventType, ",") {
		n.Kinds = append(n.Kinds, strings.TrimSpace(kind))
	}
	project := slipway.ProjectID("")
	for name, value := range body.PublisherInputs {
		switch {
		case strings.EqualFold(name, "projectId"):
			project = slipway.ProjectID(strings.ToLower(value))
		case value != "" && !strings.EqualFold(name, "tfsSubscriptionId"):
			n.Filters[name] = value
		}
	}
	if n.ID != "" && project != n.Project {
		return n, hooks.Target{}, slipway.Invalid("a subscription stays in its project: make another one there")
	}
	n.Project = project
	switch hooks.State(body.Status) {
	case "", hooks.Enabled:
		n.State = hooks.Enabled
	case hooks.DisabledByUser, hooks.DisabledBySystem:
		n.State = hooks.State(body.Status)
	default:
		return n, hooks.Target{}, slipway.Invalid("status %.40q: write enabled or disabledByUser", body.Status)
	}
	t, err := readTarget(body.ConsumerInputs, &n)
	return n, t, err
}

// readTarget reads the consumer's inputs. A secret that is masked, as it is shown, stays as it is.
func readTarget(inputs map[string]string, n *hooks.Subscription) (hooks.Target, error) {
	t := hooks.Target{}
	for name, value := range inputs {
		if value == masked {
			continue
		}
		switch strings.ToLower(name) {
		case "url":
			t.URL = value
		case "basicauthusername":
			t.Username = value
		case "basicauthpassword":
			t.Password = value
		case "secret":
			t.Secret = value
		case "format":
			n.Format = hooks.Format(value)
		case "httpheaders":
			for line := range strings.Lines(value) {
				name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
				if !ok || strings.TrimSpace(value) == masked {
					continue
				}
				if t.Headers == nil {
					t.Headers = map[string]string{}
				}
				t.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		case "resourcedetailstosend", "messagestosend", "detailedmessagestosend": // what Azure DevOps leaves out of a body; here it is always whole
			if !strings.EqualFold(value, "all") && value != "" {
				return t, slipway.Unsupported("%s=%.20q: a body is always whole here; leave it out", name, value)
			}
		default:
			return t, slipway.Unsupported("consumer input %.40q is not known: there are url, basicAuthUsername, basicAuthPassword, httpHeaders, secret and format", name)
		}
	}
	return t, nil
}

// found is the subscription of the path, for an administrator of its project.
func (h hookRoutes) found(r request) (hooks.Subscription, error) {
	n, err := h.hooks.Subscription(r.Context(), chi.URLParam(r.Request, "subscription"))
	if err != nil {
		return n, err
	}
	return n, h.identity.Authorize(r.Context(), r.caller, identity.Administer, n.Project)
}

// listSubscriptions lists those of a project, or of the installation, or, when neither is named, of all that the caller administers.
func (h hookRoutes) listSubscriptions(w http.ResponseWriter, r request) error {
	projects := []slipway.ProjectID{slipway.ProjectID(r.URL.Query().Get("projectId"))}
	if projects[0] == "" {
		all, err := h.identity.Projects(r.Context(), r.caller)
		if err != nil {
			return err
		}
		for _, p := range all {
			projects = append(projects, p.ID)
		}
	}
	var out []HookSubscription
	for _, project := range projects {
		if err := h.identity.Authorize(r.Context(), r.caller, identity.Administer, project); err != nil {
			continue
		}
		found, err := h.hooks.Subscriptions(r.Context(), project)
		if err != nil {
			return err
		}
		for _, n := range found {
			one, err := h.subscription(n)
			if err != nil {
				return err
			}
			if kind := r.URL.Query().Get("eventType"); kind == "" || slices.Contains(n.Kinds, kind) {
				out = append(out, one)
			}
		}
	}
	return list(w, out)
}

func (h hookRoutes) write(w http.ResponseWriter, n hooks.Subscription, err error) error {
	if err != nil {
		return err
	}
	out, err := h.subscription(n)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (h hookRoutes) createSubscription(w http.ResponseWriter, r request) error {
	n, t, err := h.read(w, r, hooks.Subscription{})
	if err != nil {
		return err
	}
	if n.Project != "" { // the name of a project is as good as its id
		p, err := h.identity.ProjectByName(r.Context(), string(n.Project))
		if err != nil {
			return err
		}
		n.Project = p.ID
	}
	if err := h.identity.Authorize(r.Context(), r.caller, identity.Administer, n.Project); err != nil {
		return err
	}
	n.CreatedBy = r.caller.Actor
	n, err = h.hooks.Subscribe(r.Context(), n, t)
	return h.write(w, n, err)
}

func (h hookRoutes) showSubscription(w http.ResponseWriter, r request) error {
	n, err := h.found(r)
	return h.write(w, n, err)
}

func (h hookRoutes) replaceSubscription(w http.ResponseWriter, r request) error {
	n, err := h.found(r)
	if err != nil {
		return err
	}
	n, t, err := h.read(w, r, n)
	if err != nil {
		return err
	}
	n, err = h.hooks.Update(r.Context(), n, t)
	return h.write(w, n, err)
}

func (h hookRoutes) deleteSubscription(w http.ResponseWriter, r request) error {
	n, err := h.found(r)
	if err != nil {
		return err
	}
	if err := h.hooks.Unsubscribe(r.Context(), n); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// HookNotification is Azure DevOps' Notification: what was sent for one event.
type HookNotification struct {
	ID             int64                    `json:"id"`
	SubscriptionID string                   `json:"subscriptionId"`
	EventID        string                   `json:"eventId"`
	Status         string                   `json:"status"` // queued or completed
	Result         string                   `json:"result"` // pending, succeeded or failed
	CreatedDate    *time.Time               `json:"createdDate,omitempty"`
	ModifiedDate   *time.Time               `json:"modifiedDate,omitempty"`
	Details        *HookNotificationDetails `json:"details,omitempty"`
}

// HookNotificationDetails are what was sent, and what was answered to the last attempt.
type HookNotificationDetails struct {
	EventType       string     `json:"eventType"`
	PublisherID     string     `json:"publisherId"`
	ConsumerID      string     `json:"consumerId"`
	QueuedDate      *time.Time `json:"queuedDate,omitempty"`
	CompletedDate   *time.Time `json:"completedDate,omitempty"`
	RequestAttempts int        `json:"requestAttempts"`
	RequestDuration float64    `json:"requestDuration"` // seconds
	Request         string     `json:"request,omitempty"`
	Response        string     `json:"response,omitempty"`
	ErrorMessage    string     `json:"errorMessage,omitempty"`
	StatusCode      int        `json:"statusCode,omitempty"` // of the answer
}

func notification(d hooks.Delivery, whole bool) HookNotification {
	n := HookNotification{ID: d.ID, SubscriptionID: d.Subscription, EventID: hooks.EventID(d.Event).String(), Status: "completed", Result: string(d.State), CreatedDate: when(d.Created), ModifiedDate: when(d.Attempted)}
	n.Details = &HookNotificationDetails{EventType: d.Kind, PublisherID: "slipway", ConsumerID: "webHooks", QueuedDate: when(d.Created), RequestAttempts: d.Attempts,
		RequestDuration: d.Took.Seconds(), ErrorMessage: d.Error, StatusCode: d.Status}
	if d.State == hooks.Pending {
		n.Status = "queued"
	} else {
		n.Details.CompletedDate = when(d.Attempted)
	}
	if whole {
		n.Details.Request, n.Details.Response = d.Request+"\n"+d.Body, d.Answer
	}
	return n
}

func (h hookRoutes) listNotifications(w http.ResponseWriter, r request) error {
	n, err := h.found(r)
	if err != nil {
		return err
	}
	state := hooks.DeliveryState(r.URL.Query().Get("result"))
	deliveries, err := h.hooks.Deliveries(r.Context(), n, state, 100)
	if err != nil {
		return err
	}
	var out []HookNotification
	for _, d := range deliveries {
		out = append(out, notification(d, false))
	}
	return list(w, out)
}

func (h hookRoutes) delivery(r request) (hooks.Subscription, hooks.Delivery, error) {
	n, err := h.found(r)
	if err != nil {
		return n, hooks.Delivery{}, err
	}
	id, err := r.number("notification")
	if err != nil {
		return n, hooks.Delivery{}, err
	}
	d, err := h.hooks.Delivery(r.Context(), n, id)
	return n, d, err
}

func (h hookRoutes) showNotification(w http.ResponseWriter, r request) error {
	_, d, err := h.delivery(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, notification(d, true))
	return nil
}

func (h hookRoutes) testSubscription(w http.ResponseWriter, r request) error {
	n, err := h.found(r)
	if err != nil {
		return err
	}
	d, err := h.hooks.Test(r.Context(), n, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, notification(d, true))
	return nil
}

func (h hookRoutes) redeliver(w http.ResponseWriter, r request) error {
	n, d, err := h.delivery(r)
	if err != nil {
		return err
	}
	if d, err = h.hooks.Redeliver(r.Context(), n, d); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, notification(d, true))
	return nil
}
