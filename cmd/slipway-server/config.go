package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"slipway/internal/blob"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// Config is everything that `slipway up` can be told; the zero value is never used, see defaults.
type Config struct {
	Data       string // folder of all that is kept
	Listen     string // HTTP: pages, git, registry, REST, telemetry
	OTLP       string // gRPC address of OTLP; empty for none
	SSH        string // address of git over SSH; empty for none
	URL        string // by which browsers and clients reach Listen
	ClusterURL string // by which pods reach it
	Database   string // sqlite:PATH or postgres://...; default in Data
	Blobs      string // s3://BUCKET/PREFIX?endpoint=...; empty for files in Data
	Programs   string // folder with slipway-node, slipway-builder, runc, slipway-agent and slipway-docker
	Kubeconfig string // of an existing cluster; empty for the embedded node
	Builder    string // unix:///SOCKET of a running builder, with Kubeconfig; empty for one in the cluster
	// CacheStorageClass is the storage class of the volumes in which jobs keep their caches. The embedded node has one.
	CacheStorageClass string
	// ToolMirrors are the URLs from which jobs download tools, by the tool's name.
	ToolMirrors map[string]string
	Node        NodeConfig
	// CallNetworks are the networks that pipelines' REST calls reach besides public addresses.
	CallNetworks []string
	// DirectPulls lets nodes and builds ask a registry itself for what Slipway does not have of it.
	DirectPulls bool
	WarmPods    int             // how many started pods of a pool wait for jobs, unless the pool says; -1 for 1 on the embedded node, and none elsewhere
	Limits      schedule.Limits // of jobs that run at once
	Sample      string          // folder whose content becomes the first commit of the project "sample"
	Verbose     bool
}

// embeddedStorageClass is the embedded node's: folders of its state.
const embeddedStorageClass = "local-path"

// NodeConfig is the part for the embedded node.
type NodeConfig struct {
	Name        string
	HostAddress string
	NodeAddress string
	PodCIDR     string
	ServiceCIDR string
	Ingress     string // host address of the ingress controller
}

func defaults() Config {
	programs := "."
	if self, err := os.Executable(); err == nil {
		programs = filepath.Dir(self)
	}
	return Config{
		WarmPods: -1, DirectPulls: true, Data: "/var/lib/slipway", Listen: "127.0.0.1:8080", OTLP: "127.0.0.1:4317", Programs: programs,
		Limits: schedule.Limits{Jobs: pipelines.DefaultJobs},
		Node: NodeConfig{Name: "slipway", HostAddress: "10.213.7.1", NodeAddress: "10.213.7.2",
			PodCIDR: "10.214.0.0/16", ServiceCIDR: "10.215.0.0/16", Ingress: "127.0.0.1:8081"},
	}
}

func (c *Config) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Data, "data", c.Data, "folder of all data")
	f.StringVar(&c.Listen, "listen", c.Listen, "address of pages, git, registry, REST and telemetry")
	f.StringVar(&c.OTLP, "otlp-listen", c.OTLP, "address of OTLP over gRPC")
	f.StringVar(&c.SSH, "ssh-listen", c.SSH, "address of git over SSH, as 127.0.0.1:2222 (default none)")
	f.StringVar(&c.URL, "url", c.URL, "URL by which browsers and clients reach the server (default http://localhost:PORT)")
	f.StringVar(&c.Database, "database", c.Database, "records: sqlite:PATH or postgres://... (default SQLite in the data folder)")
	f.StringVar(&c.Blobs, "blobs", c.Blobs, "objects: s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION, with credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (default files in the data folder)")
	f.StringVar(&c.Programs, "programs", c.Programs, "folder of slipway-node, slipway-builder and the others")
	f.StringVar(&c.Kubeconfig, "kubeconfig", c.Kubeconfig, "use the cluster of this kubeconfig instead of the embedded node")
	f.StringVar(&c.ClusterURL, "cluster-url", c.ClusterURL, "with --kubeconfig: URL by which the cluster's pods and nodes reach the server")
	f.StringVar(&c.Builder, "builder", c.Builder, "with --kubeconfig: unix:///SOCKET of a slipway-builder (default: one that Slipway starts in the cluster)")
	f.StringVar(&c.CacheStorageClass, "cache-storage-class", c.CacheStorageClass, "with --kubeconfig: storage class (ReadWriteMany) for volumes of jobs' caches (default none)")
	f.StringToStringVar(&c.ToolMirrors, "tool-mirror", c.ToolMirrors, "TOOL=URL: where jobs download a tool from instead of its vendor ("+strings.Join(job.MirroredTools(), ", ")+"); may be given again")
	f.StringVar(&c.Node.Name, "node-name", c.Node.Name, "name of the embedded node; nodes on one host need different ones")
	f.StringVar(&c.Node.HostAddress, "node-host-address", c.Node.HostAddress, "host's end of the link to the embedded node")
	f.StringVar(&c.Node.NodeAddress, "node-address", c.Node.NodeAddress, "node's end of the link")
	f.StringVar(&c.Node.PodCIDR, "pod-cidr", c.Node.PodCIDR, "network of the embedded node's pods")
	f.StringVar(&c.Node.ServiceCIDR, "service-cidr", c.Node.ServiceCIDR, "network of the embedded node's services")
	f.StringVar(&c.Node.Ingress, "ingress-listen", c.Node.Ingress, "address on which the embedded node's ingresses are reached")
	f.StringSliceVar(&c.CallNetworks, "call-network", c.CallNetworks, "network that InvokeRESTAPI in pipelines and service hooks may call, and upstream registries may lead to, besides public addresses, as 10.0.0.0/8; may be repeated")
	f.BoolVar(&c.DirectPulls, "direct-pulls", c.DirectPulls, "let nodes and builds ask a registry itself for an image that Slipway has no upstream for")
	f.IntVar(&c.WarmPods, "warm-pods", c.WarmPods, "how many started pods of a pool wait for jobs, unless the pool says (default 1, with --kubeconfig 0)")
	f.IntVar(&c.Limits.Jobs, "max-jobs", c.Limits.Jobs, "how many jobs run at once")
	f.IntVar(&c.Limits.ProjectJobs, "max-jobs-of-project", c.Limits.ProjectJobs, "how many jobs of one project run at once (default no limit)")
	f.IntVar(&c.Limits.RunJobs, "max-jobs-of-run", c.Limits.RunJobs, "how many jobs of one run run at once (default no limit)")
	f.StringToIntVar(&c.Limits.Pools, "max-jobs-of-pool", c.Limits.Pools, "POOL=NUMBER: how many jobs of a pool, by its name or vmImage, run at once; may be given again")
	f.StringVar(&c.Sample, "sample", c.Sample, "create the project sample from this `folder`, once")
	f.BoolVarP(&c.Verbose, "verbose", "v", c.Verbose, "log more")
}

// complete fills in what follows from the rest and refuses what does not fit together.
func (c *Config) complete() error {
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if c.Programs, err = filepath.Abs(c.Programs); err != nil {
		return fmt.Errorf("--programs: %w", err)
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: write ADDRESS:PORT, as 127.0.0.1:8080", c.Listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	if c.URL == "" {
		c.URL = "http://" + net.JoinHostPort(host, port)
	}
	if c.URL, err = serverURL("--url", c.URL); err != nil {
		return err
	}
	if err := checkToolMirrors(c.ToolMirrors); err != nil {
		return err
	}
	if _, err := c.callNetworks(); err != nil {
		return err
	}
	if c.Blobs != "" {
		if _, err := blob.ParseS3(c.Blobs); err != nil {
			return fmt.Errorf("--blobs: %w", err)
		}
	}
	if c.WarmPods == -1 && c.Kubeconfig == "" {
		c.WarmPods = 1
	}
	if c.WarmPods = max(c.WarmPods, 0); c.WarmPods > pipelines.MaxWarm {
		return fmt.Errorf("--warm-pods %d: write 0 to %d", c.WarmPods, pipelines.MaxWarm)
	}
	if err := c.completeLimits(); err != nil {
		return err
	}
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, "slipway.db")
	}
	if c.Kubeconfig == "" {
		c.CacheStorageClass = embeddedStorageClass
		c.ClusterURL = "http://" + net.JoinHostPort(c.Node.HostAddress, port)
		return nil
	}
	return c.completeExisting()
}

// openBlobs opens the object store.
func (c *Config) openBlobs(ctx context.Context) (blob.Resumable, error) {
	if c.Blobs == "" {
		return blob.OpenFiles(c.path("blobs"))
	}
	s3, err := blob.OpenS3(ctx, c.Blobs)
	if err != nil {
		return nil, fmt.Errorf("--blobs: %w", err)
	}
	return s3, nil
}

// completeLimits checks the limits of jobs; pools are known by their names in lower case.
func (c *Config) completeLimits() error {
	if c.Limits.Jobs < 1 || c.Limits.ProjectJobs < 0 || c.Limits.RunJobs < 0 {
		return fmt.Errorf("--max-jobs must be at least 1, and --max-jobs-of-project and --max-jobs-of-run at least 0, which is no limit")
	}
	pools := map[string]int{}
	for name, n := range c.Limits.Pools {
		if n < 1 {
			return fmt.Errorf("--max-jobs-of-pool %s=%d: the number must be at least 1", name, n)
		}
		pools[strings.ToLower(name)] = n
	}
	c.Limits.Pools = pools
	return nil
}

// completeExisting is the part for an existing cluster.
func (c *Config) completeExisting() (err error) {
	if c.Kubeconfig, err = filepath.Abs(c.Kubeconfig); err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	if c.ClusterURL == "" {
		return fmt.Errorf("--kubeconfig also needs --cluster-url: the URL by which the cluster's nodes and pods reach this server, as http://192.0.2.7:8080")
	}
	if c.ClusterURL, err = serverURL("--cluster-url", c.ClusterURL); err != nil {
		return err
	}
	if u, _ := url.Parse(c.ClusterURL); u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback() {
		return fmt.Errorf("--cluster-url %q: the cluster's nodes and pods would reach themselves by that host: name one by which they reach this machine", c.ClusterURL)
	}
	if path, ok := strings.CutPrefix(c.Builder, "unix://"); c.Builder != "" && (!ok || !filepath.IsAbs(path)) {
		return fmt.Errorf("--builder %q: write unix:///SOCKET, or leave it out for a builder in the cluster", c.Builder)
	}
	return nil
}

// callNetworks reads CallNetworks.
func (c *Config) callNetworks() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range c.CallNetworks {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--call-network %q: write ADDRESS/BITS, as 10.0.0.0/8", text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// serverURL checks a URL by which this server is reached; it lies at the root of its host.
func serverURL(flag, text string) (string, error) {
	text = strings.TrimSuffix(text, "/")
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("%s %q: write http://HOST:PORT or https://HOST", flag, text)
	}
	return text, nil
}

// checkToolMirrors refuses names of no tool and what is no URL.
func checkToolMirrors(mirrors map[string]string) error {
	for name, address := range mirrors {
		if !slices.Contains(job.MirroredTools(), name) {
			return fmt.Errorf("--tool-mirror %s: there is no such tool, write one of %s", name, strings.Join(job.MirroredTools(), ", "))
		}
		if u, err := url.Parse(address); err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("--tool-mirror %s=%s: write TOOL=URL, as node=https://mirror.example/node", name, address)
		}
	}
	return nil
}

// cacheAccessMode is how volumes of jobs' caches are mounted: jobs of a project run at the same time, on any node.
func (c *Config) cacheAccessMode() corev1.PersistentVolumeAccessMode {
	if c.Kubeconfig == "" {
		return corev1.ReadWriteOnce
	}
	return corev1.ReadWriteMany
}

// Registry is the host in image names: that of URL on one machine, where the node maps it to this server, and that of
// ClusterURL in an existing cluster, whose nodes know no other way here.
func (c *Config) Registry() string {
	from := c.URL
	if c.Kubeconfig != "" {
		from = c.ClusterURL
	}
	u, err := url.Parse(from)
	if err != nil { // complete has parsed it
		return ""
	}
	return u.Host
}

// builderInCluster reports that images are built by a pod.
func (c *Config) builderInCluster() bool { return c.Kubeconfig != "" && c.Builder == "" }

// ownAddress is where this server reaches itself, whatever stands in front of it for others.
func (c *Config) ownAddress() string {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil { // complete has parsed it
		return c.Listen
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// path is a path below the data folder.
func (c *Config) path(elements ...string) string {
	return filepath.Join(append([]string{c.Data}, elements...)...)
}
