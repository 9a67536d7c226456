package pipelines

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// Pool is what the pods of the jobs of a `pool` are like. Administrators make pools; a job whose pool nobody made gets the pool
// DefaultPool, and if there is none what the server's options say.
type Pool struct {
	ID      int64  // 0 for the default pool that nobody has made
	Name    string // unique in any case
	Created time.Time
	PoolSettings
}

// DefaultPool is the name of the pool of all jobs that name none which is there.
const DefaultPool = "default"

// PoolSettings are what can be said of a pool. What is empty is as the server's options say.
type PoolSettings struct {
	Description string `json:"description,omitempty"`
	// Image is the jobs' image, unless they name a container.
	Image string `json:"image,omitempty"`
	// NodeSelector are labels that a node must have, Tolerations the taints that it may have.
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	Tolerations  []Toleration      `json:"tolerations,omitempty"`
	// CPU and Memory are what a job's container requests, CPULimit and MemoryLimit what it may use, as Kubernetes quantities.
	CPU         string `json:"cpu,omitempty"`
	Memory      string `json:"memory,omitempty"`
	CPULimit    string `json:"cpuLimit,omitempty"`
	MemoryLimit string `json:"memoryLimit,omitempty"`
	// Warm is how many started pods wait for jobs; nil is the server's option.
	Warm *int `json:"warm,omitempty"`
	// RetryLost is how often a job whose pod is lost after its first step is started again, unless its pipeline or its variables say.
	RetryLost int `json:"retryLost,omitempty"`
	// Capabilities are what `demands` may ask for beside Agent.OS, Agent.OSArchitecture and Agent.Version.
	Capabilities map[string]string `json:"capabilities,omitempty"`
	// Machines says that the jobs run on machines whose agents have registered, and not in pods. Nothing of the above but
	// Description and Capabilities is said of such a pool; its capabilities are those of each machine too.
	Machines bool `json:"machines,omitempty"`
	// Forks lets pull requests from forks run on the machines.
	Forks bool `json:"forks,omitempty"`
}

// Toleration lets pods onto nodes with a taint, as Kubernetes has it. An empty Key with the operator Exists is every taint.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"` // Exists, or Equal, which is the default
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"` // NoSchedule, PreferNoSchedule, NoExecute; "" is each
}

// ParseToleration reads KEY[=VALUE][:EFFECT]; without a value every value of the taint is tolerated, and `*` is every taint.
func ParseToleration(text string) Toleration {
	var t Toleration
	text, t.Effect, _ = strings.Cut(strings.TrimSpace(text), ":")
	key, value, equal := strings.Cut(text, "=")
	if t.Key, t.Value = key, value; !equal {
		t.Operator = "Exists"
	}
	if t.Key == "*" {
		t.Key = ""
	}
	return t
}

// String is what ParseToleration reads.
func (t Toleration) String() string {
	text := cmp.Or(t.Key, "*")
	if t.Operator != "Exists" {
		text += "=" + t.Value
	}
	if t.Effect != "" {
		text += ":" + t.Effect
	}
	return text
}

// Limits of pools.
const (
	maxPools     = 200
	maxPoolItems = 50 // labels, tolerations, capabilities
	// MaxWarm is the largest number of warm pods of a pool.
	MaxWarm = 20
)

var (
	poolName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,98}$`) })
	quantity = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)
	// labelKey is large, so it is compiled when it is needed first.
	labelKey = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	})
	labelValue = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`) })
)

// check refuses what no cluster takes.
func (p *PoolSettings) check() error {
	if err := p.checkMachines(); err != nil {
		return err
	}
	for what, text := range map[string]string{"cpu": p.CPU, "memory": p.Memory, "cpuLimit": p.CPULimit, "memoryLimit": p.MemoryLimit} {
		if text != "" && !quantity.MatchString(text) {
			return slipway.Invalid("%s %q: write a quantity of Kubernetes, as 500m or 2 for processors and 512Mi or 4Gi for memory", what, text)
		}
	}
	if len(p.Description) > 1000 || len(p.Image) > 500 || strings.ContainsAny(p.Image, " \t\r\n") {
		return slipway.Invalid("a description has at most 1000 bytes, and an image is a reference of at most 500 without spaces")
	}
	if p.Warm != nil && (*p.Warm < 0 || *p.Warm > MaxWarm) {
		return slipway.Invalid("warm %d: write how many started pods wait for jobs, 0 to %d", *p.Warm, MaxWarm)
	}
	if p.RetryLost < 0 || p.RetryLost > variable.MaxRetryLost {
		return slipway.Invalid("retryLost %d: write how often a job whose pod is lost is started again, 0 to %d", p.RetryLost, variable.MaxRetryLost)
	}
	if max(len(p.NodeSelector), len(p.Tolerations), len(p.Capabilities)) > maxPoolItems {
		return slipway.Limit("a pool has at most %d labels, tolerations and capabilities each", maxPoolItems)
	}
	for key, value := range p.NodeSelector {
		if !labelKey().MatchString(key) || !labelValue().MatchString(value) {
			return slipway.Invalid("nodeSelector %s=%s is no label of a Kubernetes node", key, value)
		}
	}
	for name, value := range p.Capabilities {
		if name == "" || len(name) > 200 || len(value) > 500 || strings.ContainsAny(name, " \t\r\n") {
			return slipway.Invalid("capability %q: a name is up to 200 characters without spaces, and a value up to 500", name)
		}
	}
	for _, t := range p.Tolerations {
		if err := t.check(); err != nil {
			return err
		}
	}
	return nil
}

// checkMachines refuses what of pods is said of a pool of machines, and the other way round.
func (p *PoolSettings) checkMachines() error {
	pods := p.Image+p.CPU+p.Memory+p.CPULimit+p.MemoryLimit != "" || p.Warm != nil || len(p.NodeSelector)+len(p.Tolerations) > 0
	switch {
	case p.Machines && pods:
		return slipway.Invalid("a pool of machines has no pods: leave out its image, processors, memory, warm pods, labels and tolerations")
	case p.Forks && !p.Machines:
		return slipway.Invalid("forks says whether pull requests from forks run on the machines of a pool: this pool has pods")
	}
	return nil
}

func (t Toleration) check() error {
	switch {
	case t.Operator != "" && t.Operator != "Exists" && t.Operator != "Equal":
		return slipway.Invalid("operator %q of a toleration: write Exists or Equal", t.Operator)
	case t.Operator == "Exists" && t.Value != "":
		return slipway.Invalid("toleration %s: with the operator Exists there is no value", t.Key)
	case t.Operator != "Exists" && t.Key == "":
		return slipway.Invalid("a toleration names the key of a taint, or has the operator Exists for every one")
	case t.Key != "" && !labelKey().MatchString(t.Key) || !labelValue().MatchString(t.Value):
		return slipway.Invalid("toleration %s=%s is no taint of a Kubernetes node", t.Key, t.Value)
	case !slices.Contains([]string{"", "NoSchedule", "PreferNoSchedule", "NoExecute"}, t.Effect):
		return slipway.Invalid("effect %q of a toleration: write NoSchedule, PreferNoSchedule or NoExecute", t.Effect)
	}
	return nil
}

func scanPool(row interface{ Scan(...any) error }, p *Pool) error {
	var settings string
	var created int64
	if err := row.Scan(&p.ID, &p.Name, &settings, &created); err != nil {
		return err
	}
	p.Created = db.Time(created)
	return decodeColumns(column{settings, &p.PoolSettings})
}

const poolColumns = `id, name, settings, created`

// Pools lists the pools by name: those that administrators have made, and DefaultPool, which is there without being made.
func (s *Service) Pools(ctx context.Context) ([]Pool, error) {
	list, err := listPools(ctx, s.db)
	if err != nil || slices.ContainsFunc(list, func(p Pool) bool { return strings.EqualFold(p.Name, DefaultPool) }) {
		return list, err
	}
	list = append(list, Pool{Name: DefaultPool})
	slices.SortFunc(list, func(a, b Pool) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list, nil
}

func listPools(ctx context.Context, q db.Querier) ([]Pool, error) {
	list, err := db.List(ctx, q, scanPool, `SELECT `+poolColumns+` FROM pipeline_pools ORDER BY name_key LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	return list, nil
}

// Pool returns the pool of that name, in any case.
func (s *Service) Pool(ctx context.Context, name string) (Pool, error) {
	p, err := findPool(ctx, s.db, name)
	if slipway.CodeOf(err) == slipway.CodeNotFound && strings.EqualFold(name, DefaultPool) {
		return Pool{Name: DefaultPool}, nil
	}
	return p, err
}

func findPool(ctx context.Context, q db.Querier, name string) (Pool, error) {
	p, err := db.One(ctx, q, scanPool, `SELECT `+poolColumns+` FROM pipeline_pools WHERE name_key = $1`, strings.ToLower(strings.TrimSpace(name)))
	if db.IsNoRows(err) {
		return p, slipway.NotFound("there is no pool %q", name)
	}
	if err != nil {
		return p, fmt.Errorf("find pool %q: %w", name, err)
	}
	return p, nil
}

// PutPool makes the pool of that name, or changes all settings of the one that is there. Jobs whose pods are there keep them.
func (s *Service) PutPool(ctx context.Context, name string, settings PoolSettings, by slipway.Actor) (p Pool, created bool, err error) {
	if name = strings.TrimSpace(name); !poolName().MatchString(name) || strings.EqualFold(name, "server") {
		return p, false, slipway.Invalid("pool name %q: use up to 99 letters, digits, spaces, dots, dashes and underscores; server is the pool of jobs without an agent", name)
	}
	if err := settings.check(); err != nil {
		return p, false, err
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return p, false, fmt.Errorf("encode pool %q: %w", name, err)
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := findPool(ctx, tx, name)
		if created = slipway.CodeOf(err) == slipway.CodeNotFound; err != nil && !created {
			return err
		}
		if err := s.noMachinesLost(ctx, tx, name, settings.Machines); err != nil {
			return err
		}
		if created {
			if list, err := listPools(ctx, tx); err != nil {
				return err
			} else if len(list) >= maxPools {
				return slipway.Limit("there are at most %d pools", maxPools)
			}
		}
		const upsert = `
			INSERT INTO pipeline_pools (name, name_key, settings, created) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name_key) DO UPDATE SET name = excluded.name, settings = excluded.settings RETURNING ` + poolColumns
		if p, err = db.One(ctx, tx, scanPool, upsert, name, strings.ToLower(name), string(b), db.Micros(s.clock.Now())); err != nil {
			return fmt.Errorf("record pool %q: %w", name, err)
		}
		tx.AfterCommit(s.Wake)
		return s.announcePool(ctx, tx, EventPoolChanged, name, by)
	})
	return p, created, err
}

// DeletePool deletes a pool. Its jobs get the pool DefaultPool from then on.
func (s *Service) DeletePool(ctx context.Context, name string, by slipway.Actor) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		p, err := findPool(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := s.noMachinesLost(ctx, tx, name, false); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_pools WHERE id = $1`, p.ID); err != nil {
			return fmt.Errorf("delete pool %q: %w", name, err)
		}
		tx.AfterCommit(s.Wake)
		return s.announcePool(ctx, tx, EventPoolDeleted, p.Name, by)
	})
}

// noMachinesLost refuses to end a pool of machines while it has some.
func (s *Service) noMachinesLost(ctx context.Context, tx *db.Tx, name string, stays bool) error {
	if stays {
		return nil
	}
	list, err := s.machines(ctx, tx, MachineTarget{Pool: name})
	if err == nil && len(list) > 0 {
		err = slipway.Conflict("the pool %s has %d machines: remove them first", name, len(list))
	}
	return err
}

// PoolPayload is the payload of pools' events.
type PoolPayload struct {
	Name string `json:"name"`
}

func (s *Service) announcePool(ctx context.Context, tx *db.Tx, kind events.Kind, name string, by slipway.Actor) error {
	return s.log.Append(ctx, tx, &events.Event{Kind: kind, Actor: by, Subject: slipway.Ref(slipway.RefUser, by.ID)}, PoolPayload{Name: name})
}

// poolSet is all pools by their names in lower case.
type poolSet map[string]*Pool

func (s *Service) poolSet(ctx context.Context, q db.Querier) (poolSet, error) {
	list, err := listPools(ctx, q)
	if err != nil {
		return nil, err
	}
	set := poolSet{}
	for i := range list {
		set[strings.ToLower(list[i].Name)] = &list[i]
	}
	return set, nil
}

// named is the pool that a file names by name or vmImage, nil when nobody made it.
func (set poolSet) named(names ...string) *Pool {
	for _, name := range names {
		if p := set[strings.ToLower(strings.TrimSpace(name))]; p != nil && name != "" {
			return p
		}
	}
	return nil
}

// of is the pool of jobs that name these.
func (set poolSet) of(names ...string) *Pool {
	if p := set.named(names...); p != nil {
		return p
	}
	if p := set[DefaultPool]; p != nil {
		return p
	}
	return &Pool{Name: DefaultPool}
}

// capabilities are those that demands are compared with.
//
// The machines of a pool differ: there is nothing to compare with but each of them.
func (p *Pool) capabilities() map[string]string {
	if p.Machines {
		return nil
	}
	all := map[string]string{"Agent.OS": "Linux", "Agent.OSArchitecture": "X64"}
	maps.Copy(all, p.Capabilities)
	return all
}

// poolOf is the pool of an instance of a job, whose demands it meets.
func (s *Service) poolOf(ctx context.Context, wanted plan.Pool, vars variable.Set) (*Pool, error) {
	set, err := s.poolSet(ctx, s.db)
	if err != nil {
		return nil, err
	}
	names := []string{vars.Expand(wanted.Name), vars.Expand(wanted.Image)}
	p := set.of(names...)
	if set.named(names...) == nil {
		return p, nil // demands of pools that nobody made are warned of where they stand
	}
	if p.Machines {
		return p, nil // each machine has its own
	}
	var demands []string
	for _, d := range wanted.Demands {
		demands = append(demands, vars.Expand(d))
	}
	if unmet := plan.Unmet(demands, p.capabilities()); unmet != "" {
		return nil, slipway.Invalid("the pool %s does not meet the demand %q: add the capability to the pool, or name another pool", p.Name, unmet)
	}
	return p, nil
}
