package clusters

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// PodRecord is what is remembered of a pod, also after it has gone.
type PodRecord struct {
	UID         string
	Cluster     string
	Namespace   string
	Name        string
	Project     slipway.ProjectID
	Environment slipway.EnvironmentID
	Deployment  slipway.DeploymentID
	Run         slipway.RunID
	Commit      slipway.CommitID
	Workload    string
	Node        string
	Images      []slipway.Digest
	Created     time.Time
	Started     time.Time // when all containers ran for the first time; zero before
	Ended       time.Time // when it was gone; zero while it is there
	Restarts    int
	Reason      string // of the latest failure, in plain words
}

// Watch follows the pods that Slipway deployed to a cluster and appends PodStarted and PodFailed, until ctx ends. A
// cluster that does not answer is tried again without end. After a restart it goes on from what is remembered.
func (s *Service) Watch(ctx context.Context, name string) error {
	c, err := s.cluster(name)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = labelDeployment
	}))
	pods := factory.Core().V1().Pods().Informer()
	seen := make(chan podChange, 256)
	send := func(o any, gone bool) {
		if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = last.Obj
		}
		if p, ok := o.(*corev1.Pod); ok {
			select {
			case seen <- podChange{p, gone}:
			case <-ctx.Done():
			}
		}
	}
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { send(o, false) },
		UpdateFunc: func(_, o any) { send(o, false) }, DeleteFunc: func(o any) { send(o, true) }})
	if err != nil {
		return fmt.Errorf("watch pods of cluster %s: %w", name, err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		return nil // ctx has ended
	}
	if err := s.endMissing(ctx, name, pods.GetStore()); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case change := <-seen:
			if err := s.observe(ctx, name, change); err != nil && ctx.Err() == nil {
				s.logger.Error("record pod", "cluster", name, "namespace", change.pod.Namespace, "pod", change.pod.Name, "error", err)
			}
		}
	}
}

type podChange struct {
	pod  *corev1.Pod
	gone bool
}

// observe brings the record of a pod up to date and appends what is new.
func (s *Service) observe(ctx context.Context, cluster string, change podChange) error {
	now := toRecord(cluster, change.pod)
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		before, err := db.One(ctx, tx, scanPod, `SELECT `+podColumns+` FROM cluster_pods WHERE uid = $1`, now.UID)
		if err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("read pod: %w", err)
		}
		known := err == nil
		started, failed := s.step(&now, before, change)
		if known && samePod(now, before) {
			return nil
		}
		if err := storePod(ctx, tx, now); err != nil {
			return err
		}
		if started {
			if err := s.appendPod(ctx, tx, PodStarted, now); err != nil {
				return err
			}
		}
		if failed {
			return s.appendPod(ctx, tx, PodFailed, now)
		}
		return nil
	})
}

// step completes a record from the one before and says which events are due.
func (s *Service) step(now *PodRecord, before PodRecord, change podChange) (started, failed bool) {
	at := s.clock.Now()
	now.Started, now.Ended, now.Reason = before.Started, before.Ended, before.Reason
	if len(now.Images) < len(before.Images) {
		now.Images = before.Images
	}
	if now.Started.IsZero() && running(change.pod) {
		now.Started, started = at, true
	}
	if cause := (scene{}).podCause(change.pod); cause.Kind != CauseNone && cause.Kind != CauseWaiting && !change.gone && change.pod.DeletionTimestamp == nil {
		failed = now.Restarts > before.Restarts && worthTelling(now.Restarts) || before.Reason == ""
		now.Reason = cause.Message
	}
	if change.gone && now.Ended.IsZero() {
		now.Ended = at
	}
	return started, failed
}

// worthTelling thins out a crash loop: restarts 1, 2, 3, then every doubling.
func worthTelling(restarts int) bool { return restarts <= 3 || restarts&(restarts-1) == 0 }

func running(p *corev1.Pod) bool {
	if p.Status.Phase != corev1.PodRunning || len(p.Status.ContainerStatuses) == 0 {
		return false
	}
	return !slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running == nil })
}

func samePod(a, b PodRecord) bool {
	return a.Node == b.Node && slices.Equal(a.Images, b.Images) && a.Started.Equal(b.Started) && a.Ended.Equal(b.Ended) &&
		a.Restarts == b.Restarts && a.Reason == b.Reason
}

func toRecord(cluster string, p *corev1.Pod) PodRecord {
	pod := toPod(cluster, p)
	r := PodRecord{UID: string(p.UID), Cluster: cluster, Namespace: p.Namespace, Name: p.Name,
		Project: slipway.ProjectID(p.Labels[labelProject]), Environment: pod.Environment, Deployment: pod.Deployment,
		Run: pod.Run, Commit: pod.Commit, Workload: pod.Workload, Node: pod.Node, Created: pod.Created, Restarts: pod.Restarts}
	for _, c := range pod.Containers {
		if c.Digest != "" && !slices.Contains(r.Images, c.Digest) {
			r.Images = append(r.Images, c.Digest)
		}
	}
	return r
}

func (s *Service) appendPod(ctx context.Context, tx *db.Tx, kind events.Kind, r PodRecord) error {
	refs := references(r.Environment, r.Deployment, r.Run, r.Commit)
	for _, d := range r.Images {
		refs = append(refs, slipway.Ref(slipway.RefImage, d))
	}
	return s.events.Append(ctx, tx, &events.Event{Kind: kind, Project: r.Project,
		Subject: slipway.Ref(slipway.RefPod, r.Namespace+"/"+r.Name), References: refs},
		PodPayload{Cluster: r.Cluster, Namespace: r.Namespace, Name: r.Name, Workload: r.Workload, Node: r.Node,
			Environment: r.Environment, Deployment: r.Deployment, Restarts: r.Restarts, Reason: r.Reason})
}

const podColumns = `uid, cluster, namespace, name, project, environment, deployment, run, commit_id, workload, node, images,
	created, started, ended, restarts, reason`

func scanPod(row interface{ Scan(...any) error }, r *PodRecord) error {
	var created, started, ended int64
	var images string
	err := row.Scan(&r.UID, &r.Cluster, &r.Namespace, &r.Name, &r.Project, &r.Environment, &r.Deployment, &r.Run, &r.Commit,
		&r.Workload, &r.Node, &images, &created, &started, &ended, &r.Restarts, &r.Reason)
	if err != nil {
		return err
	}
	r.Created, r.Started, r.Ended = db.Time(created), db.Time(started), db.Time(ended)
	return json.Unmarshal([]byte(images), &r.Images)
}

func storePod(ctx context.Context, tx *db.Tx, r PodRecord) error {
	images, err := json.Marshal(r.Images)
	if err != nil {
		return err
	}
	const upsert = `
		INSERT INTO cluster_pods (` + podColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (uid) DO UPDATE SET node = excluded.node, images = excluded.images, started = excluded.started,
		  ended = excluded.ended, restarts = excluded.restarts, reason = excluded.reason`
	_, err = tx.ExecContext(ctx, upsert, r.UID, r.Cluster, r.Namespace, r.Name, string(r.Project), int64(r.Environment),
		int64(r.Deployment), int64(r.Run), string(r.Commit), r.Workload, r.Node, string(images), db.Micros(r.Created),
		db.Micros(r.Started), db.Micros(r.Ended), r.Restarts, r.Reason)
	if err != nil {
		return fmt.Errorf("store pod: %w", err)
	}
	return nil
}

const maxRecords = 1000

// PodsOf lists the pods that a deployment has started, those that are gone too, the newest first.
func (s *Service) PodsOf(ctx context.Context, deployment slipway.DeploymentID) ([]PodRecord, error) {
	const query = `SELECT ` + podColumns + ` FROM cluster_pods WHERE deployment = $1 ORDER BY created DESC, uid LIMIT $2`
	list, err := db.List(ctx, s.db, scanPod, query, int64(deployment), maxRecords)
	if err != nil {
		return nil, fmt.Errorf("list pods of deployment %d: %w", deployment, err)
	}
	return list, nil
}

// endMissing ends the records of pods that went while nobody watched.
func (s *Service) endMissing(ctx context.Context, cluster string, there cache.Store) error {
	const query = `SELECT ` + podColumns + ` FROM cluster_pods WHERE cluster = $1 AND ended = 0`
	list, err := db.List(ctx, s.db, scanPod, query, cluster)
	if err != nil {
		return fmt.Errorf("list pods that were there: %w", err)
	}
	for _, r := range list {
		found, exists, err := there.GetByKey(r.Namespace + "/" + r.Name)
		if err != nil {
			return fmt.Errorf("look for pod %s: %w", r.Name, err)
		}
		if p, ok := found.(*corev1.Pod); exists && ok && string(p.UID) == r.UID {
			continue
		}
		if _, err := s.db.ExecContext(ctx, `UPDATE cluster_pods SET ended = $2 WHERE uid = $1`, r.UID, db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("end pod %s: %w", r.Name, err)
		}
	}
	return nil
}
