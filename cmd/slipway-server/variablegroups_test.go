package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVariableGroupsCommand(t *testing.T) {
	t.Parallel()
	_, data := served(t, "steps:\n- bash: x\n")
	c := commandTest{t, data}
	key := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(key, []byte("hunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.says("there is no variable group", "variable-groups")
	c.fails(`there is no variable group "shared"`, "variable-groups", "shared")
	c.says("shared is stored, with 2 variables", "variable-groups", "set", "shared", "--variable", "region=eu=west", "--secret", "API_KEY="+key, "--description", "for all")
	c.says("shared  API_KEY, region  for all", "variable-groups")
	c.says("region    eu=west", "variable-groups", "SHARED")
	c.says("API_KEY   (secret)", "variable-groups", "shared")
	c.says("shared is stored, with 2 variables", "variable-groups", "set", "Shared", "--variable", "REGION=us")
	c.says("REGION    us", "variable-groups", "shared")
	c.says("shared is stored, with 1 variables", "variable-groups", "set", "shared", "--remove", "region")
	c.fails(`there is no variable "region" in group shared`, "variable-groups", "set", "shared", "--remove", "region")
	c.fails(`"x" is not NAME=VALUE`, "variable-groups", "set", "shared", "--variable", "x")
	c.says("shared is deleted", "variable-groups", "delete", "shared")
	c.says("there is no variable group", "variable-groups")
}
