// Package boards owns the backlog: work items with their states, history, comments and links, and the board on which
// they are moved. Types and states are those of Azure DevOps' Agile process.
//
//	New -> Active -> Resolved -> Closed, and Removed    (an item may go from any state to any other)
//
// It knows neither repositories nor deployments: links are references with a title and a path, and what a commit's
// message or a deployment means for items is told to it by whoever saw them (LinkMentions, MoveOn, OpenBug), any
// number of times: telling it again changes nothing.
package boards

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
)

// Migrations holds this package's tables.
//
//go:embed migrations
var Migrations embed.FS

// The events of this package; the subject is the item.
const (
	EventItemCreated   events.Kind = "boards.item_created"
	EventItemChanged   events.Kind = "boards.item_changed"
	EventItemCommented events.Kind = "boards.item_commented"
	EventItemLinked    events.Kind = "boards.item_linked"   // refers to what the item was linked to
	EventItemUnlinked  events.Kind = "boards.item_unlinked" // refers to what it was linked to
)

// Happened is the payload of this package's events.
type Happened struct {
	Type   Type     `json:"type"`
	Title  string   `json:"title"`
	State  State    `json:"state"`
	Fields []string `json:"fields,omitempty"` // that changed
}

// Limits of what is taken from outside.
const (
	maxTitle       = 255       // characters, as in Azure DevOps
	maxDescription = 256 << 10 // bytes
	maxComment     = 64 << 10  // bytes
	maxTags        = 50
	maxTag         = 100 // characters
	maxDepth       = 20  // of parents
	maxLinks       = 10_000
	maxColumn      = 200 // items that a column shows
)

// Service is the backlog of the installation. It is safe for concurrent use.
type Service struct {
	db    *db.DB
	log   *events.Log
	clock clock.Clock
}

// Open migrates the tables and returns the service.
func Open(ctx context.Context, d *db.DB, log *events.Log, c clock.Clock) (*Service, error) {
	if err := d.Migrate(ctx, "boards", Migrations); err != nil {
		return nil, err
	}
	return &Service{db: d, log: log, clock: c}, nil
}

// tell appends an event about the item.
func (s *Service) tell(ctx context.Context, tx *db.Tx, kind events.Kind, i Item, by slipway.Actor, fields []string, refs ...slipway.Reference) error {
	return s.log.Append(ctx, tx, &events.Event{Kind: kind, Project: i.Project, Subject: slipway.Ref(slipway.RefWorkItem, i.ID), Actor: by, References: refs},
		Happened{Type: i.Type, Title: i.Title, State: i.State, Fields: fields})
}

func encodeActor(a slipway.Actor) (string, error) {
	b, err := json.Marshal(a)
	return string(b), err
}

func decodeActor(s string, a *slipway.Actor) error {
	if err := json.Unmarshal([]byte(s), a); err != nil {
		return fmt.Errorf("decode actor: %w", err)
	}
	return nil
}
