package clusters

import (
	"slices"
	"strings"
)

// Objects are applied in the order of what needs what, and pruned the other way round. Kinds that are not named come
// with the last but one group: after all that they might use, before webhooks that could refuse everything.
var applyOrder = []string{
	"Namespace", "PriorityClass", "RuntimeClass", "StorageClass", "CustomResourceDefinition",
	"ServiceAccount", "ResourceQuota", "LimitRange", "NetworkPolicy", "PodDisruptionBudget",
	"Secret", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
	"Service", "Pod", "ReplicationController", "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment",
	"HorizontalPodAutoscaler", "Job", "CronJob", "IngressClass", "Ingress",
}

const otherKinds = 1000

func rank(kind string) int {
	if i := slices.Index(applyOrder, kind); i >= 0 {
		return i
	}
	if strings.HasSuffix(kind, "WebhookConfiguration") || kind == "APIService" {
		return otherKinds + 1
	}
	return otherKinds
}

// sortForApply puts objects into the order of applying; those of one rank stay as they were.
func sortForApply(objects []object) {
	slices.SortStableFunc(objects, func(a, b object) int { return rank(a.GetKind()) - rank(b.GetKind()) })
}
