package gitserver

import (
	"net/url"
	"strings"

	"slipway"
)

const (
	uploadArchive   = "git-upload-archive"
	lfsAuthenticate = "git-lfs-authenticate"
)

// sshCommand is what a client wants to run.
type sshCommand struct {
	service   string
	address   address
	operation string // of git-lfs-authenticate
}

// parseCommand reads a command as git sends it: git-upload-pack '/PROJECT/_git/REPOSITORY'.
func parseCommand(line string) (sshCommand, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if name == "git" { // as some clients write it
		verb, after, _ := strings.Cut(strings.TrimSpace(rest), " ")
		name, rest = "git-"+verb, after
	}
	switch name {
	case uploadPack, receivePack, uploadArchive:
	case lfsAuthenticate:
		path, operation, _ := strings.Cut(strings.TrimSpace(rest), " ")
		a, err := sshAddress(unquote(path))
		return sshCommand{name, a, strings.TrimSpace(operation)}, err
	default:
		return sshCommand{}, slipway.Unsupported("only git's own commands run here: git-upload-pack, git-receive-pack, git-upload-archive and git-lfs-authenticate")
	}
	a, err := sshAddress(unquote(strings.TrimSpace(rest)))
	return sshCommand{name, a, ""}, err
}

// unquote undoes git's quoting for a shell: '...', with '\” and '\!' for the two characters that end it.
func unquote(text string) string {
	if len(text) < 2 || text[0] != '\'' || text[len(text)-1] != '\'' {
		return text
	}
	return strings.NewReplacer(`'\''`, `'`, `'\!'`, `!`).Replace(text[1 : len(text)-1])
}

// sshAddress reads /PROJECT/_git/REPOSITORY, or v3/ORGANIZATION/PROJECT/REPOSITORY as Azure Repos has it.
func sshAddress(path string) (address, error) {
	bad := slipway.NotFound("this is no address of a git repository: it should be ssh://HOST:PORT/PROJECT/_git/REPOSITORY")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range parts {
		part, err := url.PathUnescape(parts[i])
		if err != nil {
			return address{}, bad
		}
		parts[i] = part
	}
	switch {
	case len(parts) == 3 && parts[1] == "_git":
		parts = []string{parts[0], parts[2]}
	case len(parts) == 4 && parts[0] == "v3": // the organization says nothing here: there is one
		parts = parts[2:]
	default:
		return address{}, bad
	}
	if parts[0] == "" || parts[1] == "" {
		return address{}, bad
	}
	return address{project: parts[0], repository: strings.TrimSuffix(parts[1], ".git")}, nil
}
