package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// SecureFile is a file of a project, such as a certificate, that jobs fetch with the task DownloadSecureFile. Its content is given
// to jobs alone and never changes: another content is another file.
type SecureFile struct {
	ID        string // UUID
	Project   slipway.ProjectID
	Name      string // unique in the project in any case
	Size      int64  // in bytes
	Created   time.Time
	CreatedBy slipway.Actor
}

// MaxSecureFile bounds the content of a secure file, in bytes, as in Azure.
const MaxSecureFile = 10 << 20

const maxSecureFiles = 1000 // of a project

// SecureFilePayload is the payload of the events of secure files; never the content.
type SecureFilePayload struct {
	ID   string        `json:"id"`
	Name string        `json:"name"`
	Run  slipway.RunID `json:"run,omitempty"` // whose job fetched it
}

const secureFileColumns = `id, project, name, size, created, created_by`

func scanSecureFile(row interface{ Scan(...any) error }, f *SecureFile) error {
	var created int64
	var by string
	if err := row.Scan(&f.ID, (*string)(&f.Project), &f.Name, &f.Size, &created, &by); err != nil {
		return err
	}
	f.Created = db.Time(created)
	return decodeColumns(column{by, &f.CreatedBy})
}

// SecureFiles lists the project's secure files by name.
func (s *Service) SecureFiles(ctx context.Context, project slipway.ProjectID) ([]SecureFile, error) {
	list, err := db.List(ctx, s.db, scanSecureFile, `SELECT `+secureFileColumns+` FROM secure_files WHERE project = $1 ORDER BY name_key LIMIT 1000`, string(project))
	if err != nil {
		return nil, fmt.Errorf("list secure files: %w", err)
	}
	return list, nil
}

// SecureFile returns the project's secure file of that id, or of that name in any case.
func (s *Service) SecureFile(ctx context.Context, project slipway.ProjectID, idOrName string) (SecureFile, error) {
	return findSecureFile(ctx, s.db, project, idOrName)
}

func findSecureFile(ctx context.Context, q db.Querier, project slipway.ProjectID, idOrName string) (SecureFile, error) {
	f, err := db.One(ctx, q, scanSecureFile, `SELECT `+secureFileColumns+` FROM secure_files WHERE project = $1 AND (id = $2 OR name_key = $2) ORDER BY id LIMIT 1`,
		string(project), strings.ToLower(idOrName))
	if db.IsNoRows(err) {
		return f, slipway.NotFound("there is no secure file %q in this project", idOrName)
	}
	if err != nil {
		return f, fmt.Errorf("find secure file %q: %w", idOrName, err)
	}
	return f, nil
}

// CreateSecureFile stores a file of the name. A name that is taken is a conflict.
func (s *Service) CreateSecureFile(ctx context.Context, project slipway.ProjectID, name string, content []byte, by slipway.Actor) (SecureFile, error) {
	f := SecureFile{ID: uuid.NewString(), Project: project, Name: strings.TrimSpace(name), Size: int64(len(content)), Created: s.clock.Now(), CreatedBy: by}
	if f.Name == "" || len(f.Name) > 200 || strings.ContainsAny(f.Name, "\\/:\"<>|*?\x00\n\r\t") || f.Name == "." || f.Name == ".." {
		return f, slipway.Invalid(`secure file name %q: use up to 200 characters without \ / : " < > | * ?`, f.Name)
	}
	if len(content) == 0 || len(content) > MaxSecureFile {
		return f, slipway.Limit("a secure file has 1 to %d bytes", MaxSecureFile)
	}
	sealed, err := s.Secrets.Seal(content, secureFileContext(f.ID))
	if err != nil {
		return f, err
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return f, fmt.Errorf("encode actor: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM secure_files WHERE project = $1`, string(project))
		if err != nil {
			return err
		}
		if n >= maxSecureFiles {
			return slipway.Limit("a project has at most %d secure files", maxSecureFiles)
		}
		const insert = `INSERT INTO secure_files (id, project, name, name_key, size, sealed, created, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
		_, err = tx.ExecContext(ctx, insert, f.ID, string(project), f.Name, strings.ToLower(f.Name), f.Size, sealed, db.Micros(f.Created), string(actor))
		if db.IsUniqueViolation(err) {
			return slipway.Conflict("there is a secure file %q already: delete it first, its content does not change", f.Name)
		}
		if err != nil {
			return err
		}
		return s.announceSecureFile(ctx, tx, f, EventSecureFileCreated, by, nil)
	})
	if err != nil {
		return f, fmt.Errorf("store secure file %q: %w", f.Name, err)
	}
	return f, nil
}

func secureFileContext(id string) string { return "pipelines/securefile/" + id }

// announceSecureFile appends an event about a secure file; run is the one whose job fetched it, or nil.
func (s *Service) announceSecureFile(ctx context.Context, tx *db.Tx, f SecureFile, kind events.Kind, by slipway.Actor, run *Run) error {
	e := events.Event{Kind: kind, Project: f.Project, Actor: by, Subject: slipway.Ref(slipway.RefProject, f.Project)}
	p := SecureFilePayload{ID: f.ID, Name: f.Name}
	if run != nil {
		p.Run = run.ID
		e.References = []slipway.Reference{slipway.Ref(slipway.RefRun, run.ID), slipway.Ref(slipway.RefPipeline, run.Pipeline)}
	}
	return s.log.Append(ctx, tx, &e, p)
}

// DeleteSecureFile deletes the project's secure file of that id or name; jobs that need it fail from then on.
func (s *Service) DeleteSecureFile(ctx context.Context, project slipway.ProjectID, idOrName string, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := findSecureFile(ctx, tx, project, idOrName)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM secure_files WHERE id = $1`, f.ID); err != nil {
			return fmt.Errorf("delete secure file %q: %w", f.Name, err)
		}
		return s.announceSecureFile(ctx, tx, f, EventSecureFileDeleted, by, nil)
	})
}

// FetchSecureFile gives a running job a secure file that one of its steps names, and writes down that it did. The name must be known
// when the job starts: a variable that a step sets does not count. Pull requests from forks get none.
func (s *Service) FetchSecureFile(ctx context.Context, id slipway.JobID, idOrName string) (job.SecureFile, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return job.SecureFile{}, err
	}
	if j.State == schedule.Completed {
		return job.SecureFile{}, slipway.Conflict("job %d is over", id)
	}
	run, err := s.Get(ctx, j.Run)
	if err != nil {
		return job.SecureFile{}, err
	}
	names := []string{idOrName}
	if f, err := findSecureFile(ctx, s.db, run.Project, idOrName); err == nil {
		names = append(names, f.ID, f.Name)
	}
	if err := s.mayFetch(ctx, &run, &j, names...); err != nil {
		return job.SecureFile{}, err
	}
	var out job.SecureFile
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := findSecureFile(ctx, tx, run.Project, idOrName)
		if err != nil {
			return err
		}
		sealed, err := db.One(ctx, tx, db.Value[[]byte], `SELECT sealed FROM secure_files WHERE id = $1`, f.ID)
		if err != nil {
			return fmt.Errorf("read secure file %q: %w", f.Name, err)
		}
		if out.Content, err = s.Secrets.Open(sealed, secureFileContext(f.ID)); err != nil {
			return fmt.Errorf("read secure file %q: %w", f.Name, err)
		}
		out.ID, out.Name = f.ID, f.Name
		return s.announceSecureFile(ctx, tx, f, EventSecureFileFetched, slipway.Actor{Kind: slipway.ActorJob, ID: id.String(), Name: j.Instance}, &run)
	})
	return out, err
}

// mayFetch refuses a secure file that no step of the job names by one of its names.
func (s *Service) mayFetch(ctx context.Context, run *Run, j *Job, names ...string) error {
	p, err := s.plan(ctx, s.db, run.ID)
	if err != nil {
		return err
	}
	i, err := s.instanceOf(ctx, p, j)
	if err != nil {
		return err
	}
	vars, err := s.jobVariables(ctx, run, j)
	if err != nil {
		return err
	}
	if err := run.refuseFork("secure files"); err != nil {
		return err
	}
	for _, st := range i.Steps() {
		for _, input := range secureFileInputs(&st) {
			whole := vars.Expand(st.Task.Inputs[input])
			named := append(strings.Split(whole, ","), whole)
			if slices.ContainsFunc(named, func(n string) bool {
				return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(strings.TrimSpace(n), name) })
			}) {
				return nil
			}
		}
	}
	return slipway.Forbidden("no step of this job names the secure file %q when the job starts: write its name, or a variable that no step sets, as the input secureFile", names[0])
}

// secureFileInputs are the inputs of a step that name secure files.
func secureFileInputs(st *plan.Step) []string {
	switch {
	case st.Task == nil:
		return nil
	case st.Task.Package != nil:
		return st.Task.Package.SecureFiles
	case st.Task.Name == "DownloadSecureFile":
		return []string{"secureFile"}
	}
	return nil
}
