package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/events"
)

// The kinds of events that Docker Registry's notifications can tell, and the one of a test.
const (
	kindPushed  events.Kind = "registry.pushed"
	kindDeleted events.Kind = "registry.deleted"
	kindTest    events.Kind = "hooks.test"
)

// signatureHeader holds the HMAC-SHA256 of the body in hex after `sha256=`, as receivers of GitHub's webhooks check it.
const signatureHeader = "X-Hub-Signature-256"

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// EventID is the event's number as a UUID, which clients of Azure DevOps expect.
func EventID(event int64) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "slipway event %d", event))
}

// notification is the envelope of Azure DevOps' service hooks. Its resource is the event's payload.
type notification struct {
	SubscriptionID string               `json:"subscriptionId"`
	ID             uuid.UUID            `json:"id"`
	EventType      events.Kind          `json:"eventType"`
	PublisherID    string               `json:"publisherId"`
	Message        text                 `json:"message"`
	Resource       json.RawMessage      `json:"resource"`
	Version        string               `json:"resourceVersion"`
	Containers     map[string]container `json:"resourceContainers"`
	Created        time.Time            `json:"createdDate"`
	// Beyond Azure DevOps' fields.
	Event      int64               `json:"event"` // its number in the log
	Subject    slipway.Reference   `json:"subject"`
	Actor      slipway.Actor       `json:"actor"`
	References []slipway.Reference `json:"references"`
	Cause      int64               `json:"cause,omitempty"` // the event that led to this one
}

type text struct {
	Text string `json:"text"`
}

type container struct {
	ID string `json:"id"`
}

// dockerEvents is the envelope of Docker Registry's notifications (distribution project, "Work with notifications").
type dockerEvents struct {
	Events []dockerEvent `json:"events"`
}

type dockerEvent struct {
	ID        uuid.UUID    `json:"id"`
	Timestamp time.Time    `json:"timestamp"`
	Action    string       `json:"action"` // push or delete
	Target    dockerTarget `json:"target"`
	Request   struct {
		Host string `json:"host,omitempty"`
	} `json:"request"`
	Actor struct {
		Name string `json:"name,omitempty"`
	} `json:"actor"`
	Source struct {
		Address string `json:"addr,omitempty"`
	} `json:"source"`
}

type dockerTarget struct {
	MediaType  string `json:"mediaType,omitempty"`
	Size       int64  `json:"size,omitempty"`
	Digest     string `json:"digest,omitempty"`
	Length     int64  `json:"length,omitempty"`
	Repository string `json:"repository"`
	URL        string `json:"url,omitempty"`
	Tag        string `json:"tag,omitempty"`
}

const dockerMediaType = "application/vnd.docker.distribution.events.v1+json"

func (f Format) contentType() string {
	if f == FormatDocker {
		return dockerMediaType
	}
	return "application/json; charset=utf-8"
}

// body is what a subscription is sent for an event.
func (s *Service) body(n Subscription, e events.Event) ([]byte, error) {
	if n.Format == FormatDocker {
		return s.dockerBody(e)
	}
	out := notification{SubscriptionID: n.ID, ID: EventID(e.ID), EventType: e.Kind, PublisherID: "slipway", Message: text{fmt.Sprintf("%s: %s by %s", e.Kind, e.Subject, e.Actor.Name)},
		Resource: e.Payload, Version: fmt.Sprintf("%d.0", e.Version), Containers: map[string]container{}, Created: e.Time.UTC(), Event: e.ID, Subject: e.Subject, Actor: e.Actor,
		References: e.References, Cause: e.Cause}
	if e.Project != "" {
		out.Containers["project"] = container{string(e.Project)}
	}
	if out.References == nil {
		out.References = []slipway.Reference{}
	}
	return json.Marshal(out)
}

func (s *Service) dockerBody(e events.Event) ([]byte, error) {
	d := dockerEvent{ID: EventID(e.ID), Timestamp: e.Time.UTC(), Action: "push"}
	if e.Kind == kindDeleted {
		d.Action = "delete"
	}
	if e.Kind == kindTest {
		return json.Marshal(dockerEvents{Events: []dockerEvent{}})
	}
	if err := e.Decode(&d.Target); err != nil {
		return nil, err
	}
	d.Target.Length = d.Target.Size
	if d.Action == "push" {
		d.Target.URL = s.options.URL + "/v2/" + d.Target.Repository + "/manifests/" + d.Target.Digest
	}
	d.Actor.Name = e.Actor.Name
	_, host, _ := strings.Cut(s.options.URL, "://")
	d.Request.Host, d.Source.Address = host, host
	return json.Marshal(dockerEvents{Events: []dockerEvent{d}})
}
