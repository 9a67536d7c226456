package jobserver

import (
	"io"
	"net/http"
	"strconv"

	"slipway"
)

func (s *server) task(w http.ResponseWriter, r *http.Request, c call) error {
	digest, err := slipway.ParseDigest(r.PathValue("digest"))
	if err != nil {
		return err
	}
	o, err := s.Pipelines.FetchTask(r.Context(), c.id, digest)
	if err != nil {
		return err
	}
	defer o.Close()
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Length", strconv.FormatInt(o.Size(), 10))
	_, _ = io.Copy(w, o) // a client that went away asks again
	return nil
}
