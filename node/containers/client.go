package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Client speaks to a running containerd.
type Client struct {
	containerd *containerd.Client
	connection *grpc.ClientConn
	runtime    cri.RuntimeServiceClient
}

// Connect waits until containerd's CRI service answers.
func Connect(ctx context.Context, socket string) (*Client, error) {
	if err := waitSocket(ctx, socket); err != nil {
		return nil, err
	}
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, fmt.Errorf("open containerd's socket: %w", err)
	}
	c := &Client{connection: connection, runtime: cri.NewRuntimeServiceClient(connection)}
	if err := c.wait(ctx); err != nil {
		connection.Close()
		return nil, err
	}
	c.containerd, err = containerd.NewWithConn(connection, containerd.WithDefaultNamespace("k8s.io"))
	if err != nil {
		connection.Close()
		return nil, fmt.Errorf("open containerd: %w", err)
	}
	return c, nil
}

// waitSocket waits until something listens. gRPC would wait too, but in steps that grow from a second.
func waitSocket(ctx context.Context, socket string) error {
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for containerd: %w", err)
		case <-time.After(20 * time.Millisecond): // the socket appears without notice
		}
	}
}

func (c *Client) wait(ctx context.Context) error {
	for {
		_, err := c.runtime.Version(ctx, &cri.VersionRequest{})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for containerd: %w", err)
		case <-time.After(20 * time.Millisecond): // CRI answers some time after the socket
		}
	}
}

// Close closes the connection.
func (c *Client) Close() error { return c.connection.Close() }

// Import brings the images of a docker or OCI archive in, pinned: the kubelet never deletes them for space, since they
// come from no registry. It returns their names.
func (c *Client) Import(ctx context.Context, file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open image archive: %w", err)
	}
	defer f.Close()
	ctx = namespaces.WithNamespace(ctx, "k8s.io")
	imported, err := c.containerd.Import(ctx, f, containerd.WithImageLabels(map[string]string{
		"io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"}))
	if err != nil {
		return nil, fmt.Errorf("import images of %s: %w", file, err)
	}
	var names []string
	for _, i := range imported {
		if err := containerd.NewImage(c.containerd, i).Unpack(ctx, "overlayfs"); err != nil {
			return nil, fmt.Errorf("unpack image %s of %s: %w", i.Name, file, err)
		}
		names = append(names, i.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("image archive %s names no image: want RepoTags (docker) or the annotation %s (OCI)", file, images.AnnotationImageName)
	}
	return names, nil
}

// Has tells whether all the named images are there.
func (c *Client) Has(ctx context.Context, names []string) bool {
	ctx = namespaces.WithNamespace(ctx, "k8s.io")
	for _, name := range names {
		image, err := c.containerd.GetImage(ctx, name)
		if err != nil {
			return false
		}
		if ok, err := image.IsUnpacked(ctx, "overlayfs"); err != nil || !ok {
			return false
		}
	}
	return len(names) > 0
}

// StopPods ends all containers, at first politely, and takes their pods' networks and mounts down. The pods stay known: the
// kubelet starts them again when the node comes back.
func (c *Client) StopPods(ctx context.Context, patience time.Duration) error {
	containers, err := c.runtime.ListContainers(ctx, &cri.ListContainersRequest{Filter: &cri.ContainerFilter{
		State: &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}}})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	err = parallel(containers.Containers, func(v *cri.Container) error {
		_, err := c.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: v.Id, Timeout: int64(patience / time.Second)})
		return err
	})
	pods, listErr := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if listErr != nil {
		return errors.Join(err, fmt.Errorf("list pods: %w", listErr))
	}
	return errors.Join(err, parallel(pods.Items, func(v *cri.PodSandbox) error {
		_, err := c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: v.Id})
		return err
	}))
}

// parallel calls f for each item, and waits for all.
func parallel[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { errs[i] = f(item) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// WaitImage waits until containerd answers and has the image.
func WaitImage(ctx context.Context, socket, name string) error {
	c, err := Connect(ctx, socket)
	if err != nil {
		return err
	}
	defer c.Close()
	for !c.Has(ctx, []string{name}) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for image %s: %w", name, ctx.Err())
		case <-time.After(50 * time.Millisecond): // its import is another process's work
		}
	}
	return nil
}
