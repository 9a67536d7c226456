package agent

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
)

// sshServer is OpenSSH's sshd, whose commands run in a folder, for who has the key.
type sshServer struct {
	folder, address, key, hostKey string
	encrypted                     string // another key, with the passphrase `open sesame`
}

func newSSHServer(t *testing.T) sshServer {
	t.Helper()
	dir := t.TempDir()
	s := sshServer{folder: filepath.Join(dir, "home")}
	keygen := func(name, passphrase string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
		return textOf(t, path)
	}
	keygen("host", "")
	s.key, s.encrypted, s.hostKey = keygen("user", ""), keygen("locked", "open sesame"), textOf(t, filepath.Join(dir, "host.pub"))
	// The home is another one, lest the user's own start files are run.
	config := fmt.Sprintf("HostKey %s/host\nAuthorizedKeysFile %s/allowed\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv HOME=%s\nForceCommand cd %s && exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n", dir, dir, dir, s.folder)
	for path, text := range map[string]string{"config": config, "allowed": textOf(t, filepath.Join(dir, "user.pub")) + textOf(t, filepath.Join(dir, "locked.pub"))} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // where sshd keeps who is not signed in yet
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s.address = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			file, err := conn.(*net.TCPConn).File()
			conn.Close()
			if err != nil {
				return
			}
			cmd := exec.Command("/usr/sbin/sshd", "-i", "-e", "-f", filepath.Join(dir, "config"))
			cmd.Stdin, cmd.Stdout = file, file
			go func() { defer file.Close(); _ = cmd.Run() }()
		}
	}()
	return s
}

func (s sshServer) connection(t *testing.T, name, key, hostKey, password string) job.Connection {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.address)
	return job.Connection{Name: name, Type: "ssh", Parameters: map[string]string{"username": me.Username, "password": password},
		Data: map[string]string{"Host": host, "Port": port, "PrivateKey": key, "HostKey": hostKey}, Secret: []string{"PrivateKey", "password"}}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	s, j := newSSHServer(t), newToolJob(t, nil)
	fingerprint, err := exec.Command("sh", "-c", `printf %s "$0" | ssh-keygen -l -f - | cut -d' ' -f2`, s.hostKey).Output()
	if err != nil {
		t.Fatal(err)
	}
	j.withConnections(s.connection(t, "web", s.key, s.hostKey, ""), s.connection(t, "locked", s.encrypted, strings.TrimSpace(string(fingerprint)), "open sesame"),
		s.connection(t, "unchecked", s.key, "", ""), s.connection(t, "another", s.key, "SHA256:AAAA", ""), s.connection(t, "wrong", s.encrypted, s.hostKey, "close"))
	j.write("deploy.sh", "#!/bin/sh\r\necho \"deployed $1 to $PWD\"\r\n")
	f := func(inputs map[string]string, want ...string) {
		t.Helper()
		log := j.must("SSH@0", inputs)
		for _, text := range want {
			if !strings.Contains(log, text) {
				t.Errorf("%v: no %q in\n%s", inputs, text, log)
			}
		}
	}
	f(map[string]string{"sshEndpoint": "web", "commands": "cd /\n\necho in $PWD; echo $((1+1))\necho \"in $PWD\" > done"}, "##[command]cd /\n", "in "+s.folder+"\n2\n")
	f(map[string]string{"sshEndpoint": "locked", "commands": "cat done"}, "in "+s.folder+"\n")
	f(map[string]string{"sshEndpoint": "web", "runOptions": "script", "scriptPath": "deploy.sh", "args": "'the shop'"}, "deployed the shop to "+s.folder+"\n")
	f(map[string]string{"sshEndpoint": "unchecked", "runOptions": "inline", "inline": "[ -n \"$BASH_VERSION\" ] && echo by bash\n"}, "by bash\n", "##[warning]The key of 127.0.0.1:", strings.TrimSpace(string(fingerprint)))
	f(map[string]string{"sshEndpoint": "web", "failOnStdErr": "false", "commands": "echo oops >&2"}, "oops\n")
	const command = "echo '##vso[task.setvariable variable=SAID]yes'"
	f(map[string]string{"sshEndpoint": "web", "commands": command}, "##vso[task.setvariable variable=SAID]yes\n")
	if got := j.value("SAID"); got != "" {
		t.Errorf("a machine set a variable to %q", got)
	}
	f(map[string]string{"sshEndpoint": "web", "commands": command, "enableRemoteVsoCommands": "true"})
	if got := j.value("SAID"); got != "yes" {
		t.Errorf("with enableRemoteVsoCommands the variable is %q", got)
	}
	fails := func(inputs map[string]string, want string) {
		t.Helper()
		if log, err := j.run("SSH@0", inputs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", inputs, err, want, log)
		}
	}
	fails(map[string]string{"sshEndpoint": "web", "commands": "exit 3\ntouch never"}, "exited with code 3")
	fails(map[string]string{"sshEndpoint": "web", "commands": "echo oops >&2"}, "wrote to standard error")
	fails(map[string]string{"sshEndpoint": "another", "commands": "true"}, "is not the HostKey of the service connection")
	fails(map[string]string{"sshEndpoint": "wrong", "commands": "true"}, "its PrivateKey cannot be read")
	fails(map[string]string{"sshEndpoint": "nowhere", "commands": "true"}, "there is no service connection nowhere")
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "done" {
			t.Errorf("%s is left on the machine", e.Name())
		}
	}
}

func TestCopyFilesOverSSH(t *testing.T) {
	t.Parallel()
	s, j := newSSHServer(t), newToolJob(t, nil)
	j.withConnections(s.connection(t, "web", s.key, s.hostKey, ""))
	for name, text := range map[string]string{"dist/index.html": "<p>", "dist/it's here/a b.txt": "quoted\x00\xff", "dist/note.md": "no"} {
		j.write(name, text)
	}
	log := j.must("CopyFilesOverSSH@0", map[string]string{"sshEndpoint": "web", "sourceFolder": "dist", "contents": "**\n!**/*.md", "targetFolder": "www"})
	if !strings.Contains(log, "2 files are copied to www.") {
		t.Errorf("log\n%s", log)
	}
	read := func(name string) string { return textOf(t, filepath.Join(s.folder, name)) }
	if read("www/index.html") != "<p>" || read("www/it's here/a b.txt") != "quoted\x00\xff" {
		t.Error("the files are not as they were")
	}
	if _, err := os.Stat(filepath.Join(s.folder, "www/note.md")); !os.IsNotExist(err) {
		t.Errorf("what the patterns leave out: %v", err)
	}
	again := map[string]string{"sshEndpoint": "web", "sourceFolder": "dist", "contents": "index.html", "targetFolder": "www", "overwrite": "false"}
	if _, err := j.run("CopyFilesOverSSH@0", again); err == nil || !strings.Contains(err.Error(), "copy "+filepath.Join(j.folders.sources, "dist/index.html")+" to www/index.html") {
		t.Errorf("a file that is there: %v", err)
	}
	for _, name := range []string{"www/.hidden", "www/old"} {
		if err := os.WriteFile(filepath.Join(s.folder, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j.must("CopyFilesOverSSH@0", map[string]string{"sshEndpoint": "web", "sourceFolder": "dist", "targetFolder": "www", "cleanTargetFolder": "true", "flattenFolders": "true"})
	var names []string
	entries, err := os.ReadDir(filepath.Join(s.folder, "www"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, ","); got != ".hidden,a b.txt,index.html,note.md" {
		t.Errorf("the folder has %s", got)
	}
	if log := j.must("CopyFilesOverSSH@0", map[string]string{"sshEndpoint": "web", "contents": "*.none"}); !strings.Contains(log, "nothing is copied") {
		t.Errorf("log\n%s", log)
	}
	if _, err := j.run("CopyFilesOverSSH@0", map[string]string{"sshEndpoint": "web", "contents": "*.none", "failOnEmptySource": "true"}); err == nil {
		t.Error("no file, and failOnEmptySource")
	}
}
