package gitremote

import (
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"slipway"
)

// Remote is a repository of another host, with what opens it.
type Remote struct {
	URL string // https, http or ssh without a password, or USER@HOST:PATH
	// User and Password are those of basic authentication over HTTP; both are empty without one.
	User, Password string
	// PrivateKey opens it over SSH: a key file without a passphrase.
	PrivateKey string
	// KnownHosts are the lines of known_hosts (sshd(8)) that say which host it must be. Without any the first key seen is taken, and
	// Access.KnownHosts tells it.
	KnownHosts string
}

const maxURL = 2 << 10

// scpForm is USER@HOST:PATH. The user is needed, so that no path of a drive or a helper of git's is taken for it.
var scpForm = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([^:\s][^\s]*)$`)

// SSH says that the remote is reached over SSH.
func (r Remote) SSH() bool { return strings.HasPrefix(r.URL, "ssh://") || scpForm.MatchString(r.URL) }

// Check refuses what is no address of a repository, or has credentials that do not go with it.
func (r Remote) Check() error {
	if err := CheckURL(r.URL); err != nil {
		return err
	}
	if r.PrivateKey != "" {
		if !r.SSH() {
			return slipway.Invalid("a private key opens addresses of SSH alone: give a user name and password for %s", r.URL)
		}
		if _, err := ssh.ParsePrivateKey([]byte(r.PrivateKey)); err != nil {
			return slipway.Invalid("the private key is none that can be used: give the content of a key file without a passphrase, as ssh-keygen -N '' makes it").Because(err)
		}
	}
	if r.Password != "" && r.SSH() {
		return slipway.Invalid("a password opens addresses of HTTP alone: give a private key for %s", r.URL)
	}
	if strings.ContainsAny(r.User+r.Password, "\x00\r\n") || strings.Contains(r.User, ":") {
		return slipway.Invalid("the user name or password has a character that it cannot have")
	}
	return nil
}

// CheckURL refuses what is no address of a repository.
func CheckURL(address string) error {
	bad := slipway.Invalid("%.200q is no URL of a git repository: it begins with https://, http:// or ssh://, or is USER@HOST:PATH, and has no password in it", address)
	bad.Field = "url"
	if len(address) > maxURL || strings.ContainsAny(address, "\x00\r\n\t ") {
		return bad
	}
	if m := scpForm.FindStringSubmatch(address); m != nil {
		if strings.HasPrefix(m[2], "-") || strings.HasPrefix(m[3], "-") {
			return bad
		}
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") == "" {
		return bad
	}
	switch u.Scheme {
	case "https", "http":
		if u.User != nil {
			return bad
		}
	case "ssh":
		if _, has := u.User.Password(); has || strings.HasPrefix(u.User.Username(), "-") {
			return bad
		}
	default:
		return bad
	}
	return nil
}

// place is whom an address of SSH names, on which host, and the path of the repository there, as git gives it to the host.
func (r Remote) place() (user, host, path string) {
	if m := scpForm.FindStringSubmatch(r.URL); m != nil {
		return m[1], strings.Trim(m[2], "[]"), m[3]
	}
	u, err := url.Parse(r.URL)
	if err != nil { // it has been checked
		return "", "", ""
	}
	path = u.Path
	if strings.HasPrefix(path, "/~") { // a home folder (git-clone(1), GIT URLS)
		path = path[1:]
	}
	return u.User.Username(), u.Hostname(), path
}

// host is where an address of SSH leads, with its port.
func (r Remote) host() (name, port string) {
	if m := scpForm.FindStringSubmatch(r.URL); m != nil {
		return strings.Trim(m[2], "[]"), "22"
	}
	u, err := url.Parse(r.URL)
	if err != nil { // it has been checked
		return "", ""
	}
	if port = u.Port(); port == "" {
		port = "22"
	}
	return u.Hostname(), port
}
