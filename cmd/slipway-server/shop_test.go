package main

import (
	"context"
	"log/slog"
	"testing"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// shop is the project Shop with its repository `shop`, to which Ada may push.
type shop struct {
	db         *db.DB
	log        *events.Log
	logger     *slog.Logger
	people     *identity.Service
	code       *repos.Service
	project    slipway.ProjectID
	repository slipway.RepositoryID
	token      string // Ada's
}

func newShop(t *testing.T) (s shop, must func(error)) {
	t.Helper()
	ctx := context.Background()
	must = func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.db, s.logger = dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	var err error
	s.log, err = events.Open(ctx, s.db, clock.System{}, s.logger)
	must(err)
	s.people, err = identity.Open(ctx, s.db, s.log, clock.System{})
	must(err)
	s.code, err = repos.Open(ctx, s.db, s.log, clock.System{}, t.TempDir(), s.logger)
	must(err)
	t.Cleanup(func() { _ = s.code.Close() })
	project, err := s.people.CreateProject(ctx, slipway.System, "Shop", "")
	must(err)
	s.project = project.ID
	repository, err := s.code.Create(ctx, repos.CreateRequest{Project: project.ID, Name: "shop", Actor: slipway.System})
	must(err)
	s.repository = repository.ID
	ada, err := s.people.CreateUser(ctx, slipway.System, identity.NewUser{Name: "Ada", Email: "ada@example.org", Password: "battery staple"})
	must(err)
	must(s.people.SetRole(ctx, slipway.System, project.ID, ada.ID, identity.RoleContributor))
	s.token, err = s.people.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "git",
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(ada.ID), Name: ada.Name}})
	must(err)
	return s, must
}
