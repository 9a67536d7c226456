package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/environments"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

const (
	sampleProject = "sample"
	sampleHost    = "shop-dev.localhost"
	sampleTime    = 20 * time.Minute // for the first change to go round
)

// createSample makes the project "sample" and pushes its first commit as a person would, with git. When the project
// is there already nothing is done.
func (s *Server) createSample(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.config.Sample, "azure-pipelines.yml")); err != nil {
		return fmt.Errorf("--sample %s: there is no azure-pipelines.yml in it", s.config.Sample)
	}
	if _, err := s.identity.ProjectByName(ctx, sampleProject); slipway.CodeOf(err) != slipway.CodeNotFound {
		return err
	}
	s.terminal.Say("    Creating the project %s", sampleProject)
	s.narrator.Begin()
	admin, err := s.identity.UserByName(ctx, "admin")
	if err != nil {
		return err
	}
	by := slipway.Actor{Kind: slipway.ActorUser, ID: string(admin.ID), Name: admin.Name}
	project, err := s.identity.CreateProject(ctx, by, sampleProject, "A shop of two services and a database that goes round the whole loop")
	if err != nil {
		return err
	}
	if err := s.sampleEnvironments(ctx, project, by); err != nil {
		return err
	}
	item, err := s.sampleItem(ctx, project, by, admin.ID)
	if err != nil {
		return err
	}
	if _, err := s.repos.Create(ctx, repos.CreateRequest{Project: project.ID, Name: sampleProject, Actor: by}); err != nil {
		return err
	}
	if err := s.pushSample(ctx, item); err != nil {
		return err
	}
	return s.awaitSample(ctx)
}

// sampleEnvironments makes dev, which is deployed to without asking, and production, which waits for an approval.
func (s *Server) sampleEnvironments(ctx context.Context, p identity.Project, by slipway.Actor) error {
	for _, e := range []struct{ name, description, host, replicas string }{
		{"dev", "Every push to main", sampleHost, "1"},
		{"production", "After an approval", "shop.localhost", "2"},
	} {
		env, err := s.environments.Create(ctx, environments.NewEnvironment{Project: p.ID, ProjectName: p.Name, Name: e.name, Description: e.description}, by)
		if err != nil {
			return err
		}
		password := make([]byte, 12)
		if _, err := rand.Read(password); err != nil {
			return err
		}
		for _, v := range []environments.Variable{
			{Name: "SHOP_HOST", Value: e.host}, {Name: "REPLICAS", Value: e.replicas},
			{Name: "DATABASE_PASSWORD", Value: hex.EncodeToString(password), Secret: true},
		} {
			if err := s.environments.SetVariable(ctx, env.ID, v, by); err != nil {
				return err
			}
		}
		if e.name == "production" {
			check := environments.ApprovalCheck{Instructions: "Look at dev's health and performance first."}
			if err := s.environments.SetApproval(ctx, env.ID, &check, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// sampleItem makes the backlog item that the first commit is for, below a feature and an epic.
func (s *Server) sampleItem(ctx context.Context, p identity.Project, by slipway.Actor, owner slipway.UserID) (slipway.WorkItemID, error) {
	parent := slipway.WorkItemID(0)
	for _, i := range []boards.NewItem{
		{Type: boards.Epic, Title: "The shop is open"},
		{Type: boards.Feature, Title: "Customers order on the web"},
		{Type: boards.UserStory, Title: "As a customer I see the shop's page and order something", Assigned: owner,
			Description: "The page lists what there is; an order is kept in the database and answered with its number."},
	} {
		i.Project, i.Parent, i.State = p.ID, parent, boards.Active
		item, err := s.boards.Create(ctx, by, i)
		if err != nil {
			return 0, err
		}
		parent = item.ID
	}
	return parent, nil
}

// pushSample commits the sample's files and pushes them with git over HTTP.
func (s *Server) pushSample(ctx context.Context, item slipway.WorkItemID) error {
	a, err := readAccessFile(s.config.Data)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "slipway-sample-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, os.DirFS(s.config.Sample)); err != nil {
		return fmt.Errorf("copy the sample: %w", err)
	}
	remote := s.config.URL + "/" + sampleProject + "/_git/" + sampleProject
	credential := `credential.helper=!f() { echo username=slipway; echo "password=$SLIPWAY_TOKEN"; }; f`
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"add", "-A"},
		{"-c", "user.name=Administrator", "-c", "user.email=admin@localhost", "commit", "-q", "-m", "add the shop\n\nAB#" + strconv.FormatInt(int64(item), 10)},
		{"-c", credential, "push", "-q", remote, "main"},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "SLIPWAY_TOKEN="+a.Token, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
		}
	}
	return nil
}

// visit is the sample's first customer: it asks for the page once a second, so that there is something to measure.
func visit(ctx context.Context, ingress, host string) {
	for {
		if r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ingress+"/", nil); err == nil {
			r.Host = host
			if answer, err := http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// awaitSample waits until the first change has gone round the ring in dev, while the narrator tells of it.
func (s *Server) awaitSample(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	if s.config.Kubeconfig == "" {
		go visit(ctx, s.config.Node.Ingress, sampleHost)
	}
	select {
	case <-s.narrator.Closed():
		return nil
	case <-s.narrator.Failed():
		s.terminal.Say("    The sample's first run did not get round the loop. Mend what it complains of, then push again, or run it again on its page")
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.terminal.Say("    The sample's first run has not got round the loop in %s; its page says where it is", sampleTime)
			return nil
		}
		return ctx.Err()
	}
}
