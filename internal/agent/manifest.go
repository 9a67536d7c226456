package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/job"
)

const (
	maxManifests     = 200
	maxManifestBytes = 4 << 20 // of all together
)

// kubernetesManifest is the task KubernetesManifest@0 and @1. The server applies the manifests, or kubectl those of a service connection's
// cluster and of canaries; the agent sends them with the images and shows the progress.
func (t *task) kubernetesManifest(in inputs) error {
	action := strings.ToLower(in.text("action"))
	if err := checkTimeout(in); err != nil {
		return err
	}
	if done, err := t.manifestAction(action, in); done {
		return err
	}
	d := job.Deployment{Step: t.step.ID, Action: "deploy", Namespace: in.text("namespace"), Images: in.list("containers"), PullSecrets: in.list("imagePullSecrets"), Annotations: t.annotations(), TimeoutInSeconds: timeoutOf(in)}
	var err error
	if d.Manifests, err = t.manifests(newPatterns(in.m["manifests"])); err != nil {
		return err
	}
	canary := func(do func(clusterProgram, inputs, []string, job.Deployment) error) error {
		return t.onCluster(in, func(kubectl clusterProgram, in inputs, namespace []string) error {
			return do(kubectl, in, namespace, d)
		})
	}
	switch {
	case (action == "promote" || action == "reject") && !canaryStrategy(in):
		return fmt.Errorf("the action %s ends a canary: write strategy: canary, or deploy with action: deploy", action)
	case action == "reject":
		return canary(withoutCanary)
	case action == "promote":
		if err := t.deployManifests(in, d); err != nil {
			return err
		}
		if err := canary(withoutCanary); err != nil { // the new version is there, so this is a warning, as in the task
			t.warn(fmt.Sprintf("The canary is not removed: %v", err))
		}
		return nil
	case action != "" && action != "deploy":
		return fmt.Errorf("the action %q of KubernetesManifest is not one that Slipway runs: use deploy, promote, reject, bake, delete, patch, scale or createSecret", in.text("action"))
	case canaryStrategy(in):
		return canary(deployCanary)
	}
	return t.deployManifests(in, d)
}

// deployManifests applies manifests to the cluster of a service connection, or has the server apply them to the job's environment.
func (t *task) deployManifests(in inputs, d job.Deployment) error {
	c, ok, err := t.foreign(in.text("kubernetesServiceConnection"))
	if err != nil {
		return err
	}
	if ok {
		return t.deployElsewhere(&c, d)
	}
	return t.client.again(t.ctx, func() error { return t.deploy(d) })
}

// manifests reads the files that the patterns choose. As with findMatch of azure-pipelines-task-lib, one of several may choose none.
func (t *task) manifests(list patterns) ([]job.Manifest, error) {
	found, err := find(t.folders.sources, list)
	if err != nil || len(found) == 0 || len(list) == 0 {
		return nil, fmt.Errorf("no manifest matches %s below %s", strings.Join(list, ", "), t.folders.sources)
	}
	for _, pattern := range list {
		if _, err := os.Stat(t.absolute(pattern)); err != nil && !strings.ContainsAny(pattern, "*?[!") {
			t.warn(fmt.Sprintf("There is no manifest %s.", pattern))
		}
	}
	var manifests []job.Manifest
	total := 0
	for _, path := range found {
		if ext := strings.ToLower(filepath.Ext(path)); ext != ".yaml" && ext != ".yml" && ext != ".json" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		if total += len(text); total > maxManifestBytes || len(manifests) >= maxManifests {
			return nil, fmt.Errorf("the manifests are more than %d files or %d bytes", maxManifests, maxManifestBytes)
		}
		rel, err := filepath.Rel(t.folders.sources, path)
		if err != nil {
			rel = path
		}
		if bytes.Contains(text, []byte(goProgram)) {
			if text, err = t.resolve(path); err != nil {
				return nil, err
			}
		}
		manifests = append(manifests, job.Manifest{Path: rel, Text: string(text)})
	}
	if len(manifests) == 0 {
		return nil, errors.New("the input manifests names no file that ends in .yaml, .yml or .json")
	}
	return manifests, nil
}

// goProgram begins a reference to a Go program, in place of an image, as ko has it.
const goProgram = "ko://"

// resolve has ko, which is a name of the jobs' docker, build the programs that a manifest refers to.
func (t *task) resolve(path string) ([]byte, error) {
	shown, out := &stepLog{spool: t.log.spool, mask: t.mask}, &limited{max: maxManifestBytes}
	err := t.run(process{name: "ko", args: []string{"resolve", "-f", path}, dir: t.folders.sources, env: t.env, stdout: out, stderr: shown})
	shown.Flush()
	if err != nil {
		return nil, fmt.Errorf("build the programs that %s names by ko://: %w", filepath.Base(path), err)
	}
	if out.Len() >= maxManifestBytes {
		return nil, fmt.Errorf("%s with its images is more than %d bytes", filepath.Base(path), maxManifestBytes)
	}
	return out.Bytes(), nil
}

// deploy sends the deployment and shows its progress. When the server goes away in the middle, the same is sent again:
// applying twice is the same as once.
func (t *task) deploy(d job.Deployment) error {
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode deployment: %w", err)
	}
	resp, err := t.client.send(t.ctx, "POST", "/deploy", "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1<<20 {
			return errors.New("the server's progress has a line that is too long")
		}
		if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
			return errTemporary{errors.New("the server broke off the deployment's progress")}
		}
		var p job.Progress
		if jsonErr := json.Unmarshal(line, &p); jsonErr != nil {
			return errTemporary{fmt.Errorf("read the deployment's progress: %w", jsonErr)}
		}
		if p.Line != "" {
			t.log.Printf("%s", p.Line)
		}
		if p.Done && p.Error != "" {
			return errors.New(p.Error)
		}
		if p.Done {
			return nil
		}
	}
}
