package jobserver

import (
	"context"
	"net/http"
	"strconv"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/jobwire"
	"slipway/internal/pipelines/job"
)

// maxMachine bounds what an agent says of its machine, in bytes.
const maxMachine = 1 << 20

// registerMachine lets an agent in that shows a registration token.
func (s *server) registerMachine(w http.ResponseWriter, r *http.Request) error {
	token, ok := bearer(r)
	if !ok {
		return slipway.Unauthenticated("send a registration token")
	}
	var m job.MachineRegistration
	if err := httpx.ReadJSON(w, r, maxMachine, &m); err != nil {
		return err
	}
	credentials, err := s.Pipelines.RegisterMachine(r.Context(), token, m)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusCreated, credentials)
	return nil
}

// machine is the number of the calling machine, and what its agent says.
func (s *server) machine(w http.ResponseWriter, r *http.Request) (id int64, ask job.MachineAsk, err error) {
	p, err := s.Identity.Authenticate(r)
	if err != nil {
		return 0, ask, err
	}
	id, err = strconv.ParseInt(r.PathValue("machine"), 10, 64)
	if err != nil || p.Token != identity.TokenMachine || p.Binding.Machine != id || id == 0 {
		return 0, ask, slipway.Forbidden("these credentials are not the machine's")
	}
	if err := httpx.ReadJSON(w, r, maxMachine, &ask); err != nil {
		return 0, ask, err
	}
	return id, ask, s.Pipelines.HearMachine(r.Context(), id, ask)
}

// awaitMachineJob answers an idle agent as soon as its machine is given a job, and without one after some seconds.
func (s *server) awaitMachineJob(w http.ResponseWriter, r *http.Request) error {
	id, _, err := s.machine(w, r)
	if err != nil {
		return err
	}
	if err := s.Pipelines.MachineIdle(r.Context(), id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), jobwire.WaitTime(r, maxWait))
	defer cancel()
	changes, end := s.Pipelines.WatchMachines()
	defer end()
	return awaitWork(ctx, w, changes, func() (any, bool, error) { return s.Pipelines.AwaitMachineJob(r.Context(), id) })
}

// hearMachine hears of an agent that does a job.
func (s *server) hearMachine(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := s.machine(w, r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
