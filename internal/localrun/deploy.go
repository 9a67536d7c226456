package localrun

import (
	"context"
	"net/http"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/jobwire"
	"slipway/internal/pipelines/job"
)

// Deployer reaches the cluster that somebody has named for the deployment jobs of a run.
type Deployer interface {
	// Deploy applies manifests and waits until everything is ready; progress takes lines of the log.
	Deploy(ctx context.Context, d Deployment, progress func(line string)) error
	// Access lets kubectl and helm of the job into the cluster.
	Access(ctx context.Context) (job.ClusterAccess, error)
}

// Deployment is what a job asks to deploy.
type Deployment struct {
	job.Deployment
	Project     string // the name of the repository
	Environment string
	Instance    string
	Commit      slipway.CommitID
	Number      slipway.DeploymentID // one for each run of a job
}

// deploy streams the deployment's progress. Its failure is the last line, since the answer has begun by then.
func (d *door) deploy(w http.ResponseWriter, r *http.Request, j *work) error {
	var asked job.Deployment
	if err := httpx.ReadJSON(w, r, job.MaxDeployment, &asked); err != nil {
		return err
	}
	if err := j.mayDeploy(d.deployer); err != nil {
		return err
	}
	one := Deployment{Deployment: asked, Project: string(j.assignment.Project), Environment: j.environment, Instance: j.instance,
		Commit: j.assignment.Repositories["self"].Commit, Number: j.deployment}
	out, failure := jobwire.NewProgress(w), ""
	if err := d.deployer.Deploy(r.Context(), one, out.Line); err != nil {
		failure = err.Error()
	}
	out.End(failure)
	return nil
}

func (d *door) access(w http.ResponseWriter, r *http.Request, j *work) error {
	if err := j.mayDeploy(d.deployer); err != nil {
		return err
	}
	a, err := d.deployer.Access(r.Context())
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, a)
	return nil
}

func (j *work) mayDeploy(d Deployer) error {
	if d == nil || j.environment == "" {
		return slipway.Unsupported("only a deployment job reaches the cluster: give the job an environment (`- deployment:` in place of `- job:`)")
	}
	return nil
}
