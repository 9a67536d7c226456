package ociserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/programtest"
)

// helm pushes a chart, shows, pulls and renders it.
func TestHelm(t *testing.T) {
	t.Parallel()
	helm, err := programtest.Client("helm")
	if err != nil {
		t.Fatal(err)
	}
	w := sqlite(t)
	c := w.client(t, helm)
	c.run("registry", "login", "--plain-http", "-u", "any", "-p", w.admin, w.host)
	c.run("create", "shopchart")
	c.run("package", "shopchart")
	if got := c.run("push", "--plain-http", "shopchart-0.1.0.tgz", "oci://"+w.host+"/shop"); !strings.Contains(got, "shop/shopchart:0.1.0") {
		t.Errorf("push: %s", got)
	}
	chart := "oci://" + w.host + "/shop/shopchart"
	if got := c.run("show", "chart", "--plain-http", chart); !strings.Contains(got, "name: shopchart") {
		t.Errorf("show: %s", got)
	}
	if err := os.Mkdir(filepath.Join(c.home, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.run("pull", "--plain-http", "-d", "out", chart, "--version", "0.1.0")
	pushed, err := os.ReadFile(filepath.Join(c.home, "shopchart-0.1.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if pulled, err := os.ReadFile(filepath.Join(c.home, "out", "shopchart-0.1.0.tgz")); err != nil || string(pulled) != string(pushed) {
		t.Errorf("pulled %d bytes, %v, want the %d that were pushed", len(pulled), err, len(pushed))
	}
	if got := c.run("template", "--plain-http", "web", chart); !strings.Contains(got, "kind: Deployment") {
		t.Errorf("template: %s", got)
	}
}
