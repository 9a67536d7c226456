package clusters

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"slipway"
	"slipway/internal/db"
)

// Manifests are what one apply of a deployment brought into a cluster, images by digest, without what Slipway adds.
type Manifests struct {
	Deployment slipway.DeploymentID
	Cluster    string
	Namespace  string
	Set        string
	Hash       string // sha256:HEX
	YAML       string // for people: the values of secrets are hidden
	Applied    time.Time
	sealed     string
}

const hidden = "(hidden)"

// keep stores the manifests before they are applied: whole and sealed for the way back, without secrets for pages.
func (s *Service) keep(ctx context.Context, t Target, objects []object, hash string, mask []string) error {
	whole := make([]map[string]any, len(objects))
	var shown strings.Builder
	for i, o := range objects {
		whole[i] = o.Object
		text, err := yaml.Marshal(withoutSecrets(o.Unstructured).Object)
		if err != nil {
			return fmt.Errorf("write manifest of %s: %w", o.describe(), err)
		}
		if i > 0 {
			shown.WriteString("---\n")
		}
		shown.Write(text)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return fmt.Errorf("keep manifests: %w", err)
	}
	sealed, err := s.box.Seal(text, sealContext(t.Deployment, t.Set))
	if err != nil {
		return fmt.Errorf("keep manifests: %w", err)
	}
	const insert = `
		INSERT INTO cluster_manifests (deployment, cluster, namespace, set_name, hash, shown, sealed, applied)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	_, err = s.db.ExecContext(ctx, insert, int64(t.Deployment), t.Cluster, t.Namespace, t.Set, hash, masked(shown.String(), mask),
		base64.StdEncoding.EncodeToString(sealed), db.Micros(s.clock.Now()))
	if err != nil {
		return fmt.Errorf("keep manifests of deployment %d: %w", t.Deployment, err)
	}
	return nil
}

func sealContext(deployment slipway.DeploymentID, set string) string {
	return fmt.Sprintf("clusters/manifests/%d/%s", deployment, set)
}

// withoutSecrets is the object with the values of a Secret hidden.
func withoutSecrets(u *unstructured.Unstructured) *unstructured.Unstructured {
	if u.GetKind() != "Secret" || u.GroupVersionKind().Group != "" {
		return u
	}
	clean := u.DeepCopy()
	for _, field := range []string{"data", "stringData"} {
		values, _ := clean.Object[field].(map[string]any)
		for name := range values {
			values[name] = hidden
		}
	}
	annotations := clean.GetAnnotations()
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration") // holds the values too
	clean.SetAnnotations(annotations)
	return clean
}

// minMasked is the length below which masking a value would hide half of the manifest by chance.
const minMasked = 4

func masked(text string, mask []string) string {
	for _, value := range mask {
		if len(value) >= minMasked {
			text = strings.ReplaceAll(text, value, hidden)
		}
	}
	return text
}

const maxApplies = 100

// Manifests lists what a deployment applied, in order.
func (s *Service) Manifests(ctx context.Context, deployment slipway.DeploymentID) ([]Manifests, error) {
	const query = `SELECT deployment, cluster, namespace, set_name, hash, shown, sealed, applied FROM cluster_manifests
		WHERE deployment = $1 ORDER BY id LIMIT $2`
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, m *Manifests) error {
		var applied int64
		err := row.Scan(&m.Deployment, &m.Cluster, &m.Namespace, &m.Set, &m.Hash, &m.YAML, &m.sealed, &applied)
		m.Applied = db.Time(applied)
		return err
	}, query, int64(deployment), maxApplies)
	if err != nil {
		return nil, fmt.Errorf("list manifests of deployment %d: %w", deployment, err)
	}
	return list, nil
}

func (s *Service) open(m Manifests) ([]object, error) {
	sealed, err := base64.StdEncoding.DecodeString(m.sealed)
	if err != nil {
		return nil, fmt.Errorf("open manifests of deployment %d: %w", m.Deployment, err)
	}
	text, err := s.box.Open(sealed, sealContext(m.Deployment, m.Set))
	if err != nil {
		return nil, fmt.Errorf("open manifests of deployment %d: %w", m.Deployment, err)
	}
	var all []map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read manifests of deployment %d: %w", m.Deployment, err)
	}
	objects := make([]object, len(all))
	for i, content := range all {
		whole(content)
		objects[i] = object{Unstructured: &unstructured.Unstructured{Object: content}}
	}
	return objects, nil
}

// Rollback applies what an earlier deployment applied, on behalf of the target's deployment, and prunes what came
// after it. The target's cluster, namespace and set are those of the earlier one; the options' images are not used.
func (s *Service) Rollback(ctx context.Context, t Target, to slipway.DeploymentID, o Options, progress func(Progress)) (Result, error) {
	kept, err := s.Manifests(ctx, to)
	if err != nil {
		return Result{}, err
	}
	if len(kept) == 0 {
		return Result{}, slipway.NotFound("deployment %d has applied no manifests: there is nothing to go back to", to)
	}
	var all Result
	for _, set := range setsOf(kept) {
		objects, err := s.lastOf(kept, set)
		if err != nil {
			return all, err
		}
		one := t
		one.Cluster, one.Namespace, one.Set = set.cluster, set.namespace, set.name
		list, err := imagesOf(objects)
		if err != nil {
			return all, err
		}
		result, err := s.deploy(ctx, one, objects, o, list, progress)
		all.Objects = append(all.Objects, result.Objects...)
		all.Changed = append(all.Changed, result.Changed...)
		all.Pruned = append(all.Pruned, result.Pruned...)
		all.Images = append(all.Images, result.Images...)
		all.ManifestsHash, all.Namespace = result.ManifestsHash, result.Namespace
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

type setKey struct{ cluster, namespace, name string }

// setsOf are the sets of some applies, in the order of their first.
func setsOf(kept []Manifests) []setKey {
	var list []setKey
	seen := map[setKey]bool{}
	for _, m := range kept {
		k := setKey{m.Cluster, m.Namespace, m.Set}
		if !seen[k] {
			seen[k] = true
			list = append(list, k)
		}
	}
	return list
}

// lastOf joins the applies of one set: where several hold the same object, the last one counts.
func (s *Service) lastOf(kept []Manifests, set setKey) ([]object, error) {
	var order []string
	latest := map[string]object{}
	for _, m := range kept {
		if (setKey{m.Cluster, m.Namespace, m.Set}) != set {
			continue
		}
		objects, err := s.open(m)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			key := o.GroupVersionKind().GroupKind().String() + "/" + o.GetNamespace() + "/" + o.GetName()
			if _, known := latest[key]; !known {
				order = append(order, key)
			}
			latest[key] = o
		}
	}
	all := make([]object, len(order))
	for i, key := range order {
		all[i] = latest[key]
	}
	return all, nil
}

// imagesOf are the images that pod templates name, once each.
func imagesOf(objects []object) ([]Image, error) {
	var list []Image
	seen := map[string]bool{}
	for _, o := range objects {
		spec := podSpec(o.Unstructured)
		if spec == nil {
			continue
		}
		for _, c := range containers(spec) {
			text, _ := c["image"].(string)
			if text == "" || seen[text] {
				continue
			}
			seen[text] = true
			n, err := parseImage(text)
			if err != nil {
				return nil, err
			}
			list = append(list, Image{Repository: n.path, Reference: n.reference(), Digest: n.digest})
		}
	}
	return list, nil
}
