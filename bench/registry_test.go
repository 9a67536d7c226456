package bench

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A registryServer is a registry as a process of its own, its data in a folder on the same disk as the other's.
type registryServer struct {
	name string
	host string
	auth string // header, for the one that asks who calls
	pid  int
}

// registries starts both. Distribution asks nobody who calls and checks no rights; Slipway does.
func registries(b *testing.B) []*registryServer {
	b.Helper()
	return []*registryServer{startSlipway(b), startDistribution(b)}
}

func program(b *testing.B, name string) string {
	b.Helper()
	path, err := filepath.Abs(filepath.Join("..", "bin", name))
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func startSlipway(b *testing.B) *registryServer {
	b.Helper()
	cmd := exec.Command(program(b, "slipway-registry-alone"), "-data", b.TempDir())
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start(b, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) != 2 {
		b.Fatalf("slipway did not start: %q, %v", line, err)
	}
	return &registryServer{name: "slipway", host: fields[0], pid: cmd.Process.Pid,
		auth: "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("any:"+fields[1])) + "\r\n"}
}

func startDistribution(b *testing.B) *registryServer {
	b.Helper()
	dir := b.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %s}\n", dir, host)
	path := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program(b, "distribution"), "serve", path)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	start(b, cmd)
	for range 200 {
		if conn, err := net.Dial("tcp", host); err == nil {
			conn.Close()
			return &registryServer{name: "distribution", host: host, pid: cmd.Process.Pid}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("distribution did not start")
	return nil
}

func start(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// peakMemory is the most that the process ever had resident, in MiB.
func (s *registryServer) peakMemory(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(value)[0])
			return float64(kb) / 1024
		}
	}
	b.Fatal("the kernel does not say how much memory was used")
	return 0
}

// processorTime is what the process has used of processors, in milliseconds.
func (s *registryServer) processorTime(b *testing.B) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11]) // proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) * 10
}

// client is one connection. It does as little as it can, so that what is measured is the server.
type client struct {
	server *registryServer
	conn   net.Conn
	in     *bufio.Reader
}

func (s *registryServer) dial() (*client, error) {
	conn, err := net.Dial("tcp", s.host)
	if err != nil {
		return nil, err
	}
	return &client{s, conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

// do sends a request and returns the answer's head and the length of its body, which it reads and drops.
func (c *client) do(method, path string, body []byte, want int, header ...string) (*http.Response, int64, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, c.server.host, c.server.auth)
	if body != nil || method == "POST" {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body))
	}
	for _, h := range header {
		head.WriteString(h + "\r\n")
	}
	head.WriteString("\r\n")
	buffers := net.Buffers{head.Bytes(), body}
	if _, err := buffers.WriteTo(c.conn); err != nil {
		return nil, 0, err
	}
	answer, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return nil, 0, err
	}
	n, err := io.Copy(io.Discard, answer.Body)
	if err == nil && answer.StatusCode != want {
		err = fmt.Errorf("%s: %s %s: %s, want %d", c.server.name, method, path, answer.Status, want)
	}
	return answer, n, err
}

// blobs are random contents and their digests.
type blobs struct {
	content [][]byte
	digests []string
}

func makeBlobs(seed uint64, count, size int) blobs {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	var list blobs
	for range count {
		content := make([]byte, size)
		_, _ = random.Read(content)
		sum := sha256.Sum256(content)
		list.content = append(list.content, content)
		list.digests = append(list.digests, "sha256:"+hex.EncodeToString(sum[:]))
	}
	return list
}

const connections = 4

// spread does count things over a few connections.
func (s *registryServer) spread(b *testing.B, count int, do func(c *client, i int) error) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, connections)
	for range connections {
		group.Go(func() {
			c, err := s.dial()
			if err != nil {
				errs <- err
				return
			}
			defer c.conn.Close()
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				if err := do(c, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		b.Fatal(err)
	}
}

const repository = "/v2/bench/image"

// push uploads blobs as containerd and BuildKit do: a request that begins, and one with the bytes.
func (s *registryServer) push(b *testing.B, list blobs) {
	b.Helper()
	s.spread(b, len(list.digests), func(c *client, i int) error {
		answer, _, err := c.do("POST", repository+"/blobs/uploads/", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		location, err := url.Parse(answer.Header.Get("Location"))
		if err != nil {
			return err
		}
		query := location.Query()
		query.Set("digest", list.digests[i])
		_, _, err = c.do("PUT", location.Path+"?"+query.Encode(), list.content[i], http.StatusCreated, "Content-Type: application/octet-stream")
		return err
	})
}

func (s *registryServer) pull(b *testing.B, list blobs) {
	b.Helper()
	s.spread(b, len(list.digests), func(c *client, i int) error {
		_, n, err := c.do("GET", repository+"/blobs/"+list.digests[i], nil, http.StatusOK)
		if err == nil && n != int64(len(list.content[i])) {
			err = fmt.Errorf("%s: %d bytes of %d", s.name, n, len(list.content[i]))
		}
		return err
	})
}

// sideBySide measures the same on each server in turn, and reports the medians of the rounds: of each server's figures, and of how many
// times as fast the first one was within a round. A virtual machine whose host gives it memory when it is first written can take twice the
// time for a round, whichever server it hits: a run of few rounds says nothing there.
func sideBySide(b *testing.B, servers []*registryServer, prepare func() any, do func(s *registryServer, prepared any)) {
	b.Helper()
	times, processor := map[string][]float64{}, map[string][]float64{}
	for round := 0; b.Loop(); round++ {
		prepared := prepare()
		order := slices.Clone(servers)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			began, used := time.Now(), s.processorTime(b)
			do(s, prepared)
			times[s.name] = append(times[s.name], float64(time.Since(began).Microseconds())/1000)
			processor[s.name] = append(processor[s.name], s.processorTime(b)-used)
		}
	}
	first, second := times[servers[0].name], times[servers[1].name]
	faster := make([]float64, len(first))
	for round := range faster {
		faster[round] = second[round] / first[round]
	}
	for _, s := range servers {
		b.ReportMetric(median(times[s.name]), s.name+"-ms")
		b.ReportMetric(median(processor[s.name]), s.name+"-cpu-ms")
		b.ReportMetric(s.peakMemory(b), s.name+"-MiB")
	}
	b.ReportMetric(median(faster), "times-faster")
	b.ReportMetric(0, "ns/op") // of both together, which says nothing
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// BenchmarkRegistry moves blobs of several sizes, manifests and lists of tags, over four connections. The memory is the
// most that a server had until then, in processes of their own for each size. A round of the largest blobs leaves 2 GiB on the disk until the end.
func BenchmarkRegistry(b *testing.B) {
	var seed uint64
	for _, c := range []struct {
		name        string
		count, size int
	}{{"100x1MiB", 100, 1 << 20}, {"4x256MiB", 4, 256 << 20}, {"2000x4KiB", 2000, 4 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			servers := registries(b)
			var pushed blobs
			b.Run("push", func(b *testing.B) {
				sideBySide(b, servers, func() any {
					seed++
					pushed = makeBlobs(seed, c.count, c.size)
					return pushed
				}, func(s *registryServer, list any) { s.push(b, list.(blobs)) })
			})
			b.Run("pull", func(b *testing.B) {
				sideBySide(b, servers, func() any { return pushed }, func(s *registryServer, list any) { s.pull(b, list.(blobs)) })
			})
		})
	}
	b.Run("image", func(b *testing.B) {
		servers := registries(b)
		manifest := pushManifest(b, servers)
		sum := sha256.Sum256(manifest)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		for _, get := range []struct{ name, reference string }{{"2000-manifests-by-tag", "t0"}, {"2000-manifests-by-digest", digest}} {
			b.Run(get.name, func(b *testing.B) {
				sideBySide(b, servers, func() any { return nil }, func(s *registryServer, _ any) {
					s.spread(b, 2000, func(c *client, _ int) error {
						_, _, err := c.do("GET", repository+"/manifests/"+get.reference, nil, http.StatusOK, "Accept: application/vnd.oci.image.manifest.v1+json")
						return err
					})
				})
			})
		}
		b.Run("list-of-10000-tags", func(b *testing.B) {
			sideBySide(b, servers, func() any { return nil }, func(s *registryServer, _ any) { s.listTags(b) })
		})
		b.Run("500-manifest-pushes", func(b *testing.B) {
			round := 0
			sideBySide(b, servers, func() any { round++; return round }, func(s *registryServer, round any) {
				s.spread(b, 500, func(c *client, i int) error {
					return c.putManifest(fmt.Sprintf("round%d-%d", round, i), manifest)
				})
			})
		})
	})
}

const tags = 10_000

// pushManifest pushes an image under ten thousand tags and returns its manifest.
func pushManifest(b *testing.B, servers []*registryServer) []byte {
	b.Helper()
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	sum := sha256.Sum256(config)
	list := blobs{[][]byte{config}, []string{"sha256:" + hex.EncodeToString(sum[:])}}
	layers := makeBlobs(1<<20, 10, 100)
	list.content, list.digests = append(list.content, layers.content...), append(list.digests, layers.digests...)
	var descriptors []string
	for _, d := range layers.digests {
		descriptors = append(descriptors, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":100}`, d))
	}
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[%s]}`,
		list.digests[0], len(config), strings.Join(descriptors, ","))
	for _, s := range servers {
		s.push(b, list)
		s.spread(b, tags, func(c *client, i int) error {
			return c.putManifest(fmt.Sprintf("t%d", i), manifest)
		})
	}
	return manifest
}

func (c *client) putManifest(tag string, manifest []byte) error {
	_, _, err := c.do("PUT", repository+"/manifests/"+tag, manifest, http.StatusCreated, "Content-Type: application/vnd.oci.image.manifest.v1+json")
	return err
}

// listTags follows the pages of a thousand to the end, which distribution tells by an empty one.
func (s *registryServer) listTags(b *testing.B) {
	b.Helper()
	c, err := s.dial()
	if err != nil {
		b.Fatal(err)
	}
	defer c.conn.Close()
	pages := 0
	for path := repository + "/tags/list?n=1000"; path != ""; pages++ {
		answer, _, err := c.do("GET", path, nil, http.StatusOK)
		if err != nil {
			b.Fatal(err)
		}
		link := answer.Header.Get("Link")
		path = ""
		if before, _, ok := strings.Cut(link, ">"); ok {
			path = strings.TrimPrefix(strings.TrimPrefix(before, "<"), "http://"+s.host)
		}
	}
	if pages < tags/1000 || pages > tags/1000+1 {
		b.Fatalf("%s: %d pages", s.name, pages)
	}
}
