package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/commandline"

	"github.com/google/go-cmp/cmp"
)

// What `slipway build --builder IMAGE` hands to pack, whose flags are those of pack's own documentation, and what it refuses.
func TestBuildWithBuildpacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want string // of pack's arguments, or of the refusal
		bad  bool
	}{
		{"-t h/p/a:1 --push --builder b:1 .", "build h/p/a:1 --publish --builder b:1 --path .", false},
		{"-t h/p/a:1 -t h/p/a:2 --push --builder b:1 --builder unix:///b.sock -e A=1 --no-cache --progress quiet dir", "build h/p/a:1 --publish --builder b:1 --path dir --tag h/p/a:2 --env A=1 --clear-cache --quiet", false},
		{"-t h/p/a:1 --push --builder b:1 --buildpack x/y@1 --platform linux/amd64 .", "build h/p/a:1 --publish --builder b:1 --path . --buildpack x/y@1 --platform linux/amd64", false},
		{"-t h/p/a:1 --builder b:1 .", "write -t HOST/PROJECT/NAME:TAG --push", true},
		{"--push --builder b:1 .", "write -t HOST/PROJECT/NAME:TAG --push", true},
		{"-t h/p/a:1 --push --builder b:1 --builder c:1 .", "two of a kind", true},
		{"-t h/p/a:1 --push --builder b:1 -f Dockerfile .", "--file does not go with --builder b:1", true},
		{"-t h/p/a:1 --push --builder b:1 --build-arg A=1 .", "write --env", true},
		{"-t h/p/a:1 --push -e A=1 .", "--env and --buildpack go with --builder IMAGE", true},
		{"-t h/p/a:1 --push --builder b:1 --progress fancy .", "write plain or quiet", true},
	} {
		cmd, o := newBuildCommand()
		err := cmd.ParseFlags(strings.Fields(c.args))
		var got []string
		if err == nil {
			o.ContextDir = cmd.Flags().Arg(0)
			err = o.splitBuilders()
		}
		if err == nil && o.image != "" {
			got, err = o.packArgs(cmd)
		}
		if c.bad {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.args, err, c.want)
			}
			continue
		}
		want := strings.Fields(c.want)
		slices.Sort(want[2:])
		if len(got) > 2 {
			slices.Sort(got[2:])
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.args, err, diff)
		}
	}
	runPackFake(t)
	c := commandTest{t, t.TempDir()}
	if err := (access{URL: "http://localhost:1", Token: "x"}).write(c.data); err != nil {
		t.Fatal(err)
	}
	_, err := run("build", t.TempDir(), "-t", "localhost:1/p/a:1", "--push", "--builder", "b:1", "--data", c.data)
	var exit *commandline.ExitError
	if err == nil || errors.As(err, &exit) || !strings.Contains(err.Error(), "is not beside this program") {
		t.Errorf("without its program: %v", err)
	}
}

// runPackFake hands over to a fake pack, which says what it was given and fails.
func runPackFake(t *testing.T) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pack")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\"\nenv | grep -E '^SLIPWAY_(BUILDER_URL|JOB|JOB_TOKEN|REGISTRY_HOST|URL)=' | sort\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, o := newBuildCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	err := o.runPack(t.Context(), cmd, program, access{URL: "http://localhost:8080", Token: "secret"}, "My shop", []string{"build", "x"})
	var exit *commandline.ExitError
	if !errors.As(err, &exit) || exit.Code != 3 {
		t.Errorf("it ended with %v, want its code", err)
	}
	want := "build x\nSLIPWAY_BUILDER_URL=http://localhost:8080/My%20shop/_apis/slipway/builder\nSLIPWAY_JOB=\nSLIPWAY_JOB_TOKEN=secret\nSLIPWAY_REGISTRY_HOST=localhost:8080\nSLIPWAY_URL=http://localhost:8080\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("pack is given\n%s", diff)
	}
}
