package clusters

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway"
)

// Labels and annotations on what is deployed. Labels hold numbers and ids, by which pods are found; the annotations of
// the same names hold these and what is too long or too free for a label.
const (
	labelProject     = "slipway.dev/project"     // UUID
	labelEnvironment = "slipway.dev/environment" // number
	labelDeployment  = "slipway.dev/deployment"  // number
	labelRun         = "slipway.dev/run"         // number

	annotationCommit      = "slipway.dev/commit"
	annotationProject     = "slipway.dev/project-name"
	annotationEnvironment = "slipway.dev/environment-name"
	annotationTemplate    = "slipway.dev/template" // hash of the template without what a deployment adds
	labelManagedBy        = "app.kubernetes.io/managed-by"
)

// Telemetry is where a deployed application sends its telemetry and with which credentials. The token is kept in a
// Secret of the namespace and shared by all pods of the environment, also those of earlier deployments: it must
// be good for the environment, not for one deployment.
type Telemetry struct {
	Endpoint           string // of OTLP over HTTP and of Application Insights: http://HOST:PORT; "" when nobody collects
	Token              string
	InstrumentationKey string // a GUID that stands for the environment
}

const (
	telemetrySecret = "slipway-telemetry"
	headersKey      = "otlp-headers"
)

// origin is what brought a pod template about.
type origin struct {
	deployment slipway.DeploymentID
	run        slipway.RunID
	commit     slipway.CommitID
}

// templateHash tells whether two templates differ in what the application is, apart from which deployment wrote them.
func templateHash(template map[string]any, t Target, telemetry Telemetry) (string, error) {
	text, err := json.Marshal([]any{template, t.Project, t.Environment, telemetry.Endpoint, telemetry.InstrumentationKey})
	if err != nil {
		return "", fmt.Errorf("hash pod template: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// inject completes a pod template: who deployed it, and where its telemetry goes. What the manifest says itself stays.
func inject(template map[string]any, workload string, t Target, o origin, hash string, telemetry Telemetry, pullSecrets []string) {
	metadata := child(template, "metadata")
	labels, annotations := child(metadata, "labels"), child(metadata, "annotations")
	labels[labelProject] = string(t.Project)
	labels[labelEnvironment] = strconv.FormatInt(int64(t.Environment), 10)
	labels[labelDeployment] = o.deployment.String()
	labels[labelRun] = o.run.String()
	annotations[annotationCommit] = string(o.commit)
	annotations[annotationProject] = t.ProjectName
	annotations[annotationEnvironment] = t.EnvironmentName
	annotations[annotationTemplate] = hash
	spec := child(template, "spec")
	addPullSecrets(spec, pullSecrets)
	if telemetry.Endpoint == "" {
		return
	}
	for _, c := range containers(spec) {
		injectEnvironment(c, workload, t, o, telemetry)
	}
}

func child(m map[string]any, field string) map[string]any {
	inner, ok := m[field].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[field] = inner
	}
	return inner
}

func addPullSecrets(spec map[string]any, names []string) {
	list, _ := spec["imagePullSecrets"].([]any)
	for _, name := range names {
		entry := map[string]any{"name": name}
		if !slices.ContainsFunc(list, func(v any) bool { m, ok := v.(map[string]any); return ok && m["name"] == name }) {
			list = append(list, entry)
		}
	}
	if len(list) > 0 {
		spec["imagePullSecrets"] = list
	}
}

// environment is the env list of a container under construction.
type environment struct {
	added []any
	given map[string]map[string]any // by name, as the manifest has them
}

func (e *environment) value(name, value string) {
	if e.given[name] == nil {
		e.added = append(e.added, map[string]any{"name": name, "value": value})
	}
}

func (e *environment) from(name, source string, of map[string]any) {
	if e.given[name] == nil {
		e.added = append(e.added, map[string]any{"name": name, "valueFrom": map[string]any{source: of}})
	}
}

// injectEnvironment puts our variables before the manifest's own, because $(NAME) refers to earlier ones only.
func injectEnvironment(c map[string]any, workload string, t Target, o origin, telemetry Telemetry) {
	own, _ := c["env"].([]any)
	e := environment{given: map[string]map[string]any{}}
	for _, v := range own {
		if m, ok := v.(map[string]any); ok {
			name, _ := m["name"].(string)
			e.given[name] = m
		}
	}
	endpoint := strings.TrimSuffix(telemetry.Endpoint, "/")
	e.from("SLIPWAY_POD_NAME", "fieldRef", map[string]any{"fieldPath": "metadata.name"})
	e.from("SLIPWAY_POD_NAMESPACE", "fieldRef", map[string]any{"fieldPath": "metadata.namespace"})
	e.from("SLIPWAY_NODE_NAME", "fieldRef", map[string]any{"fieldPath": "spec.nodeName"})
	// Where the manifest names an endpoint of its own, our protocol and credentials are not for it.
	if endpoint != "" && e.given["OTEL_EXPORTER_OTLP_ENDPOINT"] == nil {
		e.value("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
		e.value("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
		e.from("OTEL_EXPORTER_OTLP_HEADERS", "secretKeyRef", map[string]any{"name": telemetrySecret, "key": headersKey, "optional": true})
	}
	if telemetry.InstrumentationKey != "" {
		e.value("APPLICATIONINSIGHTS_CONNECTION_STRING",
			"InstrumentationKey="+telemetry.InstrumentationKey+";IngestionEndpoint="+endpoint+"/")
	}
	attributes := resourceAttributes(c, t, o)
	given := e.given["OTEL_RESOURCE_ATTRIBUTES"]
	text, plain := given["value"].(string)
	if given == nil || plain {
		merged := mergeAttributes(attributes, text)
		// The SDK lets OTEL_SERVICE_NAME win over service.name here, so a name given here must be alone.
		if !strings.HasPrefix(text, "service.name=") && !strings.Contains(text, ",service.name=") {
			e.value("OTEL_SERVICE_NAME", workload)
		}
		if given != nil {
			given["value"] = merged
		} else {
			e.value("OTEL_RESOURCE_ATTRIBUTES", merged)
		}
	} else { // it comes from a ConfigMap or the like: ours are offered under another name
		e.value("SLIPWAY_RESOURCE_ATTRIBUTES", mergeAttributes(attributes, ""))
	}
	c["env"] = append(e.added, own...)
}

type attribute struct{ name, value string }

// resourceAttributes are the words by which telemetry finds its way back to what was deployed.
func resourceAttributes(c map[string]any, t Target, o origin) []attribute {
	list := []attribute{
		{"slipway.project", string(t.Project)},
		{"slipway.environment", strconv.FormatInt(int64(t.Environment), 10)},
		{"deployment.environment.name", t.EnvironmentName},
		{"slipway.deployment", o.deployment.String()},
		{"slipway.run", o.run.String()},
		{"vcs.ref.head.revision", string(o.commit)},
	}
	if name, _ := c["name"].(string); name != "" {
		list = append(list, attribute{"k8s.container.name", name})
	}
	if text, _ := c["image"].(string); text != "" {
		if n, err := parseImage(text); err == nil && n.digest != "" {
			list = append(list, attribute{"oci.manifest.digest", string(n.digest)})
		}
	}
	for i := range list {
		list[i].value = percentEncode(list[i].value)
	}
	// References to earlier variables, which the kubelet fills in; pod, namespace and node names need no escape.
	return append(list, attribute{"k8s.pod.name", "$(SLIPWAY_POD_NAME)"},
		attribute{"k8s.namespace.name", "$(SLIPWAY_POD_NAMESPACE)"}, attribute{"k8s.node.name", "$(SLIPWAY_NODE_NAME)"})
}

// percentEncode writes a value as OTEL_RESOURCE_ATTRIBUTES wants it (OpenTelemetry specification, resource SDK: the
// characters outside of baggage-octet, and the separators, as percent signs).
func percentEncode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// mergeAttributes joins ours with those that the manifest gives, which win.
func mergeAttributes(ours []attribute, given string) string {
	taken := map[string]bool{}
	var parts []string
	for _, part := range strings.Split(given, ",") {
		if name, _, ok := strings.Cut(part, "="); ok {
			taken[strings.TrimSpace(name)] = true
			parts = append(parts, part)
		}
	}
	var mine []string
	for _, a := range ours {
		if !taken[a.name] && a.value != "" {
			mine = append(mine, a.name+"="+a.value)
		}
	}
	return strings.Join(append(mine, parts...), ",")
}
