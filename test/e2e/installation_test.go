// Package e2e runs Slipway as people run it: the built programs, a real Kubernetes node, real clients. Each test has an
// installation of its own, beside the others', and tells stories that stand on one another.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// addresses are where an installation is found; none is a default of Slipway's.
type addresses struct {
	server, otlp, ingress string // host and port
	node                  string // the node's name
	nodeHost, nodeAddress string
}

var (
	loopAddresses = addresses{"localhost:18080", "127.0.0.1:14317", "127.0.0.1:18081", "loop", "10.213.9.1", "10.213.9.2"}
	runsAddresses = addresses{"localhost:18280", "127.0.0.1:14517", "127.0.0.1:18281", "runs", "10.213.10.1", "10.213.10.2"}
)

// installation is one running `slipway up`.
type installation struct {
	addresses
	top      string // the project's folder
	data     string
	flags    []string // beside --data
	cmd      *exec.Cmd
	mu       sync.Mutex
	output   bytes.Buffer
	lines    chan string
	ready    time.Time // when it said so last
	Password string    // the first administrator's, shown once
	Token    string
}

// newInstallation is one with the embedded node, not started yet.
func newInstallation(t testing.TB, a addresses) *installation {
	t.Helper()
	i := &installation{addresses: a, top: projectFolder(t), data: tempData(t), flags: []string{"--listen", a.server, "--otlp-listen", a.otlp,
		"--ingress-listen", a.ingress, "--node-name", a.node, "--node-host-address", a.nodeHost, "--node-address", a.nodeAddress}}
	keepBaseImages(t, i.data)
	return i
}

func (i *installation) url() string { return "http://" + i.server }

func projectFolder(t testing.TB) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(filepath.Dir(wd))
}

// up starts `slipway up` and waits until it says that it is ready.
func (i *installation) up(t testing.TB, sample string) time.Duration {
	t.Helper()
	start := time.Now()
	args := append([]string{"up", "--data", i.data}, i.flags...)
	if sample != "" {
		args = append(args, "--sample", sample)
	}
	i.cmd = exec.Command(filepath.Join(i.top, "bin", "slipway"), args...)
	out, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	i.cmd.Stderr = i.cmd.Stdout
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i.lines = make(chan string, 10_000)
	go i.read(out, i.lines)
	i.expect(t, "Slipway is ready", 25*time.Minute)
	i.ready = time.Now()
	var a struct{ Token string }
	b, err := os.ReadFile(filepath.Join(i.data, "access.json"))
	if err != nil || json.Unmarshal(b, &a) != nil {
		t.Fatalf("read access.json: %v", err)
	}
	i.Token = a.Token
	return time.Since(start)
}

func (i *installation) read(r io.Reader, lines chan<- string) {
	defer close(lines)
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		fmt.Printf("  %s: %s\n", i.node, s.Text())
		i.mu.Lock()
		i.output.WriteString(s.Text() + "\n")
		if _, password, ok := strings.Cut(s.Text(), "password: "); ok {
			i.Password = strings.TrimSpace(password)
		}
		i.mu.Unlock()
		select {
		case lines <- s.Text():
		default:
		}
	}
}

// expect reads lines of the terminal until one contains text.
func (i *installation) expect(t testing.TB, text string, within time.Duration) string {
	t.Helper()
	timeout := time.After(within)
	for {
		select {
		case line, ok := <-i.lines:
			if !ok {
				t.Fatalf("slipway ended before it said %q:\n%s", text, i.said())
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("slipway did not say %q within %s:\n%s", text, within, i.said())
		}
	}
}

func (i *installation) said() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.output.String()
}

// interrupt sends Ctrl-C and waits for the end.
func (i *installation) interrupt(t testing.TB) {
	t.Helper()
	if err := i.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- i.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("slipway up ended badly after Ctrl-C: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("slipway up did not end within two minutes of Ctrl-C")
	}
}

// kill ends the server alone, as a crash would.
func (i *installation) kill(t testing.TB) {
	t.Helper()
	if err := i.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = i.cmd.Wait()
}

// api calls the REST API and decodes the answer.
func (i *installation) api(t testing.TB, method, path string, in, out any) {
	t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, i.url()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("", i.Token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s: %s", method, path, answer.Status, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
}

// slipway runs the command line for a project of the installation.
func (i *installation) slipway(t testing.TB, project, command string, args ...string) string {
	t.Helper()
	return run(t, i.top, nil, filepath.Join(i.top, "bin", "slipway"), append([]string{command, "--data", i.data, "--project", project}, args...)...)
}

// page is a page's HTML.
func (i *installation) page(t testing.TB, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("", i.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", path, answer.Status, err)
	}
	return string(text)
}

// form sends a page's form.
func (i *installation) form(t testing.TB, path string, values url.Values) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url()+path, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("", i.Token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("POST %s: %s", path, answer.Status)
	}
}

// createProject makes a project with a repository of its name, as the pages do.
func (i *installation) createProject(t testing.TB, project string) {
	t.Helper()
	i.form(t, "/projects", url.Values{"name": {project}})
	i.form(t, "/"+project+"/_git", url.Values{"name": {project}})
}

// clone checks the project's repository out with git and the token.
func (i *installation) clone(t testing.TB, project string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), project)
	remote := strings.Replace(i.url(), "http://", "http://admin:"+i.Token+"@", 1) + "/" + project + "/_git/" + project
	run(t, "/", nil, "git", "clone", "-q", remote, dir)
	run(t, dir, nil, "git", "symbolic-ref", "HEAD", "refs/heads/main") // what an empty repository is cloned as is git's to say
	run(t, dir, nil, "git", "config", "user.name", "Ada")
	run(t, dir, nil, "git", "config", "user.email", "ada@example.com")
	return dir
}

// get fetches a page of the deployed application through the ingress.
func (i *installation) get(ctx context.Context, host, path string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.ingress+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Host = host
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return answer.StatusCode, string(b), err
}

// eventually repeats check until it returns "" or time is up; what it returns says what is still wrong.
func eventually(t testing.TB, within time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", within, wrong)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// run runs a client's program and returns what it wrote.
func run(t testing.TB, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
