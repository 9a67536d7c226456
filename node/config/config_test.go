package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(`{"state":"/data/node"}`))
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{
		"10.213.7.0/30":           c.Link().String(),
		"10.215.0.10":             c.ClusterDNS().String(),
		"10.215.0.1":              c.KubernetesService().String(),
		"https://10.213.7.2:6443": c.Server(),
		"slipway-node":            c.Namespace(),
		"/data/node/pki/ca.crt":   c.PKI("ca.crt"),
		"3s":                      c.Patient(3 * time.Second).String(),
	} {
		if got != what {
			t.Errorf("want %s, got %s", what, got)
		}
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(`{"state":"/data/node","patience":20}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Patient(3 * time.Second); got != time.Minute {
		t.Errorf("three seconds became %s, not a minute", got)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"state":"/s","podCidr2":"x"}`:                                      `unknown field "podCidr2"`,
		`{"state":"/s"} {}`:                                                  "something follows",
		`{"state":"s"}`:                                                      "state: ",
		`{"state":"/s/../t"}`:                                                "state: ",
		`{"state":"/` + strings.Repeat("x", 64) + `"}`:                       "shorter path",
		`{"state":"/s","name":"Upper"}`:                                      "name: ",
		`{"state":"/s","name":"twelve-chars"}`:                               "name: ",
		`{"state":"/s","hostAddress":"10.0.0.1","nodeAddress":"10.0.0.5"}`:   "one /30 network",
		`{"state":"/s","hostAddress":"10.0.0.1","nodeAddress":"10.0.0.3"}`:   "one /30 network",
		`{"state":"/s","hostAddress":"10.0.0.0","nodeAddress":"10.0.0.1"}`:   "one /30 network",
		`{"state":"/s","podCIDR":"10.215.0.0/16"}`:                           "overlap",
		`{"state":"/s","podCIDR":"10.214.0.0/28"}`:                           "podCIDR: ",
		`{"state":"/s","serviceCIDR":"10.214.1.0/16"}`:                       "serviceCIDR: ",
		`{"state":"/s","images":["a.tar"]}`:                                  "images[0]: ",
		`{"state":"/s","registries":[{"host":"a/b","endpoint":"http://h"}]}`: "registries[0]: host: ",
		`{"state":"/s","registries":[{"host":"a","endpoint":"h:80"}]}`:       "registries[0]: endpoint: ",
		`{"state":"/s","registries":[{"host":"a","endpoint":"http://h","password":"x","passwordFile":"/y"}]}`: "not both",
		`{"state":"/s","ingress":{"listen":":8081"}}`:                                                         "ingress.listen: ",
		`{"state":"/s","processes":"many"}`:                                                                   "processes: ",
		`{"state":"/s","patience":0}`:                                                                         "patience: ",
		`{"state":"/s","patience":101}`:                                                                       "patience: ",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nwant an error with %q, got %v", text, want, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	user, password, err := Registry{Host: "h", Username: "node", PasswordFile: file}.Credentials()
	if err != nil || user != "node" || password != "secret" {
		t.Errorf("got %q %q, %v", user, password, err)
	}
	if _, _, err := (Registry{Host: "h", PasswordFile: file + "-missing"}).Credentials(); err == nil {
		t.Error("a missing file is no error")
	}
}
