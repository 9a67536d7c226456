package task

// kubernetesTasks deploy to clusters.
func kubernetesTasks() []Definition {
	return []Definition{
		kubernetesManifest(1),
		kubernetesManifest(0),
	}
}

func kubernetesManifest(major int) Definition {
	d := Definition{Name: "KubernetesManifest", Major: major, Title: "KubernetesManifest", Doc: "Applies manifests to a cluster, with images put into them, and waits until they are rolled out; or renders them, or changes an object.", Inputs: []Input{
		{Name: "action", Doc: "What to do.", Default: "deploy", Options: []string{"bake", "createSecret", "delete", "deploy", "patch", "promote", "scale", "reject"}},
		{Name: "connectionType", Doc: "How the cluster is reached.", Default: "kubernetesServiceConnection", Options: []string{"azureResourceManager", "kubernetesServiceConnection"},
			Unsupported: map[string]string{"azureResourceManager": "name the cluster's connection with kubernetesServiceConnection, or the environment's resource"}},
		{Name: "kubernetesServiceConnection", Doc: "The service connection to the cluster; the environment's resource without one.", Aliases: []string{"kubernetesServiceEndpoint"}, Connection: clusterConnection, Own: true},
		{Name: "azureSubscriptionConnection", Doc: "A subscription of Azure.", Aliases: []string{"azureSubscriptionEndpoint"}, Unsupported: map[string]string{"": "name the cluster's connection with kubernetesServiceConnection"}},
		{Name: "azureResourceGroup", Doc: "A resource group of Azure.", Unsupported: map[string]string{"": "name the cluster's connection with kubernetesServiceConnection"}},
		{Name: "kubernetesCluster", Doc: "A cluster of Azure.", Unsupported: map[string]string{"": "name the cluster's connection with kubernetesServiceConnection"}},
		{Name: "useClusterAdmin", Doc: "Whether the cluster's administrator is used.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "name the cluster's connection with kubernetesServiceConnection"}},
		{Name: "namespace", Doc: "The namespace; the environment's resource says it too."},
		{Name: "strategy", Doc: "How it is rolled out.", Default: "none", Options: []string{"none", "canary"}},
		{Name: "trafficSplitMethod", Doc: "How traffic is split for a canary.", Default: "pod", Options: []string{"pod", "smi"},
			Unsupported: map[string]string{"smi": "SMI's interface is no longer kept up by its makers: use pod, or write the routes of your mesh as manifests"}},
		{Name: "percentage", Doc: "The share of the replicas that a canary has, in percent.", Default: "0"},
		{Name: "baselineAndCanaryReplicas", Doc: "The replicas of a canary of the method smi, which is not there.", Default: "1"},
		{Name: "manifests", Doc: "The manifest files, one a line, with patterns.", NeededFor: "action", NeededForValues: []string{"deploy", "promote", "reject"}, PlainBraces: true},
		{Name: "containers", Doc: "Images that are put into the manifests, one a line: each replaces the image of the same repository."},
		{Name: "imagePullSecrets", Doc: "Names of pull secrets that are added to pods, one a line."},
		{Name: "renderType", Doc: "What bake renders.", Default: "helm", Options: []string{"helm", "kompose", "kustomize"}},
		{Name: "dockerComposeFile", Doc: "The Compose file that bake renders.", Required: true, visible: rules("action = bake", "renderType = kompose")},
		{Name: "helmChart", Doc: "The chart that bake renders.", Required: true, visible: rules("action = bake", "renderType = helm")},
		{Name: "releaseName", Doc: "The release that bake renders."},
		{Name: "overrideFiles", Doc: "Value files for bake, one a line."},
		{Name: "overrides", Doc: "Values for bake, NAME:VALUE, one a line."},
		{Name: "kustomizationPath", Doc: "The folder that bake renders."},
		{Name: "resourceToPatch", Doc: "What is patched.", Default: "file", Options: []string{"file", "name"}},
		{Name: "resourceFileToPatch", Doc: "The file whose resource is patched.", Required: true, visible: rules("action = patch", "resourceToPatch = file")},
		{Name: "kind", Doc: "The kind of the resource, such as deployment, replicaset or statefulset.", Required: true, visible: rules("action = scale || resourceToPatch = name")},
		{Name: "name", Doc: "The name of the resource.", Required: true, visible: rules("action = scale || resourceToPatch = name")},
		{Name: "replicas", Doc: "The number of replicas.", NeededFor: "action", NeededForValues: []string{"scale"}},
		{Name: "mergeStrategy", Doc: "How a patch is merged.", Default: "strategic", Options: []string{"json", "merge", "strategic"}},
		{Name: "patch", Doc: "The patch.", NeededFor: "action", NeededForValues: []string{"patch"}},
		{Name: "arguments", Doc: "What kubectl delete removes, as KIND NAME or -f FILE.", NeededFor: "action", NeededForValues: []string{"delete"}},
		{Name: "secretType", Doc: "The type of the secret.", Default: "dockerRegistry", Options: []string{"dockerRegistry", "generic"}},
		{Name: "secretName", Doc: "The name of the secret.", NeededFor: "action", NeededForValues: []string{"createSecret"}},
		{Name: "secretArguments", Doc: "What is in the secret."},
		{Name: "dockerRegistryEndpoint", Doc: "The service connection to the registry of the secret; one of this server's registry is not needed.", Connection: registryConnection, Own: true},
		{Name: "rolloutStatusTimeout", Doc: "How many seconds the rollout may take; 0 is without a limit of its own.", Default: "0"},
	}}
	if major == 1 {
		d.Inputs = append(d.Inputs, Input{Name: "resourceType", Doc: "The kind of a cluster of Azure, which changes nothing.", Default: "Microsoft.ContainerService/managedClusters"})
	}
	return d
}
