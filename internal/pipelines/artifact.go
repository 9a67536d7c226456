package pipelines

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// An artifact is an uncompressed tar file, as the agent sends it, kept in chunks (chunk.go), with a listing that says where each file's
// bytes lie in it, so that a single file is read without the others.

const maxArtifactFiles = 100_000

// Artifact is an artifact of a run.
type Artifact struct {
	job.Artifact
	Job     slipway.JobID // that published it, if nobody uploaded it
	Created time.Time
	// UploadedBy is the person who uploaded it by hand.
	UploadedBy slipway.Actor
}

// ArtifactFile is a file of an artifact.
type ArtifactFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Offset int64  `json:"offset"` // in the tar file
}

func checkArtifactName(name string) error {
	if name == "" || len(name) > 80 || strings.ContainsAny(name, "\\/:\"<>|*?\x00\n\r\t") || name == "." || name == ".." {
		return slipway.Invalid(`artifact name %q: use up to 80 characters without \ / : " < > | * ?`, name)
	}
	return nil
}

// PutArtifact stores an artifact as the tar file that r gives. The name is unique in the run, but a later attempt of the
// job replaces what an earlier one published.
func (s *Service) PutArtifact(ctx context.Context, id slipway.JobID, name string, r io.Reader) (Artifact, error) {
	j, err := s.publisher(ctx, id, name)
	if err != nil {
		return Artifact{}, err
	}
	if err := s.mayPublish(ctx, s.db, &j, name); err != nil {
		return Artifact{}, err
	}
	return s.storeArtifact(ctx, &j, name, r, func(tx *db.Tx) error { return s.mayPublish(ctx, tx, &j, name) }, nil)
}

// AddToArtifact adds the files of a tar file to an artifact of the run, whichever job made it, in place of those of the same names. One that is
// not there is made. Unavailable says that somebody else was faster: send the files again.
func (s *Service) AddToArtifact(ctx context.Context, id slipway.JobID, name string, r io.Reader) (Artifact, error) {
	j, err := s.publisher(ctx, id, name)
	if err != nil {
		return Artifact{}, err
	}
	before, err := s.artifactRow(ctx, j.Run, name)
	if slipway.CodeOf(err) != slipway.CodeNotFound && err != nil {
		return Artifact{}, err
	}
	same := func(tx *db.Tx) error {
		const query = `SELECT created, listing FROM pipeline_artifacts WHERE run = $1 AND name_key = $2`
		var now artifactRow
		err := tx.QueryRowContext(ctx, query, int64(j.Run), strings.ToLower(name)).Scan(&now.created, &now.listing)
		switch {
		case err != nil && !db.IsNoRows(err):
			return fmt.Errorf("look for artifact %q: %w", name, err)
		case now.created != before.created || now.listing != before.listing:
			return slipway.Unavailable("artifact %q was changed meanwhile", name)
		}
		return nil
	}
	if before.id == 0 {
		return s.storeArtifact(ctx, &j, name, r, same, nil)
	}
	old, err := s.OpenArtifact(ctx, j.Run, name)
	if err != nil {
		return Artifact{}, err
	}
	defer old.Close()
	merged, w := io.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); w.CloseWithError(job.MergeTar(w, r, old)) }()
	defer func() { merged.Close(); <-done }()
	return s.storeArtifact(ctx, &j, name, merged, same, nil)
}

// publisher is the running job that publishes an artifact.
func (s *Service) publisher(ctx context.Context, id slipway.JobID, name string) (Job, error) {
	if err := checkArtifactName(name); err != nil {
		return Job{}, err
	}
	j, err := s.Job(ctx, id)
	if err == nil && j.State == schedule.Completed {
		err = slipway.Conflict("job %d is over", id)
	}
	return j, err
}

// storeArtifact stores what r gives, if check has nothing against it in the end; stored, if it is not nil, then goes on in the transaction with
// the row of the artifact.
func (s *Service) storeArtifact(ctx context.Context, j *Job, name string, r io.Reader, check func(tx *db.Tx) error, stored func(tx *db.Tx, artifact int64) error) (Artifact, error) {
	files, chunks, err := s.storeTar(ctx, r)
	if err != nil {
		return Artifact{}, err
	}
	a := Artifact{Artifact: job.Artifact{Name: name, Files: len(files)}, Job: j.ID, Created: s.clock.Now()}
	for _, f := range files {
		a.Size += f.Size
	}
	listing, err := json.Marshal(files)
	if err != nil {
		return Artifact{}, fmt.Errorf("list artifact %q: %w", name, err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		const upsert = `
			INSERT INTO pipeline_artifacts (run, job, instance, name, name_key, size, files, listing, blob_key, created)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9)
			ON CONFLICT (run, name_key) DO UPDATE SET job = excluded.job, name = excluded.name, size = excluded.size, files = excluded.files,
				listing = excluded.listing, blob_key = excluded.blob_key, created = excluded.created RETURNING id`
		var artifact int64
		err := tx.QueryRowContext(ctx, upsert, int64(j.Run), int64(j.ID), j.Instance, name, strings.ToLower(name), a.Size, a.Files, string(listing),
			db.Micros(a.Created)).Scan(&artifact)
		if err == nil {
			err = putChunks(ctx, tx, artifact, chunks)
		}
		if err == nil && stored != nil {
			err = stored(tx, artifact)
		}
		if err != nil {
			return fmt.Errorf("record artifact %q: %w", name, err)
		}
		tx.AfterCommit(func() { s.changed(j.Run) })
		return nil
	})
	return a, err
}

// mayPublish refuses a name that another job of the run has taken.
func (s *Service) mayPublish(ctx context.Context, q db.Querier, j *Job, name string) error {
	owner, err := db.One(ctx, q, db.Value[string], `SELECT instance FROM pipeline_artifacts WHERE run = $1 AND name_key = $2`, int64(j.Run), strings.ToLower(name))
	if err == nil && owner == "" {
		return slipway.Conflict("artifact %q exists already: somebody uploaded it", name)
	}
	if err == nil && owner != j.Instance {
		return slipway.Conflict("artifact %q exists already: job %s published it", name, owner)
	}
	if err != nil && !db.IsNoRows(err) {
		return fmt.Errorf("look for artifact %q: %w", name, err)
	}
	return nil
}

// storeTar keeps a tar file and lists its files, refusing what is not plain files below its root.
func (s *Service) storeTar(ctx context.Context, r io.Reader) ([]ArtifactFile, []chunk, error) {
	limited := &limitedReader{r: r, left: job.MaxArtifact, tooMuch: slipway.Limit("an artifact has at most %d bytes", int64(job.MaxArtifact))}
	pr, pw := io.Pipe()
	var chunks []chunk
	done := make(chan error, 1)
	go func() {
		var err error
		chunks, err = s.storeChunks(ctx, pr)
		pr.CloseWithError(errors.Join(errors.New("the store stopped reading"), err))
		done <- err
	}()
	counted := &countingReader{r: io.TeeReader(limited, pw)}
	files, err := listTar(counted)
	if err == nil {
		_, err = io.Copy(io.Discard, counted) // what follows the end mark
	}
	pw.CloseWithError(err)
	if putErr := <-done; err == nil {
		err = putErr
	}
	return files, chunks, err
}

func listTar(r *countingReader) ([]ArtifactFile, error) {
	var files []ArtifactFile
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, slipway.Invalid("the artifact is no whole tar file").Because(err)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
			return nil, slipway.Invalid("%q in the artifact is neither a file nor a folder", h.Name)
		}
		clean := path.Clean(h.Name)
		if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
			return nil, slipway.Invalid("%q leads out of the artifact", h.Name)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if len(files) >= maxArtifactFiles {
			return nil, slipway.Limit("an artifact has at most %d files", maxArtifactFiles)
		}
		files = append(files, ArtifactFile{Path: clean, Size: h.Size, Offset: r.n})
	}
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// limitedReader fails when there is more to read than is left.
type limitedReader struct {
	r       io.Reader
	left    int64
	tooMuch error
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, l.tooMuch
	}
	return n, err
}

const artifactColumns = `name, size, files, job, created, uploaded_by`

func scanArtifact(row interface{ Scan(...any) error }, a *Artifact) error {
	var created int64
	var uploader string
	err := row.Scan(&a.Name, &a.Size, &a.Files, (*int64)(&a.Job), &created, &uploader)
	if err == nil && uploader != "" {
		err = decodeColumns(column{uploader, &a.UploadedBy})
	}
	a.Created = db.Time(created)
	return err
}

// Artifacts lists the artifacts of a run by name.
func (s *Service) Artifacts(ctx context.Context, run slipway.RunID) ([]Artifact, error) {
	list, err := db.List(ctx, s.db, scanArtifact, `SELECT `+artifactColumns+` FROM pipeline_artifacts WHERE run = $1 ORDER BY name_key LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list artifacts of run %d: %w", run, err)
	}
	return list, nil
}

type artifactRow struct {
	id      int64
	listing string
	key     string // of one object, "" for chunks
	created int64
}

func (s *Service) artifactRow(ctx context.Context, run slipway.RunID, name string) (artifactRow, error) {
	var a artifactRow
	err := s.db.QueryRowContext(ctx, `SELECT id, listing, blob_key, created FROM pipeline_artifacts WHERE run = $1 AND name_key = $2`, int64(run), strings.ToLower(name)).Scan(&a.id, &a.listing, &a.key, &a.created)
	if db.IsNoRows(err) {
		return a, slipway.NotFound("run %d has no artifact %q", run, name)
	}
	if err != nil {
		return a, fmt.Errorf("get artifact %q of run %d: %w", name, run, err)
	}
	return a, nil
}

// ArtifactFiles lists the files of an artifact.
func (s *Service) ArtifactFiles(ctx context.Context, run slipway.RunID, name string) ([]ArtifactFile, error) {
	row, err := s.artifactRow(ctx, run, name)
	if err != nil {
		return nil, err
	}
	var files []ArtifactFile
	return files, decodeColumns(column{row.listing, &files})
}

// OpenArtifact opens an artifact's tar file.
func (s *Service) OpenArtifact(ctx context.Context, run slipway.RunID, name string) (blob.Object, error) {
	row, err := s.artifactRow(ctx, run, name)
	if err != nil {
		return nil, err
	}
	var o blob.Object
	if row.key != "" {
		o, err = s.Blobs.Open(ctx, row.key)
	} else {
		var chunks []chunk
		chunks, err = s.chunksOf(ctx, row.id)
		o = newChunked(ctx, s.Blobs, chunks)
	}
	if err != nil {
		return nil, fmt.Errorf("open artifact %q of run %d: %w", name, run, err)
	}
	return o, nil
}

// OpenArtifactFile opens one file of an artifact; the caller closes it.
func (s *Service) OpenArtifactFile(ctx context.Context, run slipway.RunID, name, file string) (io.ReadCloser, int64, error) {
	files, err := s.ArtifactFiles(ctx, run, name)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range files {
		if f.Path != path.Clean(file) {
			continue
		}
		o, err := s.OpenArtifact(ctx, run, name)
		if err != nil {
			return nil, 0, err
		}
		if _, err := o.Seek(f.Offset, io.SeekStart); err != nil {
			o.Close()
			return nil, 0, fmt.Errorf("read %s of artifact %q: %w", file, name, err)
		}
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(o, f.Size), o}, f.Size, nil
	}
	return nil, 0, slipway.NotFound("artifact %q has no file %q", name, file)
}
