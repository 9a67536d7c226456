package jobserver

import (
	"net/http"
	"strconv"

	"slipway"
)

// putAttachment keeps a file that a step attaches to its run.
func (s *server) putAttachment(w http.ResponseWriter, r *http.Request, c call) error {
	step, err := attachingStep(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if err := s.Pipelines.PutAttachment(r.Context(), c.id, step, q.Get("type"), q.Get("name"), r.Body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// putTestAttachment keeps a file of test results that a step has published.
func (s *server) putTestAttachment(w http.ResponseWriter, r *http.Request, c call) error {
	step, err := attachingStep(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if err := s.Pipelines.PutTestAttachment(r.Context(), c.id, step, q.Get("title"), q.Get("name"), r.Body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// attachingStep is the step of the path.
func attachingStep(r *http.Request) (int, error) {
	step, err := strconv.Atoi(r.PathValue("step"))
	if err != nil || step < 0 || step > 10_000 {
		return 0, slipway.Invalid("step %q is no number", r.PathValue("step"))
	}
	return step, nil
}
