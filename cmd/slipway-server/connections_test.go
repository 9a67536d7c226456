package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
)

func TestConnectionsCommand(t *testing.T) {
	t.Parallel()
	s, data := served(t, "steps:\n- bash: x\n")
	c := commandTest{t, data}
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("hunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.says("there is no service connection", "connections")
	c.says("hub is stored, id ", "connections", "add", "hub", "--type", "dockerregistry", "--parameter", "username=ada", "--secret", "password="+path, "--pipeline", "shop")
	c.fails("already", "connections", "add", "HUB", "--type", "dockerregistry")
	c.fails("write a whole one", "connections", "add", "hooks")
	c.fails("no such file", "connections", "add", "hooks", "--url", "https://hooks.example", "--secret", "password="+path+"x")
	c.fails(`there is no pipeline "shoe"`, "connections", "add", "hooks", "--url", "https://hooks.example", "--pipeline", "shoe")
	c.says("hooks is stored", "connections", "add", "hooks", "--url", "https://hooks.example", "--scheme", "None") // so nothing was
	c.says("hooks is deleted", "connections", "delete", "hooks")
	c.fails(`"username" is not NAME=VALUE`, "connections", "add", "hooks", "--url", "https://hooks.example", "--parameter", "username")
	c.says("hub   dockerregistry  UsernamePassword  https://index.docker.io/v1/", "connections")
	c.says("hub is stored", "connections", "update", "hub", "--description", "Our images", "--all-pipelines")
	list, err := s.Definitions(context.Background(), pipelinesProject(t, s))
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	stored, err := s.Connection(context.Background(), list[0].Project, "hub")
	if err != nil || stored.Description != "Our images" || !stored.AllPipelines || len(stored.Pipelines) != 1 || stored.Parameters["username"] != "ada" {
		t.Errorf("%+v, %v", stored, err)
	}
	c.says("no run has used it yet", "connections", "uses", "hub")
	c.says("hub is deleted", "connections", "delete", "HUB")
	c.fails("there is no service connection", "connections", "delete", "hub")
}

func pipelinesProject(t *testing.T, s *pipelines.Service) slipway.ProjectID {
	t.Helper()
	d, err := s.Definition(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return d.Project
}
