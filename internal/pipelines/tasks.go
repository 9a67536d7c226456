package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/task"
)

// Task is one version of a task that was uploaded. The files of all projects may use it.
type Task struct {
	ID                  string // a GUID, that of all versions
	Major, Minor, Patch int
	Name                string
	Extension           string // PUBLISHER.EXTENSION.CONTRIBUTION, "" for a task that came by itself
	Manifest            string // its task.json
	Digest              slipway.Digest
	Size                int64 // of its zip file, in bytes
	Created             time.Time
	CreatedBy           slipway.Actor

	blob string
}

// Version is MAJOR.MINOR.PATCH.
func (t *Task) Version() string { return fmt.Sprintf("%d.%d.%d", t.Major, t.Minor, t.Patch) }

// Definition is what the task says of itself.
func (t *Task) Definition() (*task.Definition, error) {
	m, err := task.ReadManifest([]byte(t.Manifest))
	if err != nil {
		return nil, fmt.Errorf("task %s %s: %w", t.Name, t.Version(), err)
	}
	return m.Definition(t.Extension, t.Digest), nil
}

const maxTaskVersions = 5000 // of all tasks

// TaskPayload is the payload of the events of uploaded tasks.
type TaskPayload struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Version string         `json:"version"`
	Digest  slipway.Digest `json:"digest"`
}

const taskColumns = `id, major, minor, patch, name, extension, manifest, digest, size, blob_key, created, created_by`

func scanTask(row interface{ Scan(...any) error }, t *Task) error {
	var created int64
	var by string
	if err := row.Scan(&t.ID, &t.Major, &t.Minor, &t.Patch, &t.Name, &t.Extension, &t.Manifest, (*string)(&t.Digest), &t.Size, &t.blob, &created, &by); err != nil {
		return err
	}
	t.Created = db.Time(created)
	return decodeColumns(column{by, &t.CreatedBy})
}

// Tasks lists all versions of all tasks, or with an id those of one, by names, the newest version first.
func (s *Service) Tasks(ctx context.Context, id string) ([]Task, error) {
	return listTasks(ctx, s.db, id)
}

func listTasks(ctx context.Context, q db.Querier, id string) ([]Task, error) {
	list, err := db.List(ctx, q, scanTask, `SELECT `+taskColumns+` FROM pipeline_tasks WHERE id = $1 OR $1 = ''
		ORDER BY LOWER(name), id, major DESC, minor DESC, patch DESC LIMIT 5000`, strings.ToLower(id))
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return list, nil
}

// Catalog are the uploaded tasks as files find them: the newest version of each major one.
func (s *Service) Catalog(ctx context.Context) (task.Catalog, error) {
	const query = `SELECT ` + taskColumns + ` FROM pipeline_tasks t WHERE NOT EXISTS (
		SELECT 1 FROM pipeline_tasks n WHERE n.id = t.id AND n.major = t.major AND (n.minor > t.minor OR n.minor = t.minor AND n.patch > t.patch))
		ORDER BY id, major LIMIT 5000`
	list, err := db.List(ctx, s.db, scanTask, query)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	var all []*task.Definition
	for i := range list {
		d, err := list[i].Definition()
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return task.Newest(all), nil
}

// UploadTasks stores the tasks of a zip file: a task's folder, or an extension (.vsix). A version that is there already is a
// conflict unless it is to be replaced; the same files again change nothing.
func (s *Service) UploadTasks(ctx context.Context, file io.ReaderAt, size int64, replace bool, by slipway.Actor) ([]Task, error) {
	found, err := extension.Read(file, size)
	if err != nil {
		return nil, err
	}
	var stored []Task
	for i := range found {
		t, err := s.storeTask(ctx, &found[i], by)
		if err == nil {
			stored = append(stored, t)
			continue
		}
		return nil, errors.Join(err, s.dropTasks(context.WithoutCancel(ctx), stored))
	}
	if err := s.recordTasks(ctx, stored, replace, by); err != nil {
		return nil, errors.Join(err, s.dropTasks(context.WithoutCancel(ctx), stored))
	}
	return stored, nil
}

// storeTask puts the files of a task into the blob store; nobody sees them yet.
func (s *Service) storeTask(ctx context.Context, x *extension.Task, by slipway.Actor) (Task, error) {
	m := x.Manifest
	t := Task{ID: m.ID, Major: int(m.Version.Major), Minor: int(m.Version.Minor), Patch: int(m.Version.Patch), Name: m.Name, Extension: x.Extension,
		Manifest: string(x.Text), Created: s.clock.Now(), CreatedBy: by, blob: "tasks/" + m.ID + "/" + uuid.NewString()}
	var err error
	if t.Digest, err = x.Digest(); err != nil {
		return t, fmt.Errorf("store task %s: %w", m.Name, err)
	}
	reader, writer := io.Pipe()
	go func() {
		_, err := x.WriteTo(writer)
		writer.CloseWithError(err)
	}()
	defer reader.Close() // ends the writer
	if t.Size, err = s.Blobs.Put(ctx, t.blob, reader); err != nil {
		return t, fmt.Errorf("store task %s: %w", m.Name, err)
	}
	return t, nil
}

// recordTasks makes stored tasks known.
func (s *Service) recordTasks(ctx context.Context, list []Task, replace bool, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.One(ctx, tx, db.Value[int], `SELECT COUNT(*) FROM pipeline_tasks`)
		if err != nil {
			return fmt.Errorf("count tasks: %w", err)
		}
		if n+len(list) > maxTaskVersions {
			return slipway.Limit("there are %d versions of tasks, and no more than %d are kept: delete old ones", n, maxTaskVersions)
		}
		for i := range list {
			if err := s.recordTask(ctx, tx, &list[i], replace, by); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) recordTask(ctx context.Context, tx *db.Tx, t *Task, replace bool, by slipway.Actor) error {
	other, err := db.One(ctx, tx, db.Value[string], `SELECT name FROM pipeline_tasks WHERE id = $1 AND LOWER(name) <> $2 LIMIT 1`, t.ID, strings.ToLower(t.Name))
	if err == nil {
		return slipway.Conflict("the id %s is that of the task %s: give %s its own", t.ID, other, t.Name)
	}
	if !db.IsNoRows(err) {
		return fmt.Errorf("find task %s: %w", t.Name, err)
	}
	old, err := db.One(ctx, tx, scanTask, `SELECT `+taskColumns+` FROM pipeline_tasks WHERE id = $1 AND major = $2 AND minor = $3 AND patch = $4`,
		t.ID, t.Major, t.Minor, t.Patch)
	switch {
	case db.IsNoRows(err):
	case err != nil:
		return fmt.Errorf("find task %s: %w", t.Name, err)
	case old.Digest != t.Digest && !replace:
		return slipway.Conflict("task %s has a version %s already: give it a higher version in its task.json, or overwrite it", t.Name, t.Version())
	default:
		if err := s.removeTask(ctx, tx, &old); err != nil {
			return err
		}
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	const insert = `INSERT INTO pipeline_tasks (` + taskColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	_, err = tx.ExecContext(ctx, insert, t.ID, t.Major, t.Minor, t.Patch, t.Name, t.Extension, t.Manifest, string(t.Digest), t.Size, t.blob, db.Micros(t.Created), string(actor))
	if db.IsUniqueViolation(err) {
		return slipway.Conflict("task %s is uploaded by somebody else at this moment: try again", t.Name)
	}
	if err != nil {
		return fmt.Errorf("record task %s: %w", t.Name, err)
	}
	return s.announceTask(ctx, tx, t, EventTaskUploaded, by)
}

// removeTask deletes a version, and its files once that is settled.
func (s *Service) removeTask(ctx context.Context, tx *db.Tx, t *Task) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_tasks WHERE id = $1 AND major = $2 AND minor = $3 AND patch = $4`, t.ID, t.Major, t.Minor, t.Patch); err != nil {
		return fmt.Errorf("delete task %s: %w", t.Name, err)
	}
	tx.AfterCommit(func() {
		if err := s.dropTasks(context.WithoutCancel(ctx), []Task{*t}); err != nil {
			s.Logger.Error("the files of a task could not be deleted", "task", t.Name, "version", t.Version(), "error", err)
		}
	})
	return nil
}

func (s *Service) dropTasks(ctx context.Context, list []Task) error {
	var all error
	for i := range list {
		all = errors.Join(all, s.Blobs.Delete(ctx, list[i].blob))
	}
	return all
}

// announceTask appends an event about a task, which belongs to no project.
func (s *Service) announceTask(ctx context.Context, tx *db.Tx, t *Task, kind events.Kind, by slipway.Actor) error {
	e := events.Event{Kind: kind, Actor: by, Subject: slipway.Ref(slipway.RefTask, t.ID)}
	return s.log.Append(ctx, tx, &e, TaskPayload{ID: t.ID, Name: t.Name, Version: t.Version(), Digest: t.Digest})
}

// DeleteTask deletes the versions of a task, or with a version (MAJOR.MINOR.PATCH) that one alone, and returns how many. Runs that
// were queued with them fail when they come to it.
func (s *Service) DeleteTask(ctx context.Context, id, version string, by slipway.Actor) (n int, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		list, err := listTasks(ctx, tx, id)
		if err != nil {
			return err
		}
		n = 0
		for i := range list {
			t := &list[i]
			if id == "" || version != "" && t.Version() != version {
				continue
			}
			if err := s.removeTask(ctx, tx, t); err != nil {
				return err
			}
			if err := s.announceTask(ctx, tx, t, EventTaskDeleted, by); err != nil {
				return err
			}
			n++
		}
		if n == 0 {
			return slipway.NotFound("there is no task %s", strings.TrimSpace(id+" "+version))
		}
		return nil
	})
	return n, err
}

// OpenTask opens the zip file of one version.
func (s *Service) OpenTask(ctx context.Context, t Task) (blob.Object, error) {
	o, err := s.Blobs.Open(ctx, t.blob)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, slipway.NotFound("the files of task %s %s are gone: upload it again", t.Name, t.Version())
	}
	if err != nil {
		return nil, fmt.Errorf("open task %s %s: %w", t.Name, t.Version(), err)
	}
	return o, nil
}

// FetchTask opens the zip file of a task that a step of a running job is.
func (s *Service) FetchTask(ctx context.Context, id slipway.JobID, digest slipway.Digest) (blob.Object, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	if j.State == schedule.Completed {
		return nil, slipway.Conflict("job %d is over", id)
	}
	p, err := s.plan(ctx, s.db, j.Run)
	if err != nil {
		return nil, err
	}
	i, err := s.instanceOf(ctx, p, &j)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, st := range i.Steps() {
		if st.Task != nil && st.Task.Package != nil && st.Task.Package.Digest == digest {
			name = fmt.Sprintf("%s@%d (%s)", st.Task.Name, st.Task.Major, st.Task.Package.Version)
		}
	}
	if name == "" {
		return nil, slipway.Forbidden("no step of this job is a task with the digest %s", digest)
	}
	t, err := db.One(ctx, s.db, scanTask, `SELECT `+taskColumns+` FROM pipeline_tasks WHERE digest = $1 LIMIT 1`, string(digest))
	if db.IsNoRows(err) {
		return nil, slipway.NotFound("task %s was deleted or replaced after the run was queued: queue another run", name)
	}
	if err != nil {
		return nil, fmt.Errorf("find task %s: %w", name, err)
	}
	return s.OpenTask(ctx, t)
}
