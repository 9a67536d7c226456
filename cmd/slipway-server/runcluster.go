package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/filecommands"
	"slipway/internal/localrun"
	"slipway/internal/pipelines/job"
	"slipway/internal/secret"
)

// localCluster is the cluster of a run without a server: what a server applies it applies, with records that last as long as the run.
type localCluster struct {
	config    clientcmd.ClientConfig
	context   string // "" for the file's current one
	namespace string

	once    sync.Once
	service *clusters.Service
	err     error
	folder  string // of the records
	records *db.DB
}

// openLocalCluster reads the kubeconfig; the cluster itself is reached by the first job that deploys.
func openLocalCluster(file, context, namespace string) (filecommands.Cluster, error) {
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: file}, &clientcmd.ConfigOverrides{CurrentContext: context})
	own, _, err := config.Namespace()
	if err == nil {
		_, err = config.ClientConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %s: %w", file, err)
	}
	if namespace == "" {
		namespace = own
	}
	return &localCluster{config: config, context: context, namespace: namespace}, nil
}

// Close removes the records.
func (l *localCluster) Close() error {
	var err error
	if l.records != nil {
		err = l.records.Close()
	}
	if l.folder != "" {
		err = errors.Join(err, os.RemoveAll(l.folder))
	}
	return err
}

// open makes the records that applying needs.
func (l *localCluster) open(ctx context.Context) (*clusters.Service, error) {
	l.once.Do(func() {
		l.err = func() error {
			quiet := slog.New(slog.DiscardHandler)
			var err error
			if l.folder, err = localrun.NewFolder(os.TempDir(), false); err != nil {
				return err
			}
			if l.records, err = db.Open(ctx, "sqlite:"+filepath.Join(l.folder, "records.db")); err != nil {
				return err
			}
			log, err := events.Open(ctx, l.records, clock.System{}, quiet)
			if err != nil {
				return err
			}
			key := make([]byte, 32)
			rand.Read(key)
			box, err := secret.NewBox(key)
			if err != nil {
				return err
			}
			config, err := l.config.ClientConfig()
			if err != nil {
				return err
			}
			if l.service, err = clusters.Open(ctx, l.records, log, box, clock.System{}, nil, quiet); err != nil {
				return err
			}
			return l.service.Add("local", config, clusters.PullCredentials{})
		}()
	})
	return l.service, l.err
}

// Deploy implements localrun.Deployer.
func (l *localCluster) Deploy(ctx context.Context, d localrun.Deployment, progress func(line string)) error {
	if d.Action != "deploy" {
		return slipway.Unsupported("action %q is not there yet: use deploy, which also removes what the manifests no longer name", d.Action)
	}
	if d.Namespace != "" && d.Namespace != l.namespace {
		return slipway.Invalid("namespace %q: this run deploys to the namespace %s; give it with --namespace", d.Namespace, l.namespace)
	}
	service, err := l.open(ctx)
	if err != nil {
		return err
	}
	var files []clusters.File
	for _, m := range d.Manifests {
		files = append(files, clusters.File{Name: m.Path, Content: []byte(m.Text)})
	}
	target := clusters.Target{Cluster: "local", Namespace: l.namespace, ProjectName: d.Project, Environment: 1, EnvironmentName: d.Environment, Deployment: d.Number,
		Run: 1, Commit: d.Commit, Set: "run-" + strings.ToLower(d.Project+"-"+d.Instance)}
	_, err = service.Apply(ctx, target, files, clusters.Options{Images: d.Images, ImagePullSecrets: d.PullSecrets, Timeout: time.Duration(d.TimeoutInSeconds) * time.Second},
		func(p clusters.Progress) { progress(p.Message) })
	return err
}

// Access implements localrun.Deployer: the job's kubectl and helm are given what the person has who runs it.
func (l *localCluster) Access(context.Context) (job.ClusterAccess, error) {
	raw, err := l.config.RawConfig()
	if l.context != "" {
		raw.CurrentContext = l.context
	}
	if err == nil {
		err = clientcmdapi.MinifyConfig(&raw)
	}
	if err == nil {
		err = clientcmdapi.FlattenConfig(&raw)
	}
	if err != nil {
		return job.ClusterAccess{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	current := raw.Contexts[raw.CurrentContext]
	if current == nil || raw.Clusters[current.Cluster] == nil {
		return job.ClusterAccess{}, errors.New("the kubeconfig has no current context: name one with --context")
	}
	current.Namespace = l.namespace
	text, err := clientcmd.Write(raw)
	if err != nil {
		return job.ClusterAccess{}, fmt.Errorf("write the kubeconfig: %w", err)
	}
	a := job.ClusterAccess{Server: raw.Clusters[current.Cluster].Server, Namespace: l.namespace, Kubeconfig: string(text)}
	if user := raw.AuthInfos[current.AuthInfo]; user != nil {
		a.Token = user.Token
	}
	return a, nil
}
