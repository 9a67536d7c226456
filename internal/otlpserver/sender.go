package otlpserver

import (
	"context"
	"net/http"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/insights/otlp"
	"slipway/internal/insights/telemetry"
)

// TokenHeader carries a token where a client cannot set Authorization.
const TokenHeader = "X-Slipway-Token"

// ProjectHeader names the project for a user's token when the resource does not.
const ProjectHeader = "X-Slipway-Project"

// sender is who sends one request.
type sender struct {
	server    *Server
	principal identity.Principal
	project   string // the default project of a user's token
	admitted  map[slipway.ProjectID]error
	names     map[string]slipway.ProjectID
	denied    error // the last refusal that is about rights
	fault     error // a failure of Slipway's own: the whole request is to be tried again
}

func (s *Server) newSender(p identity.Principal, project string) (*sender, error) {
	switch p.Kind {
	case slipway.ActorUser, slipway.ActorSystem:
	case slipway.ActorWorkload, slipway.ActorJob:
		if p.Project == "" {
			return nil, slipway.Forbidden("this token is bound to no project")
		}
	case slipway.ActorAnonymous:
		return nil, slipway.Unauthenticated("send a token: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%%20TOKEN")
	default:
		return nil, slipway.Forbidden("this token may not send telemetry")
	}
	return &sender{server: s, principal: p, project: project, admitted: map[slipway.ProjectID]error{}, names: map[string]slipway.ProjectID{}}, nil
}

func (s *Server) httpSender(r *http.Request) (*sender, error) {
	var p identity.Principal
	var err error
	if token := r.Header.Get(TokenHeader); token != "" {
		p, err = s.identity.AuthenticateToken(r.Context(), token)
	} else if r.Header.Get("Authorization") != "" {
		p, err = s.identity.Authenticate(r)
	} else {
		p = identity.Anonymous // a session's cookie is for pages: another site's script must not send telemetry by it
	}
	if err != nil {
		return nil, err
	}
	return s.newSender(p, r.Header.Get(ProjectHeader))
}

// admit binds a resource to what the token proves, or checks that a user may contribute to the project named.
func (s *sender) admit(ctx context.Context) func(r *telemetry.Resource) error {
	return func(r *telemetry.Resource) error {
		err := s.bind(ctx, r)
		if err == nil {
			err = s.server.insights.Complete(ctx, r)
		}
		switch slipway.CodeOf(err) {
		case "", slipway.CodeInvalid:
		case slipway.CodeForbidden, slipway.CodeNotFound, slipway.CodeUnauthenticated:
			s.denied = err
		default:
			s.fault = err
		}
		return err
	}
}

func (s *sender) bind(ctx context.Context, r *telemetry.Resource) error {
	if s.principal.Project != "" {
		b := s.principal.Binding
		r.Bind(telemetry.Origin{Project: s.principal.Project, Environment: b.Environment, Deployment: b.Deployment, Commit: b.Commit, Run: b.Run})
		return nil
	}
	name := string(r.Project)
	if name == "" {
		name = s.project
	}
	if name == "" {
		return slipway.Invalid("say the project: resource attribute %s or header %s", telemetry.AttributeProject, ProjectHeader)
	}
	id, ok := s.names[strings.ToLower(name)]
	if !ok {
		p, err := s.server.identity.ProjectByName(ctx, name)
		if err != nil {
			return err
		}
		id = p.ID
		s.names[strings.ToLower(name)] = id
	}
	err, ok := s.admitted[id]
	if !ok {
		err = s.server.identity.Authorize(ctx, s.principal, identity.Contribute, id)
		s.admitted[id] = err
	}
	r.Project = id
	return err
}

// converter makes the converter for this sender's request.
func (s *sender) converter(ctx context.Context) *otlp.Converter {
	oldest, newest := s.server.insights.TimeRange()
	return &otlp.Converter{Admit: s.admit(ctx), Now: s.server.insights.Now(), Oldest: oldest, Newest: newest}
}

// ingest writes what was converted. When nothing at all may be written, the refusal is the whole answer.
func (s *sender) ingest(ctx context.Context, result *otlp.Result) error {
	switch {
	case s.fault != nil:
		return s.fault
	case result.Batch.Len() == 0 && s.denied != nil:
		return s.denied
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.server.insights.Ingest(ctx, &result.Batch)
}
