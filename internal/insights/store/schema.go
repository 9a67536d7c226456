package store

import (
	"database/sql/driver"
	"strings"
	"time"
	"unicode/utf8"

	"slipway/internal/insights/telemetry"
)

// Names of columns are Application Insights' own, so that a KQL query of theirs finds them; what Slipway adds
// (project to node) is named after its own words. Absent text is ” and an absent number 0, never NULL.
const commonColumns = `
	"timestamp" TIMESTAMP NOT NULL,
	project VARCHAR, environment BIGINT, environmentName VARCHAR, deployment BIGINT, commitId VARCHAR, run BIGINT, image VARCHAR,
	cloud_RoleName VARCHAR, application_Version VARCHAR, cloud_RoleInstance VARCHAR, namespace VARCHAR, pod VARCHAR, container VARCHAR,
	node VARCHAR, sdkVersion VARCHAR,
	operation_Id VARCHAR, operation_Name VARCHAR, operation_ParentId VARCHAR, session_Id VARCHAR, user_Id VARCHAR,
	user_AuthenticatedId VARCHAR, client_Type VARCHAR, client_OS VARCHAR, client_Browser VARCHAR, operation_SyntheticSource VARCHAR,
	itemCount BIGINT, customDimensions VARCHAR, customMeasurements VARCHAR`

// ownColumns are the columns of one table after the common ones, in the order of ownValues. Durations are
// milliseconds.
func ownColumns(k telemetry.Kind) string {
	switch k {
	case telemetry.KindRequest:
		return `id VARCHAR, name VARCHAR, url VARCHAR, source VARCHAR, resultCode VARCHAR, duration DOUBLE, success BOOLEAN`
	case telemetry.KindDependency:
		return `id VARCHAR, name VARCHAR, target VARCHAR, type VARCHAR, data VARCHAR, resultCode VARCHAR, duration DOUBLE, success BOOLEAN`
	case telemetry.KindException:
		return `problemId VARCHAR, type VARCHAR, message VARCHAR, details VARCHAR, severityLevel INTEGER, handledAt VARCHAR`
	case telemetry.KindTrace:
		return `message VARCHAR, severityLevel INTEGER, source VARCHAR`
	case telemetry.KindEvent:
		return `name VARCHAR`
	case telemetry.KindMetric:
		return `name VARCHAR, metricNamespace VARCHAR, unit VARCHAR, type VARCHAR, temporality VARCHAR, value DOUBLE, valueCount BIGINT,
			valueMin DOUBLE, valueMax DOUBLE, valueStdDev DOUBLE`
	case telemetry.KindPageView:
		return `id VARCHAR, name VARCHAR, url VARCHAR, duration DOUBLE`
	case telemetry.KindAvailability:
		return `id VARCHAR, name VARCHAR, location VARCHAR, message VARCHAR, duration DOUBLE, success BOOLEAN`
	case telemetry.KindContainer:
		return `cpu DOUBLE, memory BIGINT, cpuLimit DOUBLE, memoryLimit BIGINT, measured BOOLEAN, restarts BIGINT, ready BOOLEAN,
			state VARCHAR, reason VARCHAR, sandbox BIGINT`
	case telemetry.KindKubernetesEvent:
		return `objectKind VARCHAR, objectName VARCHAR, type VARCHAR, reason VARCHAR, message VARCHAR, component VARCHAR`
	}
	panic("store: a table without columns: " + k.String())
}

// createTable makes the table, and adds the columns that it did not have when an earlier release made it: new ones come last.
func createTable(k telemetry.Kind) []string {
	statements := []string{`CREATE TABLE IF NOT EXISTS ` + k.String() + ` (` + commonColumns + `, ` + ownColumns(k) + `)`}
	for column := range strings.SplitSeq(ownColumns(k), ",") {
		statements = append(statements, `ALTER TABLE `+k.String()+` ADD COLUMN IF NOT EXISTS `+strings.TrimSpace(column))
	}
	return statements
}

// values are a row's values in the order of its table's columns, appended to v.
func (w *writer) values(v []driver.Value, r telemetry.Row) []driver.Value {
	i := r.Base()
	v = append(v, i.Time.UTC())
	if w.resource != i.Resource || w.resourceValues == nil {
		w.resource, w.resourceValues = i.Resource, resourceValues(i.Resource)
	}
	v = append(v, w.resourceValues...)
	count := i.Count
	if count < 1 {
		count = 1
	}
	v = append(v, text(i.OperationID), text(i.OperationName), text(i.ParentID), text(i.SessionID), text(i.UserID),
		text(i.AuthenticatedUserID), text(i.ClientType), text(i.ClientOS), text(i.ClientBrowser), text(i.SyntheticSource),
		count, text(i.Dimensions), text(i.Measurements))
	return ownValues(v, r)
}

func resourceValues(r *telemetry.Resource) []driver.Value {
	if r == nil {
		r = &telemetry.Resource{}
	}
	return []driver.Value{text(string(r.Project)), int64(r.Environment), text(r.EnvironmentName), int64(r.Deployment),
		text(string(r.Commit)), int64(r.Run), text(string(r.Image)), text(r.Service), text(r.Version), text(r.Instance),
		text(r.Namespace), text(r.Pod), text(r.Container), text(r.Node), text(r.SDK)}
}

func ownValues(v []driver.Value, r telemetry.Row) []driver.Value {
	switch r := r.(type) {
	case *telemetry.Request:
		return append(v, text(r.ID), text(r.Name), text(r.URL), text(r.Source), text(r.ResultCode), millis(r.Duration), r.Success)
	case *telemetry.Dependency:
		return append(v, text(r.ID), text(r.Name), text(r.Target), text(r.Type), text(r.Data), text(r.ResultCode), millis(r.Duration), r.Success)
	case *telemetry.Exception:
		return append(v, text(r.ProblemID), text(r.Type), text(r.Message), text(r.Stack), int32(r.Severity), text(r.HandledAt))
	case *telemetry.Trace:
		return append(v, text(r.Message), int32(r.Severity), text(r.Source))
	case *telemetry.Event:
		return append(v, text(r.Name))
	case *telemetry.Metric:
		return append(v, text(r.Name), text(r.Namespace), text(r.Unit), text(r.Type), text(r.Temporality), r.Value, r.Count, r.Min, r.Max, r.StdDev)
	case *telemetry.PageView:
		return append(v, text(r.ID), text(r.Name), text(r.URL), millis(r.Duration))
	case *telemetry.Availability:
		return append(v, text(r.ID), text(r.Name), text(r.Location), text(r.Message), millis(r.Duration), r.Success)
	case *telemetry.Container:
		return append(v, r.CPU, r.Memory, r.CPULimit, r.MemoryLimit, r.Measured, r.Restarts, r.Ready, text(r.State), text(r.Reason), micros(r.Sandbox))
	case *telemetry.KubernetesEvent:
		return append(v, text(r.ObjectKind), text(r.ObjectName), text(r.Type), text(r.Reason), text(r.Message), text(r.Component))
	}
	panic("store: a row without values: " + r.Kind().String())
}

// micros is a time in microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// text makes sure of what the database insists on: valid UTF-8. NUL is dropped too, as JSON functions stop at it.
func text(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return s
}
