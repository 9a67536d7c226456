package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway"
)

const (
	// hubKey is docker's key for Docker Hub in config.json.
	hubKey = "https://index.docker.io/v1/"
	// jobUser is the user name that goes with a job's token; the registry looks at the token alone.
	jobUser     = "job"
	maxPassword = 64 << 10
)

// configDir is docker's own: $DOCKER_CONFIG, or .docker in the home folder.
func (p program) configDir() string {
	if dir := p.getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home := p.getenv("HOME")
	if home == "" {
		home = os.TempDir()
	}
	return filepath.Join(home, ".docker")
}

// dockerConfig is docker's config.json; keys that Slipway does not use are kept as they are.
type dockerConfig map[string]json.RawMessage

type dockerAuth struct {
	Auth string `json:"auth,omitempty"` // base64 of USER:PASSWORD
}

func (p program) readConfig() (dockerConfig, map[string]dockerAuth, error) {
	c, auths := dockerConfig{}, map[string]dockerAuth{}
	b, err := os.ReadFile(filepath.Join(p.configDir(), "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return c, auths, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read docker's config.json: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, nil, slipway.Invalid("%s is not JSON: %v", filepath.Join(p.configDir(), "config.json"), err)
	}
	if raw, ok := c["auths"]; ok {
		if err := json.Unmarshal(raw, &auths); err != nil {
			return nil, nil, slipway.Invalid("auths in docker's config.json: %v", err)
		}
	}
	return c, auths, nil
}

// changeAuths rewrites config.json under a lock.
func (p program) changeAuths(change func(map[string]dockerAuth)) error {
	dir := p.configDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make docker's folder: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "slipway-images.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	c, auths, err := p.readConfig()
	if err != nil {
		return err
	}
	change(auths)
	if c["auths"], err = json.Marshal(auths); err != nil {
		return fmt.Errorf("write docker's config.json: %w", err)
	}
	return writeJSON(filepath.Join(dir, "config.json"), c)
}

// login does `docker login`. The registry is not asked: it may be reachable from the builder
// alone, and the first push says whether it accepts them.
func (p program) login(args []string) error {
	flags := p.flags("login")
	user := flags.StringP("username", "u", "", "the user's name")
	password := flags.StringP("password", "p", "", "the password; better --password-stdin")
	fromStdin := flags.Bool("password-stdin", false, "read the password from standard input")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() > 1 {
		return usageError{errors.New("docker login takes at most one argument, the registry's host")}
	}
	if *fromStdin {
		if *password != "" {
			return usageError{errors.New("--password and --password-stdin cannot be used together")}
		}
		b, err := io.ReadAll(io.LimitReader(p.stdin, maxPassword))
		if err != nil {
			return fmt.Errorf("read the password from standard input: %w", err)
		}
		*password = strings.TrimRight(string(b), "\r\n")
	}
	if own := p.getenv("SLIPWAY_REGISTRY_HOST"); *user == "" && *password == "" && own != "" && authKey(flags.Arg(0)) == own {
		*user, *password = jobUser, p.getenv("SLIPWAY_JOB_TOKEN") // for programs of others, which read config.json
	}
	if *user == "" || *password == "" {
		return usageError{errors.New("docker login cannot ask in a job: give --username and --password-stdin")}
	}
	key := authKey(flags.Arg(0))
	err := p.changeAuths(func(auths map[string]dockerAuth) {
		auths[key] = dockerAuth{Auth: base64.StdEncoding.EncodeToString([]byte(*user + ":" + *password))}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Credentials for %s are stored; the registry checks them at the first push\n", key)
	return err
}

// logout does `docker logout`.
func (p program) logout(args []string) error {
	if len(args) > 1 {
		return usageError{errors.New("docker logout takes at most one argument, the registry's host")}
	}
	key := authKey(strings.Join(args, ""))
	if err := p.changeAuths(func(auths map[string]dockerAuth) { delete(auths, key) }); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "Removed the credentials for %s\n", key)
	return err
}

// authKey is the key under which docker stores a registry's credentials: its host, whatever of a
// URL people give with it, and for Docker Hub its old address.
func authKey(server string) string {
	host := strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	switch host {
	case "", "docker.io", "index.docker.io", "registry-1.docker.io":
		return hubKey
	}
	return host
}

// credentials are what `docker login` stored, or the job's token for Slipway's own registry.
func (p program) credentials(host string) (user, password string) {
	if _, auths, err := p.readConfig(); err == nil {
		if raw, err := base64.StdEncoding.DecodeString(auths[authKey(host)].Auth); err == nil {
			if user, password, ok := strings.Cut(string(raw), ":"); ok {
				return user, password
			}
		}
	}
	if own := p.getenv("SLIPWAY_REGISTRY_HOST"); own != "" && own == host {
		return jobUser, p.getenv("SLIPWAY_JOB_TOKEN")
	}
	return "", ""
}
