package ociserver

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"slipway"
	"slipway/internal/registry"
)

// minChunk is the smallest chunk that clients must send, in bytes: any will do.
const minChunk = 1

func blobPath(name string, d slipway.Digest) string { return "/v2/" + name + "/blobs/" + string(d) }

// uploadHeaders says how far an upload is. The range ends with the last byte received, and is `0-0` before the first,
// as docker writes it.
func uploadHeaders(w http.ResponseWriter, name string, u registry.Upload) {
	w.Header().Set("Location", "/v2/"+name+"/blobs/uploads/"+u.ID)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(u.Received-1, 0)))
	w.Header().Set("Docker-Upload-UUID", u.ID)
}

func created(w http.ResponseWriter, location string, d slipway.Digest) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", string(d))
	w.WriteHeader(http.StatusCreated)
}

// startUpload begins an upload, or takes a whole blob at once (`digest`), or mounts one (`mount`, `from`).
func (s *Server) startUpload(w http.ResponseWriter, q *request) error {
	repo, err := s.pushed(q)
	if err != nil {
		return err
	}
	query := q.URL.Query()
	if value := query.Get("mount"); value != "" {
		d, err := digest(value)
		if err != nil {
			return err
		}
		if s.mount(q, repo, query.Get("from"), d) {
			created(w, blobPath(q.name, d), d)
			return nil
		}
	} else if value := query.Get("digest"); value != "" {
		d, err := digest(value)
		if err != nil {
			return err
		}
		if err := s.registry.PutBlob(q.Context(), repo, d, body(q)); err != nil {
			return err
		}
		created(w, blobPath(q.name, d), d)
		return nil
	}
	if err := s.registry.CheckRoom(q.Context(), repo); err != nil {
		return err
	}
	u, err := s.registry.StartUpload(q.Context(), repo, query.Get("digest-algorithm"))
	if err != nil {
		return err
	}
	uploadHeaders(w, q.name, u)
	w.Header().Set("OCI-Chunk-Min-Length", strconv.Itoa(minChunk))
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// mount tries to take the blob from another repository that the caller may pull from: the one named, or any. A
// token's scopes do not count for the source, since clients ask for them before they know what they will mount.
// That it could not be mounted is no error; the client uploads then.
func (s *Server) mount(q *request, repo registry.Repository, from string, d slipway.Digest) bool {
	names := []string{from}
	if from == "" {
		holders, err := s.registry.Holders(q.Context(), d)
		if err != nil {
			return false
		}
		names = names[:0]
		for _, holder := range holders {
			names = append(names, holder.Name)
		}
	}
	for _, name := range names {
		source, err := repo, error(nil)
		if name != repo.Name {
			if source, err = s.existing(q.Context(), q.who.InRegistry(), name, pull); err == nil {
				err = source.CheckPull()
			}
		}
		if err == nil && s.registry.Mount(q.Context(), repo, source, d) == nil {
			return true
		}
	}
	return false
}

// upload returns the repository and the upload under way that the path names.
func (s *Server) upload(q *request) (registry.Repository, registry.Upload, error) {
	repo, err := s.allowed(q, push)
	if err != nil {
		return repo, registry.Upload{}, err
	}
	u, err := s.registry.Upload(q.Context(), repo, q.reference)
	return repo, u, err
}

func (s *Server) uploadStatus(w http.ResponseWriter, q *request) error {
	_, u, err := s.upload(q)
	if err != nil {
		return err
	}
	uploadHeaders(w, q.name, u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) appendUpload(w http.ResponseWriter, q *request) error {
	_, u, err := s.upload(q)
	if err != nil {
		return err
	}
	if u, err = s.appendBody(q, u); err != nil {
		return err
	}
	uploadHeaders(w, q.name, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// appendBody adds the request's body to the upload.
func (s *Server) appendBody(q *request, u registry.Upload) (registry.Upload, error) {
	start, err := chunkStart(q.Request)
	if err != nil {
		return u, err
	}
	return s.registry.Append(q.Context(), u, start, body(q))
}

// body is the request's body with the length that it says.
func body(q *request) registry.Body { return registry.Body{Reader: q.Body, Length: q.ContentLength} }

// finishUpload takes the last bytes, if the request has any, and makes the upload a blob.
func (s *Server) finishUpload(w http.ResponseWriter, q *request) error {
	repo, u, err := s.upload(q)
	if err != nil {
		return err
	}
	d, err := digest(q.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	if start, startErr := chunkStart(q.Request); !noContent(q.Request) && startErr == nil && u.Received == 0 && start <= 0 {
		if err := s.registry.FinishWhole(q.Context(), repo, u, d, body(q)); err != nil {
			return err
		}
		created(w, blobPath(q.name, d), d)
		return nil
	}
	if !noContent(q.Request) {
		if u, err = s.appendBody(q, u); err != nil {
			return err
		}
	}
	if err := s.registry.Finish(q.Context(), repo, u, d); err != nil {
		return err
	}
	created(w, blobPath(q.name, d), d)
	return nil
}

func (s *Server) cancelUpload(w http.ResponseWriter, q *request) error {
	_, u, err := s.upload(q)
	if err != nil {
		return err
	}
	if err := s.registry.Cancel(q.Context(), u); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

var contentRange = regexp.MustCompile(`^(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]+|\*))?$`)

// chunkStart reads where a chunk begins from Content-Range (`0-1023`, both ends included); -1 without the header.
func chunkStart(r *http.Request) (int64, error) {
	value := r.Header.Get("Content-Range")
	if value == "" {
		return -1, nil
	}
	m := contentRange.FindStringSubmatch(value)
	if m == nil {
		return 0, invalidRange("Content-Range %.60q: write FIRST-LAST in bytes", value)
	}
	first, err1 := strconv.ParseInt(m[1], 10, 64)
	last, err2 := strconv.ParseInt(m[2], 10, 64)
	if err1 != nil || err2 != nil || last < first-1 {
		return 0, invalidRange("Content-Range %.60q: write FIRST-LAST in bytes", value)
	}
	if r.ContentLength >= 0 && r.ContentLength != last-first+1 {
		return 0, invalidRange("Content-Range %.60q does not fit a Content-Length of %d", value, r.ContentLength)
	}
	return first, nil
}

func invalidRange(format string, args ...any) error {
	return &registry.Error{Fault: registry.SizeInvalid, Problem: slipway.Invalid(format, args...)}
}
