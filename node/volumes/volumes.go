// Package volumes makes persistent volumes out of folders of the node: the implementation of the storage class local-path.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"

	"slipway/node/client"
	"slipway/node/config"
	"slipway/node/objects"
)

// Run provisions and deletes volumes until ctx ends.
func Run(ctx context.Context, c *config.Config) error {
	api, err := client.New(c, "addons")
	if err != nil {
		return err
	}
	p := &provisioner{folder: c.Path("volumes"), node: c.NodeName()}
	if err := os.MkdirAll(p.folder, 0o755); err != nil {
		return fmt.Errorf("make folder of volumes: %w", err)
	}
	controller.NewProvisionController(ctx, api, objects.Provisioner, p, controller.LeaderElection(false)).Run(ctx)
	return nil
}

// provisioner implements controller.Provisioner.
type provisioner struct {
	folder string
	node   string
}

// Provision makes the folder of a volume. Its size is a wish: a folder has no limit but the disk's.
func (p *provisioner) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if mode := o.PVC.Spec.VolumeMode; mode != nil && *mode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, errors.New("local-path has no block volumes: use volumeMode Filesystem")
	}
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("local-path cannot match a claim's selector")
	}
	path := filepath.Join(p.folder, o.PVName)
	if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make volume: %w", err)
	}
	// Containers with any user id write to it, whatever this process's umask is.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make volume: %w", err)
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			MountOptions:                  o.StorageClass.MountOptions,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.node}}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// made is what the controller calls volumes.
var made = regexp.MustCompile(`^pvc-[0-9a-f-]{36}$`)

// Delete deletes a volume's folder. Paths that this provisioner cannot have made are left alone.
func (p *provisioner) Delete(_ context.Context, v *corev1.PersistentVolume) error {
	if v.Spec.Local == nil || !made.MatchString(v.Name) || v.Spec.Local.Path != filepath.Join(p.folder, v.Name) {
		return &controller.IgnoredError{Reason: "not a folder of this node's local-path"}
	}
	if err := os.RemoveAll(v.Spec.Local.Path); err != nil {
		return fmt.Errorf("delete volume %s: %w", v.Name, err)
	}
	return nil
}
