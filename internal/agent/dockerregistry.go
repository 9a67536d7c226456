package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// dockerRegistry is a registry that a service connection opens.
type dockerRegistry struct {
	host, user, password string
	config               string // docker's folder with its credentials, for this step alone; "" for none
}

// connect finds the service connection of the registry, and signs in for the step alone. end forgets it.
func (d *docker) connect(name string, keep bool) (end func(), err error) {
	end = func() {}
	c, ok, err := d.task.foreign(name)
	if err != nil || !ok {
		return end, err
	}
	r := &dockerRegistry{host: c.RegistryHost()}
	if r.host == "" {
		return end, fmt.Errorf("service connection %q names no registry", c.Name)
	}
	r.user, r.password = c.Credentials()
	if d.foreign = r; keep || r.password == "" {
		return end, nil
	}
	folder, end, err := d.privateFolder("docker-")
	if err != nil {
		return end, err
	}
	if r.config = folder; err == nil {
		err = d.copyDockerConfig(folder)
	}
	if err == nil {
		err = d.signIn(r.host)
	}
	if err != nil {
		end()
		return func() {}, err
	}
	return end, nil
}

// copyDockerConfig keeps what steps before have signed in to.
func (d *docker) copyDockerConfig(folder string) error {
	var from, home string
	for _, pair := range d.environment(nil) {
		switch name, value, _ := strings.Cut(pair, "="); name {
		case "DOCKER_CONFIG":
			from = value
		case "HOME":
			home = value
		}
	}
	b, err := os.ReadFile(filepath.Join(cmp.Or(from, filepath.Join(home, ".docker")), "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "config.json"), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep docker's credentials: %w", err)
	}
	return nil
}

// dockerEnv is docker's environment beside the step's own.
func (d docker) dockerEnv() map[string]string {
	env := maps.Clone(d.env)
	if d.foreign == nil || d.foreign.config == "" {
		return env
	}
	if env == nil {
		env = map[string]string{}
	}
	env["DOCKER_CONFIG"] = d.foreign.config
	return env
}

// login works for Slipway's own registry by the job's token, and for others by their service connection.
func (d docker) login(host string) error {
	if host != d.registry() && (d.foreign == nil || d.foreign.password == "") {
		return fmt.Errorf("there are no credentials of %s: name a service connection of type dockerregistry that has some, or log in with `docker login` in a script step", host)
	}
	return d.signIn(host)
}

func (d docker) signIn(host string) error {
	user, password := "job", d.config.Token
	if d.foreign != nil {
		user, password = d.foreign.user, d.foreign.password
	}
	p := process{name: "docker", args: []string{"login", "--username", user, "--password-stdin", host}, stdin: strings.NewReader(password), env: d.dockerEnv()}
	d.log.Printf("##[command]docker %s", strings.Join(p.args, " "))
	return d.run(p)
}
