// Package telemetry holds the rows of telemetry, in Application Insights' words, whoever sent them: requests,
// dependencies, exceptions, traces (log messages), custom events and metrics, page views, availability results,
// and what the collectors see of containers and of Kubernetes.
//
// It is plain data: it knows neither a wire format nor a database.
package telemetry

import (
	"strconv"

	"slipway"
)

// Resource is what sent a row: one process of one service, and where in the loop it belongs. It is shared by
// all rows of a request and not changed once a row refers to it.
type Resource struct {
	Project         slipway.ProjectID
	Environment     slipway.EnvironmentID
	EnvironmentName string
	Deployment      slipway.DeploymentID
	Commit          slipway.CommitID
	Run             slipway.RunID
	Image           slipway.Digest
	Service         string // cloud_RoleName
	Version         string // application_Version
	Instance        string // cloud_RoleInstance
	Namespace       string // Kubernetes namespace
	Pod             string
	Container       string
	Node            string
	SDK             string // sdkVersion
}

// The resource attributes of OpenTelemetry that carry Slipway's own words; deployed applications get them in
// OTEL_RESOURCE_ATTRIBUTES.
const (
	AttributeProject     = "slipway.project"     // UUID or name
	AttributeEnvironment = "slipway.environment" // number or name
	AttributeDeployment  = "slipway.deployment"  // number
	AttributeRun         = "slipway.run"         // number
	AttributeCommit      = "vcs.ref.head.revision"
	AttributeImage       = "oci.manifest.digest"
	AttributeImages      = "container.image.repo_digests" // list of NAME@DIGEST
)

// Origin is what a credential proves about its sender: it overrides whatever the payload claims.
type Origin struct {
	Project         slipway.ProjectID
	Environment     slipway.EnvironmentID
	EnvironmentName string
	Deployment      slipway.DeploymentID
	Commit          slipway.CommitID
	Run             slipway.RunID
}

// Bind writes the origin's known fields over the resource's. A deployment that is not the claimed one takes
// the claimed commit, run and image with it.
func (r *Resource) Bind(o Origin) {
	if o.Deployment != 0 && r.Deployment != 0 && o.Deployment != r.Deployment {
		r.Commit, r.Run, r.Image, r.EnvironmentName = "", 0, "", ""
	}
	if o.Project != "" {
		r.Project = o.Project
	}
	if o.Environment != 0 {
		r.Environment = o.Environment
	}
	if o.EnvironmentName != "" {
		r.EnvironmentName = o.EnvironmentName
	}
	if o.Deployment != 0 {
		r.Deployment = o.Deployment
	}
	if o.Commit != "" {
		r.Commit = o.Commit
	}
	if o.Run != 0 {
		r.Run = o.Run
	}
}

// Set takes one resource attribute, by its OpenTelemetry name, and reports whether it has a field of its own.
func (r *Resource) Set(name, value string) bool {
	switch name {
	case AttributeProject:
		r.Project = slipway.ProjectID(value)
	case AttributeEnvironment:
		if n := number(value); n != 0 {
			r.Environment = slipway.EnvironmentID(n)
		} else {
			r.EnvironmentName = value
		}
	case "deployment.environment", "deployment.environment.name":
		r.EnvironmentName = value
	case AttributeDeployment:
		r.Deployment = slipway.DeploymentID(number(value))
	case AttributeRun:
		r.Run = slipway.RunID(number(value))
	case AttributeCommit:
		r.Commit = slipway.CommitID(value)
	case AttributeImage:
		r.Image = slipway.Digest(value)
	case "service.name":
		r.Service = value
	case "service.version":
		r.Version = value
	case "service.instance.id":
		r.Instance = value
	case "k8s.namespace.name":
		r.Namespace = value
	case "k8s.pod.name":
		r.Pod = value
	case "k8s.container.name":
		r.Container = value
	case "k8s.node.name":
		r.Node = value
	default:
		return false
	}
	return true
}

// number reads a positive decimal, 0 for anything else.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
