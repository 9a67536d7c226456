package telemetry

import "time"

// Item is what every row has.
type Item struct {
	Resource            *Resource
	Time                time.Time
	OperationID         string // the trace: 32 hex digits from OpenTelemetry
	OperationName       string
	ParentID            string // id of the request or dependency that it happened in
	SessionID           string
	UserID              string
	AuthenticatedUserID string
	ClientType          string
	ClientOS            string
	ClientBrowser       string
	SyntheticSource     string // set for tests and crawlers
	Count               int64  // how many items the row stands for when the sender samples; 0 means 1
	Dimensions          string // JSON object of what has no column
	Measurements        string // JSON object of numbers
}

// Base is the row's common part.
func (i *Item) Base() *Item { return i }

// Row is one row of one table.
type Row interface {
	Base() *Item
	Kind() Kind
}

// Kind names a table.
type Kind int

// The tables; String gives their names.
const (
	KindRequest Kind = iota
	KindDependency
	KindException
	KindTrace
	KindEvent
	KindMetric
	KindPageView
	KindAvailability
	KindContainer
	KindKubernetesEvent
	KindCount int = iota
)

// String is the table's name.
func (k Kind) String() string {
	return [...]string{"requests", "dependencies", "exceptions", "traces", "customEvents", "customMetrics", "pageViews",
		"availabilityResults", "containerPerformance", "kubernetesEvents"}[k]
}

// Kind says the table of each row.
func (*Request) Kind() Kind         { return KindRequest }
func (*Dependency) Kind() Kind      { return KindDependency }
func (*Exception) Kind() Kind       { return KindException }
func (*Trace) Kind() Kind           { return KindTrace }
func (*Event) Kind() Kind           { return KindEvent }
func (*Metric) Kind() Kind          { return KindMetric }
func (*PageView) Kind() Kind        { return KindPageView }
func (*Availability) Kind() Kind    { return KindAvailability }
func (*Container) Kind() Kind       { return KindContainer }
func (*KubernetesEvent) Kind() Kind { return KindKubernetesEvent }

// Request is work that the service did for a caller: a SERVER or CONSUMER span, or RequestData.
type Request struct {
	Item
	ID         string
	Name       string
	URL        string
	Source     string
	ResultCode string
	Duration   time.Duration
	Success    bool
}

// Dependency is a call that the service made: a CLIENT, PRODUCER or INTERNAL span, or RemoteDependencyData.
type Dependency struct {
	Item
	ID         string
	Name       string
	Target     string
	Type       string // HTTP, postgresql, GRPC, InProc ...
	Data       string // the statement, the URL
	ResultCode string
	Duration   time.Duration
	Success    bool
}

// Severity is Application Insights' severityLevel.
type Severity int

// The severities.
const (
	SeverityVerbose Severity = iota
	SeverityInformation
	SeverityWarning
	SeverityError
	SeverityCritical
)

// String is the severity's word.
func (s Severity) String() string {
	if s < SeverityVerbose || s > SeverityCritical {
		return "Information"
	}
	return [...]string{"Verbose", "Information", "Warning", "Error", "Critical"}[s]
}

// Exception is an error with its stack.
type Exception struct {
	Item
	ProblemID string // groups equal ones: the type, and where it was thrown when that is known
	Type      string
	Message   string
	Stack     string
	Severity  Severity
	HandledAt string
}

// SourceContainer is the Source of log messages that the collectors read from a container's output.
const SourceContainer = "container"

// Trace is a log message.
type Trace struct {
	Item
	Message  string
	Severity Severity
	Source   string // SourceContainer, or the logger's name
}

// Event is a custom event.
type Event struct {
	Item
	Name string
}

// Metric is a measured value, or the aggregate of several.
type Metric struct {
	Item
	Name        string
	Namespace   string
	Unit        string
	Type        string // gauge, sum, histogram, exponential_histogram, summary, measurement, aggregation
	Temporality string // delta or cumulative, for sum and histogram
	Value       float64
	Count       int64
	Min, Max    float64
	StdDev      float64
}

// PageView is a page that a user opened.
type PageView struct {
	Item
	ID       string
	Name     string
	URL      string
	Duration time.Duration
}

// Availability is the result of a probe from outside.
type Availability struct {
	Item
	ID       string
	Name     string
	Location string
	Message  string
	Duration time.Duration
	Success  bool
}

// Container is one observation of one container of a pod.
type Container struct {
	Item
	CPU         float64 // cores used
	Memory      int64   // working set in bytes
	CPULimit    float64 // cores; 0 for none
	MemoryLimit int64   // bytes; 0 for none
	Measured    bool    // CPU and Memory are measured: the metrics source answered
	Restarts    int64   // since the pod exists
	// Sandbox is when the pod's sandbox was made. A node that stops takes it along and makes another: a restart between
	// two sandboxes is not the container's fault.
	Sandbox time.Time
	Ready   bool
	State   string // running, waiting, terminated
	Reason  string // why it waits or ended: CrashLoopBackOff, OOMKilled
}

// KubernetesEvent is an event of the cluster about an object of a deployment.
type KubernetesEvent struct {
	Item
	ObjectKind string
	ObjectName string
	Type       string // Normal or Warning
	Reason     string
	Message    string
	Component  string
}

// Batch is rows that are written together.
type Batch struct {
	rows [KindCount][]Row
	n    int
}

// Add adds a row.
func (b *Batch) Add(r Row) {
	b.rows[r.Kind()] = append(b.rows[r.Kind()], r)
	b.n++
}

// Rows are the rows of one table.
func (b *Batch) Rows(k Kind) []Row { return b.rows[k] }

// Len is the number of all rows.
func (b *Batch) Len() int { return b.n }

// All calls yield for every row.
func (b *Batch) All(yield func(Row) bool) {
	for _, rows := range b.rows {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}
