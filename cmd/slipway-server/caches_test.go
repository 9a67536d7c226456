package main

import (
	"context"
	"strings"
	"testing"

	"slipway/internal/pipelines"
)

// commandTest runs commands on a server and compares what they print.
type commandTest struct {
	*testing.T
	data string
}

func (c commandTest) says(want string, args ...string) {
	c.Helper()
	if out, err := run(append(args, "--data", c.data)...); err != nil || !strings.Contains(out, want) {
		c.Errorf("%v: %v, %q, want %q", args, err, out, want)
	}
}

func (c commandTest) fails(want string, args ...string) {
	c.Helper()
	if _, err := run(append(args, "--data", c.data)...); err == nil || !strings.Contains(err.Error(), want) {
		c.Errorf("%v: %v, want %q", args, err, want)
	}
}

func TestCachesCommand(t *testing.T) {
	t.Parallel()
	s, data := served(t, "trigger: none\nsteps:\n- bash: x\n")
	c, ctx := commandTest{t, data}, context.Background()
	c.says("there is no cache", "caches")
	r, err := s.Queue(ctx, pipelines.QueueRequest{Pipeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	tl, err := s.Timeline(ctx, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"npm|a", "npm|b", "npm|c"} {
		if _, err := s.PutCache(ctx, tl.Stages[0].Jobs[0].ID, key, strings.NewReader("12345")); err != nil {
			t.Fatal(err)
		}
	}
	c.says("npm|c", "caches", "--pipeline", "SHOP")
	c.says("shop      main    0.0 MB  0", "caches")
	c.fails(`there is no pipeline "shoe"`, "caches", "--pipeline", "shoe")
	c.fails("name the numbers of caches", "caches", "delete")
	c.says("deleted 1 caches", "caches", "delete", "2")
	c.fails("there is no cache 2 in this project", "caches", "delete", "2")
	c.says("deleted 2 caches", "caches", "delete", "--pipeline", "shop")
	c.says("there is no cache", "caches")
}
