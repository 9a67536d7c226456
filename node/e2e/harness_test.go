package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/node/image"
)

// programs is the folder of the built node: $SLIPWAY_NODE_PROGRAMS, or the product's build folder, which build.sh brings up to date.
func programs(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("SLIPWAY_NODE_PROGRAMS"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs("../../build")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("../build.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("build the node: %v\n%s", err, out)
	}
	return dir
}

// patience is $SLIPWAY_TEST_PATIENCE, 1 without it: by how much the limits of time of these tests, and of the node under test, are
// longer than an ordinary machine needs. An emulated one takes 20.
func patience(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SLIPWAY_TEST_PATIENCE")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SLIPWAY_TEST_PATIENCE: want a whole number from 1, not %q", text)
	}
	return n
}

// patient stretches a limit that fits an ordinary machine.
func patient(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	return limit * time.Duration(patience(t))
}

// node is a node under test.
type node struct {
	t       *testing.T
	dir     string // of the programs
	state   string
	config  string
	ingress string // address of the ingress listener
	cmd     *exec.Cmd
	lines   chan progress
}

// progress is one line of the node's output, as README.md promises it.
type progress struct {
	Time      time.Time `json:"time"`
	Phase     string    `json:"phase"`
	State     string    `json:"state"`
	Message   string    `json:"message"`
	ElapsedMs int64     `json:"elapsedMs"`
}

const (
	name        = "e2e"
	hostAddress = "10.213.201.1"
	nodeAddress = "10.213.201.2"
)

func newNode(t *testing.T, images []string, registries []map[string]string) *node {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test runs a real node and needs root")
	}
	state, err := os.MkdirTemp("", "slipway-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: programs(t), state: state, config: state + ".json", ingress: freeAddress(t)}
	data, err := json.Marshal(map[string]any{
		"state": state, "name": name, "hostAddress": hostAddress, "nodeAddress": nodeAddress,
		"podCIDR": "10.222.0.0/16", "serviceCIDR": "10.223.0.0/16",
		"images": images, "registries": registries, "ingress": map[string]string{"listen": n.ingress}, "patience": patience(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.config, data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n.cmd != nil {
			_ = n.cmd.Process.Kill()
			<-n.ended()
		}
		if out, err := exec.Command(n.program(), "clean", "--config", n.config).CombinedOutput(); err != nil {
			t.Errorf("clean: %v\n%s", err, out)
		}
		if t.Failed() {
			t.Logf("kept %s", state)
			return
		}
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
		os.Remove(n.config)
	})
	return n
}

func (n *node) program() string { return filepath.Join(n.dir, "slipway-node") }

// start starts the node, waits until it is ready and returns how long that took.
func (n *node) start() time.Duration {
	n.t.Helper()
	begin := time.Now()
	n.cmd = exec.Command(n.program(), "run", "--config", n.config)
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.lines = make(chan progress, 1000)
	go func() {
		defer close(n.lines)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var p progress
			if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
				p = progress{Phase: "node", State: "failed", Message: "not a progress line: " + lines.Text()}
			}
			n.lines <- p
		}
	}()
	n.wait("node", "ready")
	took := time.Since(begin)
	log, err := os.ReadFile(filepath.Join(n.state, "logs", "node.log"))
	if err != nil {
		n.t.Fatal(err)
	}
	if bytes.Contains(log, []byte("Failed to initialize CSINode")) {
		n.t.Error("the kubelet came before the controllers, which took its name from the volume plugin that they share")
	}
	return took
}

// wait reads progress until the phase is in the state.
func (n *node) wait(phase, state string) {
	n.t.Helper()
	limit := patient(n.t, 4*time.Minute)
	end := time.After(limit)
	for {
		select {
		case p, ok := <-n.lines:
			if !ok {
				n.t.Fatalf("the node ended before %s was %s", phase, state)
			}
			n.t.Logf("%6d ms  %-14s %-9s %s", p.ElapsedMs, p.Phase, p.State, p.Message)
			if p.State == "failed" {
				n.t.Fatalf("the node failed: %s", p.Message)
			}
			if p.Phase == phase && p.State == state {
				return
			}
		case <-end:
			n.t.Fatalf("%s is not %s after %s", phase, state, limit)
		}
	}
}

// stop ends the node politely.
func (n *node) stop() time.Duration {
	n.t.Helper()
	begin := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	n.wait("node", "stopped")
	if err := <-n.ended(); err != nil {
		n.t.Fatalf("stop: %v", err)
	}
	n.cmd = nil
	return time.Since(begin)
}

// kill kills the supervisor, which then can do nothing more.
func (n *node) kill() {
	n.t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		n.t.Fatal(err)
	}
	<-n.ended()
	n.cmd = nil
}

// holdAddress keeps the ingress address busy for a while, as a process of a killed node that is slow to end does.
func (n *node) holdAddress(d time.Duration) {
	n.t.Helper()
	var l net.Listener
	eventually(n.t, 30*time.Second, func() (err error) {
		l, err = net.Listen("tcp", n.ingress)
		return err
	})
	time.AfterFunc(d, func() { l.Close() })
}

// ended waits for the process; its output is read to the end first, as os/exec wants it.
func (n *node) ended() <-chan error {
	result := make(chan error, 1)
	go func() {
		for range n.lines {
		}
		result <- n.cmd.Wait()
	}()
	return result
}

// try runs kubectl.
func (n *node) try(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), patient(n.t, 2*time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, n.program(), append([]string{"kubectl", "--kubeconfig", filepath.Join(n.state, "kubeconfig")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), err
}

// kubectl runs kubectl, which must succeed.
func (n *node) kubectl(args ...string) string {
	n.t.Helper()
	out, err := n.try("", args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// eventually repeats f until it succeeds, at least for the limit, which is for an ordinary machine.
func eventually(t *testing.T, limit time.Duration, f func() error) {
	t.Helper()
	limit = patient(t, limit)
	end := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %s: %v", limit, err)
		}
		time.Sleep(200 * time.Millisecond) // other programs' state: nothing to wait on
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// busybox saves an image with Debian's static busybox and its applets.
func busybox(t *testing.T, name, path string) {
	t.Helper()
	const program = "/bin/busybox"
	if _, err := os.Stat(program); err != nil {
		install := exec.Command("apt-get", "install", "-y", "-qq", "--no-install-recommends", "busybox-static")
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install busybox-static: %v\n%s", err, out)
		}
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	i := image.Image{Name: name, Env: []string{"PATH=/bin"}, Command: []string{"/bin/sh"}, Folders: []string{"tmp", "data", "etc"},
		Files: []image.File{{Path: "bin/busybox", Mode: 0o755, Data: data}, {Path: "www/index.html", Mode: 0o644, Data: []byte("it works\n")}}}
	for _, applet := range []string{"sh", "cat", "echo", "sleep", "wget", "nslookup", "httpd", "hostname", "ls", "tail"} {
		i.Files = append(i.Files, image.File{Path: "bin/" + applet, Link: "busybox"})
	}
	if err := i.Save(path); err != nil {
		t.Fatal(err)
	}
}
