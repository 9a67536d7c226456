package gitserver_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
	"slipway/internal/secret"
)

// sshWorld is a world that is reached over SSH too.
type sshWorld struct {
	*world
	port   string
	folder string // of keys
	known  string // file of known hosts
}

func setupSSH(t testing.TB, d *db.DB, o gitserver.Options) *sshWorld {
	t.Helper()
	w := &sshWorld{world: setup(t, d, o), folder: t.TempDir()}
	box, err := secret.NewBox([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(w.folder, "host")
	signers, err := gitserver.HostKeys(keys, box)
	if err != nil {
		t.Fatal(err)
	}
	again, err := gitserver.HostKeys(keys, box)
	if err != nil || ssh.FingerprintSHA256(again[0].PublicKey()) != ssh.FingerprintSHA256(signers[0].PublicKey()) {
		t.Fatalf("the host keys are not kept: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, w.port, _ = net.SplitHostPort(l.Addr().String())
	server := gitserver.NewSSH(w.world.git, signers)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	w.known = filepath.Join(w.folder, "known_hosts")
	var lines strings.Builder
	for _, s := range signers {
		fmt.Fprintf(&lines, "[127.0.0.1]:%s %s", w.port, ssh.MarshalAuthorizedKey(s.PublicKey()))
	}
	if err := os.WriteFile(w.known, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// key makes a pair with ssh-keygen and gives its public part to a user, if there is one to give it to.
func (w *sshWorld) key(user string, args ...string) (path string, err error) {
	w.t.Helper()
	path = filepath.Join(w.folder, strings.Join(args, ""))
	if out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-C", "ada's laptop", "-f", path}, args...)...).CombinedOutput(); err != nil {
		w.t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	if user == "" {
		return path, nil
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := w.identity.UserByName(context.Background(), user)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.identity.AddSSHKey(context.Background(), slipway.System, u.ID, "", string(public))
	return path, err
}

// options are ssh's for a key.
func (w *sshWorld) options(key string) []string {
	return []string{"-F", "/dev/null", "-p", w.port, "-i", key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + w.known}
}

// git runs the real client with a key.
func (w *sshWorld) git(key, dir string, args ...string) (string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C", "GIT_SSH_COMMAND=ssh "+strings.Join(w.options(key), " "))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *sshWorld) must(key, dir string, args ...string) string {
	w.t.Helper()
	out, err := w.git(key, dir, args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

const overSSH = "ssh://git@127.0.0.1/Tools/_git/Shop"

func TestGitOverSSH(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setupSSH(t, d, gitserver.Options{OnPushed: func(_ context.Context, p gitserver.Push) []string { return []string{"thanks, " + p.Actor.Name} }})
		key, err := w.key("Ada", "-t", "ed25519")
		if err != nil {
			t.Fatal(err)
		}
		dir := w.work(w.writer)
		head := mustGit(t, dir, "rev-parse", "HEAD")
		if out := w.must(key, dir, "push", overSSH, "main"); !strings.Contains(out, "remote: thanks, Ada") {
			t.Errorf("the pusher was not shown the server's line:\n%s", out)
		}
		if list := w.pushed(); len(list) != 1 || string(list[0].After) != head {
			t.Errorf("pushes %+v", list)
		}
		for _, address := range []string{overSSH, overSSH + ".git", "ssh://git@127.0.0.1/v3/acme/Tools/Shop"} {
			for _, version := range []string{"0", "2"} {
				clone := filepath.Join(t.TempDir(), "clone")
				w.must(key, "", "-c", "protocol.version="+version, "clone", "-q", address, clone)
				if got := mustGit(t, clone, "rev-parse", "HEAD"); got != head {
					t.Errorf("%s, version %s: %s, want %s", address, version, got, head)
				}
			}
		}
		if out := w.must(key, dir, "archive", "--remote="+overSSH, "--format=tar", "main", "README.md"); !strings.Contains(out, "# Shop") {
			t.Errorf("the archive holds %q", out)
		}
		u, err := w.identity.UserByName(context.Background(), "Ada")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := w.identity.SSHKeys(context.Background(), u.ID)
		if err != nil || len(keys) != 1 || keys[0].Used.IsZero() || keys[0].Name != "ada's laptop" {
			t.Errorf("keys %+v, %v", keys, err)
		}
		// A key that is taken away opens nothing more.
		if err := w.identity.RemoveSSHKey(context.Background(), slipway.System, u.ID, keys[0].Fingerprint); err != nil {
			t.Fatal(err)
		}
		if out, err := w.git(key, dir, "ls-remote", overSSH); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
			t.Errorf("after the removal: %v\n%s", err, out)
		}
	})
}

// Version 2 is spoken when the client asks for it, by GIT_PROTOCOL (git-config(1), protocol.version).
func TestSSHProtocolVersion(t *testing.T) {
	t.Parallel()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	key, err := w.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	run := func(options ...string) string {
		t.Helper()
		cmd := exec.Command("ssh", append(append(w.options(key), options...), "git@127.0.0.1", "git-upload-pack '/Tools/_git/Shop'")...)
		cmd.Env = append(os.Environ(), "GIT_PROTOCOL=version=2")
		cmd.Stdin = strings.NewReader("0000")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := run("-o", "SendEnv=GIT_PROTOCOL"); !strings.Contains(out, "version 2") {
		t.Errorf("asked for version 2: %q", out)
	}
	if out := run(); strings.Contains(out, "version 2") {
		t.Errorf("not asked for it: %q", out)
	}
}

func TestSSHRights(t *testing.T) {
	t.Parallel()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	reader, err := w.key("Ben", "-t", "ecdsa")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := w.key("Eve", "-t", "rsa", "-b", "3072")
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := w.key("", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	w.must(reader, dir, "fetch", overSSH, "main")
	for name, c := range map[string]struct{ key, says string }{"reader": {reader, "you are a reader of this project and may not contribute"},
		"stranger": {stranger, "there is no such project"}, "nobody": {nobody, "Permission denied (publickey)"}} {
		if out, err := w.git(c.key, dir, "push", overSSH, "main:x"); err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	w.protect()
	commit(t, dir, "hats", "1\n", "sell hats")
	ada, err := w.key("Ada", "-t", "ecdsa", "-b", "521")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := w.git(ada, dir, "push", overSSH, "main"); err == nil || !strings.Contains(out, "Minimum number of reviewers (2)") {
		t.Errorf("policies do not hold over SSH: %v\n%s", err, out)
	}
}

func TestSSHRefusesAllElse(t *testing.T) {
	t.Parallel()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	key, err := w.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	f := func(says string, args ...string) {
		t.Helper()
		cmd := exec.Command("ssh", append(w.options(key), args...)...)
		cmd.Stdin = strings.NewReader("")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), says) {
			t.Errorf("ssh %q: %v, %q", args, err, out)
		}
	}
	f("there is no shell here", "-T", "git@127.0.0.1")
	f("PTY allocation request failed", "-tt", "git@127.0.0.1")
	f("only git's own commands", "git@127.0.0.1", "cat /etc/passwd")
	f("only git's own commands", "git@127.0.0.1", "git-upload-pack-evil '/Tools/_git/Shop'")
	f("no address of a git repository", "git@127.0.0.1", "git-upload-pack '/../../etc'")
	f("the project has no repository", "git@127.0.0.1", "git-upload-pack '/Tools/_git/--help'")
	f("subsystem request failed", "-s", "git@127.0.0.1", "sftp")
	f("administratively prohibited", "-W", "127.0.0.1:1", "git@127.0.0.1")
	f("remote port forwarding failed", "-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "git@127.0.0.1")
	f("Permission denied (publickey)", "-o", "PubkeyAuthentication=no", "-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=0", "git@127.0.0.1")
	f("Permission denied (publickey)", "-o", "PubkeyAcceptedAlgorithms=ssh-dss", "git@127.0.0.1")
}

func TestWeakKeysAreRefused(t *testing.T) {
	t.Parallel()
	w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
	if _, err := w.key("Ada", "-t", "rsa", "-b", "2048"); slipway.CodeOf(err) != slipway.CodeInvalid || !strings.Contains(err.Error(), "shorter than 3072 bits") {
		t.Errorf("a short RSA key: %v", err)
	}
	path, err := w.key("Ada", "-t", "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	u, err := w.identity.UserByName(context.Background(), "Ben")
	if err != nil {
		t.Fatal(err)
	}
	for says, text := range map[string]string{"private key": string(private), "no public key": "hello", "in use already": string(public),
		"without options": `command="ls" ` + string(public), "one key alone": string(public) + string(public)} {
		if _, err := w.identity.AddSSHKey(context.Background(), slipway.System, u.ID, "x", text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
