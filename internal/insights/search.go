package insights

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

// LogQuery chooses log messages and exceptions.
type LogQuery struct {
	Filter
	Text        string // the message contains it, in any case; empty takes all
	Severity    telemetry.Severity
	Pod         string
	OperationID string
	Limit       int // 100 by default, 1000 at most
}

// LogRow is a log message or an exception.
type LogRow struct {
	Time        time.Time
	Exception   bool
	Severity    telemetry.Severity
	Message     string
	Stack       string // of an exception
	Service     string
	Pod         string
	Container   string
	Source      string // telemetry.SourceContainer, or the logger's name
	Deployment  slipway.DeploymentID
	OperationID string
	ParentID    string
	Dimensions  string // JSON
}

const maxSearchText = 1000

// Logs lists log messages and exceptions, newest first; those of one microsecond in the reverse of their order. To page on, ask again with To set to the last row's time.
func (s *Service) Logs(ctx context.Context, q LogQuery) ([]LogRow, error) {
	if len(q.Text) > maxSearchText {
		return nil, slipway.Limit("the text to search for has at most %d bytes", maxSearchText)
	}
	c := where(s.defaults(q.Filter))
	c.add(`severityLevel >= ?`, int64(q.Severity))
	if q.Pod != "" {
		c.add(`pod = ?`, q.Pod)
	}
	if q.OperationID != "" {
		c.add(`operation_Id = ?`, q.OperationID)
	}
	message, exception := c.String(), c.String()
	if q.Text != "" {
		p := c.arg(strings.ToLower(q.Text))
		message += ` AND contains(lower(message), ` + p + `)`
		exception += ` AND (contains(lower(message), ` + p + `) OR contains(lower(type), ` + p + `))`
	}
	n := limit(q.Limit, 100, 1000)
	const columns = `severityLevel, cloud_RoleName, pod, container, deployment, operation_Id, operation_ParentId, customDimensions`
	query := fmt.Sprintf(`
		SELECT * EXCLUDE (r) FROM (
		SELECT * FROM (SELECT rowid AS r, "timestamp" AS t, FALSE, message, '', source, %[1]s FROM traces WHERE %[2]s ORDER BY t DESC, r DESC LIMIT %[4]d)
		UNION ALL
		SELECT * FROM (SELECT rowid AS r, "timestamp" AS t, TRUE, CASE WHEN type = '' THEN message ELSE type || ': ' || message END, details, '', %[1]s
			FROM exceptions WHERE %[3]s ORDER BY t DESC, r DESC LIMIT %[4]d))
		ORDER BY t DESC, r DESC LIMIT %[4]d`, columns, message, exception, n)
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, l *LogRow) error {
		var severity int64
		err := row.Scan(&l.Time, &l.Exception, &l.Message, &l.Stack, &l.Source, &severity, &l.Service, &l.Pod, &l.Container,
			(*int64)(&l.Deployment), &l.OperationID, &l.ParentID, &l.Dimensions)
		l.Severity = telemetry.Severity(severity)
		return err
	}, query, c.args...)
}

// ExceptionGroup is the exceptions of one problem.
type ExceptionGroup struct {
	ProblemID, Type, Message, Service string // Message is the newest one's
	Count                             int64
	First, Last                       time.Time
	OperationID                       string // of the newest one
}

// Exceptions groups exceptions by problem, the most frequent first.
func (s *Service) Exceptions(ctx context.Context, f Filter, rows int) ([]ExceptionGroup, error) {
	c := where(s.defaults(f))
	query := fmt.Sprintf(`SELECT problemId, arg_max(type, "timestamp"), arg_max(message, "timestamp"), cloud_RoleName, CAST(sum(itemCount) AS BIGINT) AS n,
			min("timestamp"), max("timestamp"), arg_max(operation_Id, "timestamp")
		FROM exceptions WHERE %s GROUP BY problemId, cloud_RoleName ORDER BY n DESC, problemId LIMIT %d`, c, limit(rows, 50, 500))
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, g *ExceptionGroup) error {
		return row.Scan(&g.ProblemID, &g.Type, &g.Message, &g.Service, &g.Count, &g.First, &g.Last, &g.OperationID)
	}, query, c.args...)
}

// ClusterEvent is an event of Kubernetes about an object of a deployment.
type ClusterEvent struct {
	Time                             time.Time
	Kind, Name, Type, Reason, Detail string
	Deployment                       slipway.DeploymentID
}

// ClusterEvents lists events of Kubernetes, newest first.
func (s *Service) ClusterEvents(ctx context.Context, f Filter, rows int) ([]ClusterEvent, error) {
	c := where(s.defaults(f))
	query := fmt.Sprintf(`SELECT "timestamp", objectKind, objectName, type, reason, message, deployment FROM kubernetesEvents
		WHERE %s ORDER BY "timestamp" DESC LIMIT %d`, c, limit(rows, 50, 500))
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, e *ClusterEvent) error {
		return row.Scan(&e.Time, &e.Kind, &e.Name, &e.Type, &e.Reason, &e.Detail, (*int64)(&e.Deployment))
	}, query, c.args...)
}

// Services lists the names of services that sent anything in the filter's time.
func (s *Service) Services(ctx context.Context, f Filter) ([]string, error) {
	c := where(s.defaults(f))
	parts := []string{}
	for _, k := range []telemetry.Kind{telemetry.KindRequest, telemetry.KindDependency, telemetry.KindTrace, telemetry.KindEvent, telemetry.KindContainer} {
		parts = append(parts, fmt.Sprintf(`SELECT cloud_RoleName FROM %s WHERE %s`, k, c))
	}
	query := `SELECT DISTINCT cloud_RoleName FROM (` + strings.Join(parts, ` UNION ALL `) + `) WHERE cloud_RoleName <> '' ORDER BY 1 LIMIT 200`
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, name *string) error { return row.Scan(name) }, query, c.args...)
}

// TraceOrigins says which processes took part in an operation, whatever their project: what lineage asks with
// nothing but a trace id. The caller checks which of the projects it may show.
func (s *Service) TraceOrigins(ctx context.Context, operationID string) ([]telemetry.Resource, error) {
	parts := []string{}
	for _, k := range []telemetry.Kind{telemetry.KindRequest, telemetry.KindDependency, telemetry.KindTrace, telemetry.KindException, telemetry.KindEvent} {
		parts = append(parts, fmt.Sprintf(`SELECT %s FROM %s WHERE operation_Id = $1`, resourceColumns, k))
	}
	query := `SELECT DISTINCT * FROM (` + strings.Join(parts, ` UNION ALL `) + `) LIMIT 100`
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, r *telemetry.Resource) error {
		return row.Scan(resourceFields(r)...)
	}, query, operationID)
}
