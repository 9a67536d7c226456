package agent

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"slipway/internal/pipelines/job"
)

// maxUploads bounds the files that CopyFilesOverSSH copies in one step.
const maxUploads = 100_000

// machine is one that a service connection of type ssh opens. close ends it.
type machine struct {
	*task
	client *ssh.Client
	close  func()
}

// connectSSH opens the machine of a service connection.
func (t *task) connectSSH(name string, timeout time.Duration) (m machine, err error) {
	c, err := t.connection(name)
	if err != nil {
		return m, err
	}
	methods, err := sshMethods(&c)
	if err != nil {
		return m, fmt.Errorf("service connection %q: %w", c.Name, err)
	}
	address := net.JoinHostPort(c.Datum("Host"), cmp.Or(c.Datum("Port"), "22"))
	config := &ssh.ClientConfig{User: c.Parameter("username"), Auth: methods, HostKeyCallback: t.hostKey(&c), Timeout: timeout}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(t.ctx, "tcp", address)
	if err != nil {
		return m, fmt.Errorf("reach %s: %w", address, err)
	}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	inner, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return m, fmt.Errorf("sign in to %s as %s: %w", address, config.User, err)
	}
	_ = conn.SetDeadline(time.Time{})
	client := ssh.NewClient(inner, channels, requests)
	forget := afterDone(t, func() { client.Close() })
	t.log.Printf("Signed in to %s as %s.", address, config.User)
	return machine{t, client, func() { forget(); client.Close() }}, nil
}

// afterDone calls f when the step is stopped; the function that it returns calls that off.
func afterDone(t *task, f func()) func() {
	end := make(chan struct{})
	go func() {
		select {
		case <-t.ctx.Done():
			f()
		case <-end:
		}
	}()
	return func() { close(end) }
}

// sshMethods are the ways in which the connection signs in: by its key, else by its password.
func sshMethods(c *job.Connection) ([]ssh.AuthMethod, error) {
	password := c.Parameter("password")
	if key := c.Datum("PrivateKey"); key != "" {
		signer, err := ssh.ParsePrivateKey([]byte(key))
		var encrypted *ssh.PassphraseMissingError
		if errors.As(err, &encrypted) {
			signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(password))
		}
		if err != nil {
			return nil, fmt.Errorf("its PrivateKey cannot be read: %w", err)
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
	}
	if password == "" {
		return nil, errors.New("it has neither a PrivateKey nor a password")
	}
	answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return slices.Repeat([]string{password}, len(questions)), nil
	}
	return []ssh.AuthMethod{ssh.Password(password), ssh.KeyboardInteractive(answer)}, nil
}

// hostKey judges the key of the machine by the connection's HostKey, a fingerprint or a public key. Without one every key is taken,
// as Azure Pipelines does, with a warning.
func (t *task) hostKey(c *job.Connection) ssh.HostKeyCallback {
	want := strings.TrimSpace(c.Datum("HostKey"))
	return func(host string, _ net.Addr, key ssh.PublicKey) error {
		fingerprint := ssh.FingerprintSHA256(key)
		if want == "" {
			t.warn(fmt.Sprintf("The key of %s is not checked: put HostKey into the data of service connection %s, %s if that is right.", host, c.Name, fingerprint))
			return nil
		}
		if want == fingerprint {
			return nil
		}
		if known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(want)); err == nil && bytes.Equal(known.Marshal(), key.Marshal()) {
			return nil
		}
		return fmt.Errorf("the machine has the key %s, which is not the HostKey of the service connection", fingerprint)
	}
}

// run runs a command of the machine's shell.
func (m machine) run(command string, in io.Reader, out, complaints io.Writer) error {
	session, err := m.client.NewSession()
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	defer session.Close()
	session.Stdin, session.Stdout, session.Stderr = in, out, complaints
	err = session.Run(command)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("the machine's command exited with code %d", exit.ExitStatus())
	}
	if err != nil && m.ctx.Err() != nil {
		return m.ctx.Err()
	}
	return err
}

// quiet runs a command whose output matters only if it fails.
func (m machine) quiet(command string, in io.Reader) error {
	said := &limited{max: 4 << 10}
	if err := m.run(command, in, said, said); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

// quoteShell makes a text one word of a POSIX shell.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// sshTimeout is the input readyTimeout, in milliseconds.
func sshTimeout(in inputs) time.Duration {
	ms, err := strconv.Atoi(in.text("readyTimeout"))
	if err != nil || ms <= 0 {
		ms = 20_000
	}
	return time.Duration(min(ms, 600_000)) * time.Millisecond
}

// notice remembers that something was written.
type notice struct {
	log   *stepLog
	wrote *atomic.Bool
}

func (n notice) Write(p []byte) (int, error) {
	n.wrote.Store(true)
	return n.log.Write(p)
}

// ssh is the task SSH@0.
func (t *task) ssh(in inputs) error {
	m, err := t.connectSSH(in.text("sshEndpoint"), sshTimeout(in))
	if err != nil {
		return err
	}
	defer m.close()
	var wrote atomic.Bool
	fail := in.flag("failOnStdErr", true)
	out := m.log
	if !in.flag("enableRemoteVsoCommands", false) { // what the machine writes is text, and no logging command
		out = &stepLog{spool: m.log.spool, mask: m.mask}
	}
	show := func(command, shown string) error {
		m.log.Printf("##[command]%s", shown)
		err := m.run(command, nil, out, notice{out, &wrote})
		out.Flush()
		if err == nil && fail && wrote.Load() {
			err = errors.New("the machine wrote to standard error, and failOnStdErr is set")
		}
		return err
	}
	switch strings.ToLower(in.text("runOptions")) {
	case "script":
		return m.script(in, show)
	case "inline":
		return m.withFile([]byte(strings.ReplaceAll(in.m["inline"], "\r\n", "\n")), "inline.sh", func(file string) error {
			interpreter := cmp.Or(in.text("interpreterCommand"), "/bin/bash")
			return show(interpreter+" "+quoteShell(file), interpreter+" "+file)
		})
	}
	for line := range strings.Lines(in.text("commands")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := show(line, line); err != nil {
			return err
		}
	}
	return nil
}

// script copies a script file to the machine, runs it there, and removes it.
func (m machine) script(in inputs, show func(command, shown string) error) error {
	file := m.absolute(in.text("scriptPath"))
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	return m.withFile(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), filepath.Base(file), func(there string) error {
		arguments := ""
		if given := in.text("args"); given != "" {
			arguments = " " + given
		}
		return show(quoteShell(there)+arguments, filepath.Base(file)+arguments)
	})
}

// withFile puts a program into the home folder of the machine's user while f runs.
func (m machine) withFile(text []byte, name string, f func(file string) error) error {
	file := fmt.Sprintf("./.slipway-%d-%d-%s", m.work.Job, m.step.ID, name)
	quoted := quoteShell(file)
	if err := m.quiet("umask 077 && cat > "+quoted+" && chmod u+x "+quoted, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("copy the script to the machine: %w", err)
	}
	err := f(file)
	if removal := m.quiet("rm -f "+quoted, nil); removal != nil && err == nil {
		err = fmt.Errorf("remove the script from the machine: %w", removal)
	}
	return err
}

// copyOverSSH is the task CopyFilesOverSSH@0. Files go through the machine's shell, so that it needs no more than cat and mkdir.
func (t *task) copyOverSSH(in inputs) error {
	root := t.absolute(in.text("sourceFolder"))
	var globs patterns
	for line := range strings.Lines(in.text("contents")) {
		if line = strings.TrimSpace(line); line != "" {
			globs = append(globs, line)
		}
	}
	files, err := find(root, globs.expanded())
	if err != nil {
		return fmt.Errorf("look for files: %w", err)
	}
	if len(files) == 0 {
		if in.flag("failOnEmptySource", false) {
			return fmt.Errorf("no file below %s matches, and failOnEmptySource is set", root)
		}
		t.warn("No file below " + root + " matches: nothing is copied.")
		return nil
	}
	if len(files) > maxUploads {
		return fmt.Errorf("%d files match, more than %d: copy an archive of them", len(files), maxUploads)
	}
	m, err := t.connectSSH(in.text("sshEndpoint"), sshTimeout(in))
	if err != nil {
		return err
	}
	defer m.close()
	target := cmp.Or(in.text("targetFolder"), ".")
	if in.flag("cleanTargetFolder", false) {
		hidden := " ! -name '.*'"
		if in.flag("cleanHiddenFilesInTarget", false) {
			hidden = ""
		}
		folder := quoteShell(target)
		if err := m.quiet("[ ! -d "+folder+" ] || find "+folder+" -mindepth 1 -maxdepth 1"+hidden+" -exec rm -rf {} +", nil); err != nil {
			return fmt.Errorf("empty %s: %w", target, err)
		}
	}
	return m.upload(in, root, target, files)
}

func (m machine) upload(in inputs, root, target string, files []string) error {
	delay, _ := strconv.Atoi(in.text("delayBetweenUploads"))
	made := map[string]bool{}
	for i, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if in.flag("flattenFolders", false) {
			name = filepath.Base(name)
		}
		there := path.Join(target, filepath.ToSlash(name))
		if folder := path.Dir(there); !made[folder] {
			if err := m.quiet("mkdir -p "+quoteShell(folder), nil); err != nil {
				return fmt.Errorf("make the folder %s: %w", folder, err)
			}
			made[folder] = true
		}
		if i > 0 && delay > 0 && !pause(m.ctx, time.Duration(delay)*time.Millisecond) {
			return m.ctx.Err()
		}
		if err := m.uploadFile(file, there, in.flag("overwrite", true)); err != nil {
			return err
		}
	}
	m.log.Printf("%d files are copied to %s.", len(files), target)
	return nil
}

func (m machine) uploadFile(file, there string, overwrite bool) error {
	content, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("copy a file: %w", err)
	}
	defer content.Close()
	command := "cat > " + quoteShell(there)
	if !overwrite {
		command = "set -C; " + command // noclobber
	}
	if err := m.quiet(command, content); err != nil {
		return fmt.Errorf("copy %s to %s: %w", file, there, err)
	}
	return nil
}
