package gitremote

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"slipway"
)

// Everywhere are the networks of one who may reach any address.
var Everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// Options bound what a remote may do.
type Options struct {
	Networks []netip.Prefix // that may be reached besides public addresses
	MaxBytes int64          // that may come from it
	Scratch  string         // folder for files that last as long as the access; needed for SSH alone
}

// Access is the way of git to one remote. Close ends it.
type Access struct {
	remote Remote
	proxy  *proxy
	tunnel *tunnel
	folder string
}

// Open prepares the way to a remote that has been checked.
func Open(r Remote, o Options) (*Access, error) {
	a := &Access{remote: r}
	if !r.SSH() {
		p, err := startProxy(o.Networks, o.MaxBytes)
		a.proxy = p
		return a, err
	}
	name, port := r.host()
	t, err := startTunnel(net.JoinHostPort(name, port), o.Networks, o.MaxBytes)
	if err != nil {
		return nil, err
	}
	a.tunnel = t
	if a.folder, err = os.MkdirTemp(o.Scratch, "ssh-"); err == nil {
		err = errors.Join(os.WriteFile(a.file("key"), []byte(strings.TrimSpace(r.PrivateKey)+"\n"), 0o600),
			os.WriteFile(a.file("known_hosts"), []byte(r.KnownHosts), 0o600))
	}
	if err != nil {
		a.Close()
		return nil, fmt.Errorf("prepare SSH: %w", err)
	}
	return a, nil
}

func (a *Access) file(name string) string { return filepath.Join(a.folder, name) }

// Close ends the access and removes its files.
func (a *Access) Close() {
	if a.proxy != nil {
		a.proxy.close()
	}
	if a.tunnel != nil {
		a.tunnel.close()
	}
	if a.folder != "" {
		os.RemoveAll(a.folder)
	}
}

// Settings are git's configuration, as KEY=VALUE, for a command that reaches the remote. They hold its credentials: they go by the environment.
func (a *Access) Settings() []string {
	if a.proxy == nil {
		return nil
	}
	list := []string{"http.proxy=" + a.proxy.url(), "http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "credential.helper="}
	if a.remote.Password != "" {
		if u, err := url.Parse(a.remote.URL); err == nil { // it has been checked
			list = append(list, "http.followRedirects=false") // a redirect would get the header, whoever it leads to
			list = append(list, "http."+u.Scheme+"://"+u.Host+"/.extraHeader="+a.authorization())
		}
	}
	return list
}

func (a *Access) authorization() string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(a.remote.User+":"+a.remote.Password))
}

// Environment is what a command that reaches the remote has besides its settings.
func (a *Access) Environment() []string {
	env := []string{"GIT_ALLOW_PROTOCOL=http:https:ssh", "GIT_TERMINAL_PROMPT=0"}
	for _, name := range []string{"GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	if a.tunnel == nil {
		return env
	}
	command := "ssh -F /dev/null"
	for _, o := range a.sshOptions() {
		command += " -o " + quoted(o)
	}
	return append(env, "GIT_SSH_COMMAND="+command, "GIT_SSH_VARIANT=ssh")
}

// quoted is a word of the shell's.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// SSHCommand is the program, with its arguments, that runs a command on the host of a remote of SSH. The command gets the path of the
// repository there, then more words.
func (a *Access) SSHCommand(command string, more ...string) []string {
	args := []string{"ssh", "-F", "/dev/null"}
	for _, o := range a.sshOptions() {
		args = append(args, "-o", o)
	}
	user, name, path := a.remote.place()
	if user != "" {
		name = user + "@" + name
	}
	return append(args, "-T", name, strings.Join(append([]string{command, quoted(path)}, more...), " "))
}

// sshOptions are those of ssh_config(5) that lead through the tunnel and let nothing of this machine's settings in.
func (a *Access) sshOptions() []string {
	name, port := a.remote.host()
	alias := name
	if port != "22" {
		alias = "[" + name + "]:" + port
	}
	checking := "yes"
	if a.remote.KnownHosts == "" {
		checking = "accept-new"
	}
	_, tunnelPort, _ := net.SplitHostPort(a.tunnel.address())
	// The first value of an option holds, so that what git adds of the address changes nothing.
	return []string{"HostName=127.0.0.1", "Port=" + tunnelPort, "HostKeyAlias=" + alias, "CheckHostIP=no", "StrictHostKeyChecking=" + checking,
		"UserKnownHostsFile=" + a.file("known_hosts"), "GlobalKnownHostsFile=/dev/null", "HashKnownHosts=no", "UpdateHostKeys=no", "IdentityFile=" + a.file("key"),
		"IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "PreferredAuthentications=publickey", "ConnectTimeout=30", "ServerAliveInterval=15",
		"ProxyCommand=none", "ForwardAgent=no", "PermitLocalCommand=no"}
}

// KnownHosts are the lines of known_hosts after a command, with the key of a host that was seen for the first time.
func (a *Access) KnownHosts() (string, error) {
	if a.tunnel == nil {
		return "", nil
	}
	b, err := os.ReadFile(a.file("known_hosts"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

// Failure says in a sentence why a command failed that reached the remote. done is the past participle of what it was to do, as
// "fetched" or "pushed"; err holds what git said.
func (a *Access) Failure(ctx context.Context, done string, err error) error {
	address, text := a.remote.URL, err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	refused := a.refused()
	switch {
	case refused != nil:
		return slipway.Unavailable("repository %s cannot be %s: %v", address, done, refused)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return slipway.Unavailable("repository %s was not %s in time", address, done)
	case has("could not read Username", "Authentication failed", " 401", " 403", "Permission denied (publickey"):
		return slipway.NotFound("the host of %s does not let these credentials in, or there is no such repository: give credentials, or a service connection, by which it may be %s", address, done).Because(err)
	case has("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"):
		return slipway.Conflict("the host of %s has another key than before: make sure that it is the right one, and give its key anew", address).Because(err)
	case has("error: 301", "error: 302", "error: 307", "error: 308"):
		return slipway.Invalid("%s redirects elsewhere, which would get the credentials: write where the repository is now", address).Because(err)
	case has("couldn't find remote ref", "not our ref"):
		return slipway.NotFound("repository %s has no such ref", address).Because(err)
	case has("not found", " 404", "does not appear to be a git repository", "Could not read from remote repository"):
		return slipway.NotFound("there is no repository %s, or these credentials may not read it", address).Because(err)
	}
	if said := lastWord(text); said != "" {
		return slipway.Unavailable("repository %s cannot be %s; git says: %s", address, done, said).Because(err)
	}
	return slipway.Unavailable("repository %s cannot be %s", address, done).Because(err)
}

// lastWord is git's own line about what went wrong, empty when there is none. It holds no credentials: git has none, they are added on the way.
func lastWord(text string) string {
	said := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		for _, kind := range []string{"fatal: ", "error: ", "remote: "} {
			if rest, ok := strings.CutPrefix(line, kind); ok && rest != "" && (said == "" || kind == "fatal: ") {
				said = rest
			}
		}
	}
	if len(said) > maxSaid {
		said = said[:maxSaid] + "…"
	}
	return strings.ToValidUTF8(said, "?")
}

// maxSaid bounds what is repeated of git's words, in bytes.
const maxSaid = 200

// refused is why something could not be reached, nil if nothing is known.
func (a *Access) refused() error {
	if a.proxy != nil {
		return a.proxy.failure()
	}
	return a.tunnel.failure()
}
