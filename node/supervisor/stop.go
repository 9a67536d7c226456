package supervisor

import (
	"context"
	"errors"
	"sync"

	"slipway/node/containers"
)

// stop ends everything in the reverse order of its start. Whatever does not end by itself is killed.
func (s *Supervisor) stop(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.Config.Patient(stopLimit))
	defer cancel()
	if s.ingress != nil {
		s.ingress.Close()
	}
	var all sync.WaitGroup
	for _, p := range s.parts {
		all.Go(func() { p.Stop(s.Config.Patient(partLimit)) })
	}
	all.Wait()
	var errs []error
	if s.containerd != nil {
		errs = append(errs, s.stopPods(limited))
		s.containerd.Stop(s.Config.Patient(partLimit))
	}
	if s.egress != nil {
		errs = append(errs, s.egress.Close())
	}
	errs = append(errs, remove(ctx, s.Config))
	return errors.Join(errs...)
}

// stopPods ends the pods through containerd, if that still runs.
func (s *Supervisor) stopPods(ctx context.Context) error {
	select {
	case <-s.containerd.Done():
		return nil // its pods are killed with the rest
	default:
	}
	connect, cancel := context.WithTimeout(ctx, s.Config.Patient(partLimit))
	defer cancel()
	client, err := containers.Connect(connect, s.Config.ContainerdSocket())
	if err != nil {
		return nil // it never came up: nothing to end politely
	}
	defer client.Close()
	return client.StopPods(ctx, politeness)
}
