package insights

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

// OperationRow is one row of a trace, as a waterfall shows it.
type OperationRow struct {
	Kind       telemetry.Kind
	Time       time.Time
	Duration   time.Duration // zero for what happens in a moment
	ID         string
	ParentID   string
	Depth      int // in the tree, from 0
	Name       string
	Detail     string // the dependency's data, the exception's stack
	Target     string
	ResultCode string
	Success    bool
	Severity   telemetry.Severity
	Resource   telemetry.Resource
	Dimensions string // JSON
}

const maxOperationRows = 5000

// Operation returns all rows of one operation (one trace) of the project as a tree: each row after its parent, the
// children of one parent in the order of time. At most 5000 rows. from and to narrow the search when not zero;
// without them all that is kept is searched, which is slower. NotFound when there is no row.
func (s *Service) Operation(ctx context.Context, project slipway.ProjectID, operationID string, from, to time.Time) ([]OperationRow, error) {
	oldest, latest := s.TimeRange()
	if from.IsZero() {
		from = oldest
	}
	if to.IsZero() {
		to = latest
	}
	c := where(Filter{Project: project, From: from, To: to})
	c.add(`operation_Id = ?`, operationID)
	parts := []string{}
	for _, k := range []struct {
		kind    telemetry.Kind
		columns string
	}{
		{telemetry.KindRequest, `duration, id, name, url, source, resultCode, success, 0`},
		{telemetry.KindDependency, `duration, id, name, data, target, resultCode, success, 0`},
		{telemetry.KindException, `0, '', CASE WHEN type = '' THEN message ELSE type || ': ' || message END, details, '', '', FALSE, severityLevel`},
		{telemetry.KindTrace, `0, '', message, '', source, '', TRUE, severityLevel`},
		{telemetry.KindEvent, `0, '', name, '', '', '', TRUE, 0`},
		{telemetry.KindPageView, `duration, id, name, url, '', '', TRUE, 0`},
		{telemetry.KindAvailability, `duration, id, name, message, location, '', success, 0`},
	} {
		parts = append(parts, fmt.Sprintf(`SELECT %d, "timestamp", operation_ParentId, %s, %s, customDimensions FROM %s WHERE %s`,
			int(k.kind), k.columns, resourceColumns, k.kind, c))
	}
	query := strings.Join(parts, "\nUNION ALL\n") + fmt.Sprintf("\nORDER BY 2 LIMIT %d", maxOperationRows)
	list, err := store.List(ctx, s.store, scanOperationRow, query, c.args...)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, slipway.NotFound("there is no telemetry of operation %q in this project and time", operationID)
	}
	return tree(list), nil
}

const resourceColumns = `project, environment, environmentName, deployment, commitId, run, image, cloud_RoleName, application_Version,
	cloud_RoleInstance, namespace, pod, container, node`

func resourceFields(r *telemetry.Resource) []any {
	return []any{(*string)(&r.Project), (*int64)(&r.Environment), &r.EnvironmentName, (*int64)(&r.Deployment), (*string)(&r.Commit),
		(*int64)(&r.Run), (*string)(&r.Image), &r.Service, &r.Version, &r.Instance, &r.Namespace, &r.Pod, &r.Container, &r.Node}
}

func scanOperationRow(row interface{ Scan(...any) error }, r *OperationRow) error {
	var kind, severity int64
	var duration float64
	fields := append([]any{&kind, &r.Time, &r.ParentID, &duration, &r.ID, &r.Name, &r.Detail, &r.Target, &r.ResultCode, &r.Success, &severity},
		resourceFields(&r.Resource)...)
	err := row.Scan(append(fields, &r.Dimensions)...)
	r.Kind, r.Duration, r.Severity = telemetry.Kind(kind), milliseconds(duration), telemetry.Severity(severity)
	return err
}

// tree puts rows in the order of their tree and sets their depths. A row whose parent is not among them is a root;
// so is the earliest of a circle, which only a faulty sender makes.
func tree(rows []OperationRow) []OperationRow {
	slices.SortStableFunc(rows, func(a, b OperationRow) int { return a.Time.Compare(b.Time) })
	byID := map[string]bool{}
	for _, r := range rows {
		if r.ID != "" {
			byID[r.ID] = true
		}
	}
	children := map[string][]int{}
	roots := []int{}
	for i, r := range rows {
		if r.ParentID != "" && r.ParentID != r.ID && byID[r.ParentID] {
			children[r.ParentID] = append(children[r.ParentID], i)
		} else {
			roots = append(roots, i)
		}
	}
	ordered := make([]OperationRow, 0, len(rows))
	placed := make([]bool, len(rows))
	var place func(i, depth int)
	place = func(i, depth int) {
		if placed[i] {
			return
		}
		placed[i] = true
		rows[i].Depth = depth
		ordered = append(ordered, rows[i])
		if id := rows[i].ID; id != "" {
			below := children[id]
			delete(children, id) // two rows of one id: the first has the children
			for _, child := range below {
				place(child, depth+1)
			}
		}
	}
	for _, i := range roots {
		place(i, 0)
	}
	for i := range rows {
		place(i, 0)
	}
	return ordered
}
