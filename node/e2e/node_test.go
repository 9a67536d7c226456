package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// objects is a small application: a web server of two pods with service and ingress, and a pod that writes to a volume.
const objects = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  progressDeadlineSeconds: 7200
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: slipway.test/busybox:1
        command: [sh, -c, "hostname > /www/name; echo serving; exec httpd -f -p 8080 -h /www"]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1, timeoutSeconds: 10}
        resources: {limits: {memory: 32Mi, cpu: 200m}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.localhost
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 10Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: writer
    image: localhost:REGISTRY/app:1
    command: [sh, -c, "echo kept >> /data/file; exec sleep 1000000"]
    volumeMounts: [{name: data, mountPath: /data}]
    securityContext: {runAsUser: 1000}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`

// TestNode takes one node through its life: a cold start, use, a crash, a stop, a warm start, a crash that is only cleaned up.
func TestNode(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "busybox.tar")
	busybox(t, "slipway.test/busybox:1", archive)
	source := newRegistry(t, archive, "1")
	port := source.serve(t)
	n := newNode(t, []string{archive}, []map[string]string{
		{"host": "localhost:" + port, "endpoint": "http://" + hostAddress + ":" + port, "username": "node", "password": "secret"}})

	t.Logf("cold start: %s", n.start().Round(time.Millisecond))
	if out := n.kubectl("get", "nodes"); !strings.Contains(out, "slipway-"+name+"   Ready") {
		t.Errorf("kubectl get nodes says\n%s", out)
	}
	if _, err := n.try(strings.ReplaceAll(objects, "REGISTRY", port), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	timeout := "--timeout=" + patient(t, time.Minute).String()
	n.kubectl("rollout", "status", "deployment/web", timeout)
	n.kubectl("wait", "pod/writer", "--for=condition=Ready", timeout)
	n.mustHaveResidue(t)

	t.Run("an image comes from its registry's endpoint with the node's own credentials", func(t *testing.T) {
		if source.pulls.Load() == 0 {
			t.Error("nothing was pulled from the registry")
		}
	})
	t.Run("logs", func(t *testing.T) {
		if out := n.kubectl("logs", "deployment/web"); out != "serving\n" {
			t.Errorf("logs say %q", out)
		}
	})
	t.Run("exec and DNS between pods", func(t *testing.T) {
		for _, host := range []string{"web", "web.default.svc.cluster.local"} {
			if out := n.kubectl("exec", "writer", "--", "wget", "-q", "-O", "-", "http://"+host+"/"); out != "it works\n" {
				t.Errorf("http://%s/ says %q", host, out)
			}
		}
	})
	t.Run("port-forward", n.testPortForward)
	t.Run("a claim is bound and written by a user that is not root", n.testVolume)
	t.Run("ingress", n.testIngress)
	t.Run("top", n.testTop)
	t.Run("limits arrive in the kernel", n.testLimits)
	t.Run("a container that wants more memory than its limit is killed", n.testOutOfMemory)
	t.Run("systemd minds its own cgroups", n.testSystemd)

	t.Run("after kill -9 the pods run on", func(t *testing.T) {
		before := n.kubectl("get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {end}")
		n.kill()
		n.holdAddress(2 * time.Second)
		t.Logf("start after kill -9, with the address held for two seconds: %s", n.start().Round(time.Millisecond))
		after := n.kubectl("get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {end}")
		if before != after {
			t.Errorf("pods and containers changed from\n%s to\n%s", before, after)
		}
		n.testIngress(t)
		eventually(t, time.Minute, func() error { // the new kubelet reads its pods first
			out, err := n.try("", "exec", "writer", "--", "echo", "hello")
			if err == nil && out != "hello\n" {
				err = fmt.Errorf("exec says %q", out)
			}
			return err
		})
	})
	t.Run("a stop leaves nothing", func(t *testing.T) {
		t.Logf("stop: %s", n.stop().Round(time.Millisecond))
		if left := n.residue(); len(left) > 0 {
			t.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
		}
	})
	t.Run("a warm start brings pods and data back", func(t *testing.T) {
		took := n.start()
		t.Logf("warm start: %s", took.Round(time.Millisecond))
		if took > patient(t, time.Minute) { // 15 s are promised for an idle machine
			t.Errorf("a warm start took %s", took)
		}
		n.testIngress(t)
		eventually(t, time.Minute, func() error {
			out, err := n.try("", "exec", "writer", "--", "cat", "/data/file")
			if err == nil && out != "kept\nkept\n" {
				err = fmt.Errorf("the volume holds %q", out)
			}
			return err
		})
	})
	next := newNode(t, []string{archive}, nil)
	t.Run("a node of the same name on another folder waits for its end", func(t *testing.T) {
		out, err := exec.Command(next.program(), "run", "--config", next.config).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "belongs to the node that runs on "+n.state) {
			t.Errorf("it says %q, %v", out, err)
		}
	})
	t.Run("and takes its place after kill -9", func(t *testing.T) {
		n.kill()
		t.Logf("start in its place: %s", next.start().Round(time.Millisecond))
		for _, left := range n.residue() {
			if strings.Contains(left, n.state) {
				t.Errorf("left of the other: %s", left)
			}
		}
		if out := next.kubectl("get", "pods"); out != "" {
			t.Errorf("it has the pods\n%s", out)
		}
	})
	t.Run("clean after kill -9 leaves nothing", func(t *testing.T) {
		next.kill()
		if out, err := exec.Command(next.program(), "clean", "--config", next.config).CombinedOutput(); err != nil {
			t.Fatalf("clean: %v\n%s", err, out)
		}
		if left := append(n.residue(), next.residue()...); len(left) > 0 {
			t.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
		}
	})
}

// testIngress asks for the page at the host's listener, as a browser does with http://web.localhost:PORT/.
func (n *node) testIngress(t *testing.T) {
	eventually(t, time.Minute, func() error {
		code, body, err := get(t, "http://"+n.ingress+"/", "web.localhost")
		if err == nil && (code != http.StatusOK || body != "it works\n") {
			err = fmt.Errorf("http://web.localhost/ says %d %q", code, body)
		}
		return err
	})
	if code, _, err := get(t, "http://"+n.ingress+"/", "nobody.localhost"); err != nil || code != http.StatusNotFound {
		t.Errorf("http://nobody.localhost/ says %d, %v", code, err)
	}
}

func get(t *testing.T, url, host string) (int, string, error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	client := &http.Client{Timeout: patient(t, 5*time.Second)}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return response.StatusCode, string(body), err
}

func (n *node) testVolume(t *testing.T) {
	if out := n.kubectl("get", "pvc", "data", "-o", "jsonpath={.status.phase} {.spec.storageClassName}"); out != "Bound local-path" {
		t.Errorf("the claim is %q", out)
	}
	files, err := filepath.Glob(filepath.Join(n.state, "volumes", "pvc-*", "file"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files in the volume: %v, %v", files, err)
	}
	if data, err := os.ReadFile(files[0]); err != nil || string(data) != "kept\n" {
		t.Errorf("the volume holds %q, %v", data, err)
	}
}

func (n *node) testPortForward(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), n.program(), "kubectl", "--kubeconfig", filepath.Join(n.state, "kubeconfig"), "port-forward", "service/web", ":80")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var address string
	if _, err := fmt.Sscanf(line, "Forwarding from %s -> 8080", &address); err != nil {
		t.Fatalf("port-forward says %q", line)
	}
	if code, body, err := get(t, "http://"+address+"/", "web"); err != nil || code != http.StatusOK || body != "it works\n" {
		t.Errorf("the forwarded port says %d %q, %v", code, body, err)
	}
}

func (n *node) testTop(t *testing.T) {
	eventually(t, 90*time.Second, func() error {
		out, err := n.try("", "top", "pods")
		if err == nil && (strings.Count(out, "web-") != 2 || !strings.Contains(out, "writer")) {
			err = fmt.Errorf("kubectl top pods says\n%s", out)
		}
		return err
	})
	raw := n.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/writer")
	var use struct {
		Containers []struct{ Usage struct{ Memory string } }
	}
	if err := json.Unmarshal([]byte(raw), &use); err != nil || len(use.Containers) != 1 || strings.Trim(use.Containers[0].Usage.Memory, "0KiM") == "" {
		t.Errorf("writer uses no memory, %v: %s", err, raw)
	}
	if out := n.kubectl("top", "nodes"); !strings.Contains(out, "slipway-"+name) {
		t.Errorf("kubectl top nodes says\n%s", out)
	}
}
