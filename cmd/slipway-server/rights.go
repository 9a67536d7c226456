package main

import (
	"slices"

	"slipway/internal/clusters"
)

// neededRights are what Slipway does in a cluster on its own account; docs/cluster.md has them as a ClusterRole. What
// projects deploy beyond these needs rights of its own, and a deployment without them says so.
func neededRights(builder bool) []clusters.Right {
	deploy := []string{"get", "list", "watch", "create", "patch", "delete"}
	rights := []clusters.Right{
		{Resource: "namespaces", Verbs: []string{"get", "create", "patch", "delete"}},
		{Resource: "secrets", Verbs: append(slices.Clone(deploy), "update")},
		{Resource: "configmaps", Verbs: deploy},
		{Resource: "services", Verbs: deploy},
		{Resource: "persistentvolumeclaims", Verbs: deploy},
		{Resource: "pods", Verbs: deploy},
		{Resource: "pods/log", Verbs: []string{"get"}},
		{Resource: "events", Verbs: []string{"list", "watch"}},
		{Resource: "nodes", Verbs: []string{"list"}},
		{Group: "apps", Resource: "deployments", Verbs: deploy},
		{Group: "apps", Resource: "replicasets", Verbs: []string{"list", "watch"}},
	}
	if builder {
		rights = append(rights,
			clusters.Right{Resource: "pods/portforward", Verbs: []string{"get", "create"}},
			clusters.Right{Group: "networking.k8s.io", Resource: "networkpolicies", Verbs: []string{"create", "patch"}},
			clusters.Right{Group: "storage.k8s.io", Resource: "storageclasses", Verbs: []string{"list"}})
	}
	return rights
}
