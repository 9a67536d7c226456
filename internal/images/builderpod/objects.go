package builderpod

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	name      = "slipway-builder"
	labelName = "app.kubernetes.io/name"

	settingsFolder = "/etc/slipway-builder"
	stateFolder    = "/var/lib/slipway-builder"
	port           = 8372
	// annotationSettings is the hash of the settings: a pod with other ones is replaced.
	annotationSettings = "slipway.dev/settings"
)

func labels() map[string]string {
	return map[string]string{labelName: name, "app.kubernetes.io/managed-by": "slipway"}
}

func (b *Builder) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: b.options.Namespace, Labels: labels()}
}

// secret holds the builder's configuration (node/builder/README.md) and its half of the certificates.
func (b *Builder) secret() (*corev1.Secret, error) {
	text, err := json.Marshal(map[string]any{
		"state": stateFolder, "runc": "/runc", "cacheBytes": b.options.CacheBytes,
		"listen": map[string]string{"address": fmt.Sprintf("127.0.0.1:%d", port), "cert": settingsFolder + "/tls.crt",
			"key": settingsFolder + "/tls.key", "clientCA": settingsFolder + "/ca.crt"},
		"registries": []any{
			map[string]any{"host": b.options.Registry, "endpoint": b.options.Endpoint},
		},
		"mirror": b.options.Registry, "mirrorOnly": b.options.MirrorOnly,
	})
	if err != nil {
		return nil, fmt.Errorf("write the image builder's configuration: %w", err)
	}
	return &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: b.meta(), Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{"config.json": text, "ca.crt": []byte(b.credentials.CA),
			"tls.crt": []byte(b.credentials.ServerCertificate), "tls.key": []byte(b.credentials.ServerKey)}}, nil
}

// policy lets nothing in.
func (b *Builder) policy() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}, ObjectMeta: b.meta(),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labelName: name}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		}}
}

// room is what the state needs: the cache may pass its limit until it is collected.
func (b *Builder) room() resource.Quantity {
	return *resource.NewQuantity(b.options.CacheBytes+b.options.CacheBytes/4, resource.BinarySI)
}

func (b *Builder) claim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}, ObjectMeta: b.meta(),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: b.room()}},
		}}
}

func (b *Builder) deployment(secret *corev1.Secret, claim bool) *appsv1.Deployment {
	one, grace := int32(1), int64(15)
	d := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: b.meta()}
	d.Spec.Replicas = &one
	d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType // one builder at a time uses the state
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{labelName: name}}
	d.Spec.Template = corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels(), Annotations: map[string]string{annotationSettings: hash(secret)}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{b.container()}, Volumes: b.volumes(claim),
			NodeSelector:                  map[string]string{corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH},
			AutomountServiceAccountToken:  new(bool),
			EnableServiceLinks:            new(bool),
			TerminationGracePeriodSeconds: &grace,
		},
	}
	for _, s := range b.options.PullSecrets {
		d.Spec.Template.Spec.ImagePullSecrets = append(d.Spec.Template.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	return d
}

// container is privileged because build steps are containers of their own, with mounts and cgroups.
func (b *Builder) container() corev1.Container {
	privileged := true
	return corev1.Container{
		Name: "builder", Image: b.options.Image, Command: []string{"/slipway-builder", "run", "--config", settingsFolder + "/config.json"},
		SecurityContext:          &corev1.SecurityContext{Privileged: &privileged},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("256Mi")}},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "settings", MountPath: settingsFolder, ReadOnly: true}, {Name: "state", MountPath: stateFolder},
			{Name: "scratch", MountPath: "/tmp", SubPath: "tmp"}, {Name: "scratch", MountPath: "/run", SubPath: "run"},
		},
	}
}

func (b *Builder) volumes(claim bool) []corev1.Volume {
	mode, room := int32(0o400), b.room()
	state := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &room}}
	if claim {
		state = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	return []corev1.Volume{
		{Name: "settings", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, DefaultMode: &mode}}},
		{Name: "state", VolumeSource: state},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
}

func hash(secret *corev1.Secret) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		fmt.Fprintf(h, "%s %d ", key, len(secret.Data[key]))
		h.Write(secret.Data[key])
	}
	return hex.EncodeToString(h.Sum(nil))[:20]
}
