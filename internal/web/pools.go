package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/variable"
)

func (p pipelinesPages) addPools(s *Server) {
	s.Installation("GET", "/_pools", identity.Administer, p.pools)
	s.Installation("POST", "/_pools", identity.Administer, p.changePool)
	p.addMachines(s)
}

const maxWarm = pipelines.MaxWarm

const maxRetryLost = variable.MaxRetryLost

type poolsView struct{ Pools []poolRow }

// poolRow is a pool as its form has it.
type poolRow struct {
	Name, Description, Image, CPU, CPULimit, Memory, MemoryLimit, Warm string
	RetryLost                                                          string
	NodeSelector, Tolerations, Capabilities                            string // lines
	Summary                                                            string
	Made                                                               bool // it can be deleted
	OfMachines, Forks                                                  bool
	Machines                                                           machinesView
}

func (p pipelinesPages) pools(w http.ResponseWriter, r *http.Request, v View) error {
	pools, err := p.pipelines.Pools(r.Context())
	if err != nil {
		return err
	}
	counts, err := p.pipelines.WarmCounts(r.Context())
	if err != nil {
		return err
	}
	var view poolsView
	for i := range pools {
		row := newPoolRow(&pools[i], counts[strings.ToLower(pools[i].Name)])
		if pools[i].Machines {
			base := poolURL(pools[i].Name)
			rows, err := machinesOf(r.Context(), p.pipelines, pipelines.MachineTarget{Pool: pools[i].Name}, base, p.machineRun(r.Context()))
			if err != nil {
				return err
			}
			row.Machines, row.Summary = machinesView{URL: base, Rows: rows, MayAdminister: true}, plural(len(rows), "machine")
		}
		view.Pools = append(view.Pools, row)
	}
	return p.Render(w, r, v.Titled("Pools", ""), poolsPage(view))
}

func newPoolRow(p *pipelines.Pool, warm pipelines.WarmCount) poolRow {
	row := poolRow{Name: p.Name, Made: p.ID != 0, Description: p.Description, Image: p.Image, CPU: p.CPU, CPULimit: p.CPULimit, Memory: p.Memory, MemoryLimit: p.MemoryLimit,
		NodeSelector: pairLines(p.NodeSelector), Capabilities: pairLines(p.Capabilities),
		Summary: plural(warm.Waiting, "warm pod") + " waiting, " + fmt.Sprint(warm.Starting) + " being started"}
	row.OfMachines, row.Forks = p.Machines, p.Forks
	if p.RetryLost > 0 {
		row.RetryLost = strconv.Itoa(p.RetryLost)
	}
	if p.Warm != nil {
		row.Warm = strconv.Itoa(*p.Warm)
	}
	for _, t := range p.Tolerations {
		row.Tolerations += t.String() + "\n"
	}
	return row
}

// pairLines writes NAME=VALUE a line.
func pairLines(m map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s=%s\n", name, m[name])
	}
	return b.String()
}

// readPairs reads what pairLines writes; a line without an equals sign has no value.
func readPairs(text string) map[string]string {
	var m map[string]string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if m == nil {
			m = map[string]string{}
		}
		name, value, _ := strings.Cut(line, "=")
		m[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return m
}

// changePool makes, changes or deletes a pool.
func (p pipelinesPages) changePool(w http.ResponseWriter, r *http.Request, v View) error {
	name := r.FormValue("name")
	if r.FormValue("do") == "delete" {
		if err := p.pipelines.DeletePool(r.Context(), name, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, "/_pools")
	}
	text := func(field string) string { return strings.TrimSpace(r.FormValue(field)) }
	settings := pipelines.PoolSettings{Machines: r.FormValue("machines") != "", Forks: r.FormValue("forks") != "", Description: text("description"), Image: text("image"), CPU: text("cpu"), CPULimit: text("cpuLimit"), Memory: text("memory"),
		MemoryLimit: text("memoryLimit"), NodeSelector: readPairs(r.FormValue("nodeSelector")), Capabilities: readPairs(r.FormValue("capabilities"))}
	for line := range strings.Lines(r.FormValue("tolerations")) {
		if line = strings.TrimSpace(line); line != "" {
			settings.Tolerations = append(settings.Tolerations, pipelines.ParseToleration(line))
		}
	}
	if warm := text("warm"); warm != "" {
		n, err := strconv.Atoi(warm)
		if err != nil {
			return slipway.Invalid("warm pods: %q is not a number", warm)
		}
		settings.Warm = &n
	}
	if retries := text("retryLost"); retries != "" {
		n, err := strconv.Atoi(retries)
		if err != nil {
			return slipway.Invalid("retry jobs whose pod is lost: %q is not a number", retries)
		}
		settings.RetryLost = n
	}
	pool, _, err := p.pipelines.PutPool(r.Context(), name, settings, v.Caller.Actor)
	if err != nil {
		return err
	}
	return p.Redirect(w, r, "/_pools#pool-"+url.PathEscape(pool.Name))
}
