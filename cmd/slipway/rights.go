package main

import (
	"slices"

	"slipway/internal/clusters"
)

// neededRights are what Slipway does in a cluster on its own account; docs/cluster.md has them as a ClusterRole. What
// projects deploy beyond these needs rights of its own, and a deployment without them says so.
func neededRights(builder bool) []clusters.Right {
	look := []string{"get", "list", "watch"}
	change := append(slices.Clone(look), "create", "update", "patch", "delete")
	rights := []clusters.Right{
		{Resource: "namespaces", Verbs: change},
		{Resource: "secrets", Verbs: change},
		{Resource: "configmaps", Verbs: change},
		{Resource: "services", Verbs: change},
		{Resource: "persistentvolumeclaims", Verbs: change},
		{Resource: "pods", Verbs: change},
		{Resource: "pods/log", Verbs: []string{"get"}},
		{Resource: "events", Verbs: look},
		{Resource: "nodes", Verbs: look},
		{Resource: "nodes/proxy", Verbs: []string{"get"}},
		{Group: "apps", Resource: "deployments", Verbs: change},
		{Group: "apps", Resource: "replicasets", Verbs: look},
	}
	if builder {
		rights = append(rights,
			clusters.Right{Resource: "pods/portforward", Verbs: []string{"get", "create"}},
			clusters.Right{Group: "networking.k8s.io", Resource: "networkpolicies", Verbs: change},
			clusters.Right{Group: "storage.k8s.io", Resource: "storageclasses", Verbs: []string{"list"}})
	}
	return rights
}
