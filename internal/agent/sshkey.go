package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// installedKeys are the keys that InstallSSHKey has installed: an SSH agent of the job's own, and what files had before.
type installedKeys struct {
	keys     agent.Agent
	listener net.Listener
	before   map[string][]byte // by path; nil for a file that was not there
}

// installSSHKey is the task InstallSSHKey@0, which comes before the job's first step, as in Azure Pipelines.
func (t *task) installSSHKey(in inputs) error {
	wanted := in.text("sshKeySecureFile")
	file, err := t.fetchSecureFile(wanted, in)
	if err != nil {
		return fmt.Errorf("download secure file %q: %w", wanted, err)
	}
	private, public, err := parseKey(file.Content, in.text("sshPassphrase"))
	if err != nil {
		return fmt.Errorf("read the key of secure file %q: %w", wanted, err)
	}
	if err := comparePublic(in.text("sshPublicKey"), public, wanted); err != nil {
		return err
	}
	k, err := t.sshAgent()
	if err != nil {
		return fmt.Errorf("serve the key: %w", err)
	}
	if err := k.keys.Add(agent.AddedKey{PrivateKey: private, Comment: wanted}); err != nil {
		return fmt.Errorf("serve the key: %w", err)
	}
	t.log.Printf("Programs find the key %s by SSH_AUTH_SOCK until the job ends.", ssh.FingerprintSHA256(public))
	if err := t.appendToSSH(k, "known_hosts", strings.Join(in.lines("hostName"), "\n")); err != nil {
		return err
	}
	if !in.flag("addEntryToConfig", false) {
		return nil
	}
	return t.configureHost(k, in, wanted, file.Content)
}

func parseKey(pem []byte, passphrase string) (private any, public ssh.PublicKey, err error) {
	pem = append(bytes.TrimSpace(bytes.ReplaceAll(pem, []byte("\r\n"), []byte("\n"))), '\n')
	private, err = ssh.ParseRawPrivateKey(pem)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if passphrase == "" {
			return nil, nil, errors.New("it has a passphrase: give it as sshPassphrase")
		}
		private, err = ssh.ParseRawPrivateKeyWithPassphrase(pem, []byte(passphrase))
	}
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, nil, err
	}
	return private, signer.PublicKey(), nil
}

func comparePublic(given string, public ssh.PublicKey, file string) error {
	if given == "" {
		return nil
	}
	said, _, _, _, err := ssh.ParseAuthorizedKey([]byte(given))
	if err != nil {
		return errors.New("the input sshPublicKey is no public key of SSH: write a line such as ssh-ed25519 AAAA…, or leave it out")
	}
	if !bytes.Equal(said.Marshal(), public.Marshal()) {
		return fmt.Errorf("the input sshPublicKey is not the public key of secure file %q, whose fingerprint is %s", file, ssh.FingerprintSHA256(public))
	}
	return nil
}

// sshAgent is the job's SSH agent, which ends with the job.
func (t *task) sshAgent() (*installedKeys, error) {
	t.mu.Lock()
	k := t.sshKeys
	t.mu.Unlock()
	if k == nil {
		// A socket's path has few bytes, more than the agent's folder leaves in some places.
		path := filepath.Join(t.folders.temp, "ssh.sock")
		if len(path) > maxSocketPath {
			folder, err := os.MkdirTemp("", "ssh-")
			if err != nil {
				return nil, err
			}
			path = filepath.Join(folder, "sock")
		}
		listener, err := (&net.ListenConfig{}).Listen(t.ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		k = &installedKeys{keys: agent.NewKeyring(), listener: listener, before: map[string][]byte{}}
		t.mu.Lock()
		t.sshKeys = k
		t.mu.Unlock()
		go k.serve()
		t.setStepEnv("SSH_AUTH_SOCK", path)
	}
	t.afterJob(func(post *task) error {
		post.log.Printf("The key, and what SSH was told of hosts, are taken away.")
		return k.end()
	})
	return k, nil
}

// maxSocketPath is how long the path of a socket may be, in bytes (unix(7), sun_path).
const maxSocketPath = 107

// serve answers the programs of the job until the agent ends.
func (k *installedKeys) serve() {
	for {
		conn, err := k.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = agent.ServeAgent(k.keys, conn) // ends when the program is done
		}()
	}
}

func (k *installedKeys) end() error {
	err := k.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // two tasks installed keys
	}
	err = errors.Join(err, k.keys.RemoveAll())
	for path, text := range k.before {
		if text != nil {
			err = errors.Join(err, os.WriteFile(path, text, 0o600))
		} else if gone := os.Remove(path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	k.before = nil
	return err
}

// appendToSSH appends to a file of SSH's folder of the user until the job ends.
func (t *task) appendToSSH(k *installedKeys, name, text string) error {
	path := filepath.Join(t.home(), ".ssh", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of %s: %w", path, err)
	}
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return err
	}
	if _, known := k.before[path]; !known {
		k.before[path] = old
	}
	return os.WriteFile(path, []byte(joined(string(old), []string{text})), 0o600)
}

// configureHost lets ssh reach a host with the key.
func (t *task) configureHost(k *installedKeys, in inputs, name string, key []byte) error {
	folder, _, err := t.privateFolder("sshkey-")
	if err != nil {
		return err
	}
	path := filepath.Join(folder, filepath.Base(name))
	t.mu.Lock()
	t.secureFiles = append(t.secureFiles, path)
	t.mu.Unlock()
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	lines := []string{"Host " + in.text("configHostAlias"), "HostName " + in.text("configHostname"), "IdentityFile " + path}
	if user := in.text("configUser"); user != "" {
		lines = append(lines, "User "+user)
	}
	if port := in.text("configPort"); port != "" {
		lines = append(lines, "Port "+port)
	}
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n") {
			return fmt.Errorf("%q is more than one line", line)
		}
	}
	return t.appendToSSH(k, "config", strings.Join(lines, "\n"))
}
