package languageserver

import (
	"slices"
	"strings"
)

// declaration is a name that a file declares.
type declaration struct {
	name string
	// at is the node whose value is the name, or whose key it is.
	at *node
	// detail says more: a type, a value, what people see.
	detail string
}

// listed are the items of the list under a key whose entry of the same sort names them.
func listed(list *node, mark string, detail ...string) []declaration {
	var out []declaration
	for _, item := range list.items() {
		n := item.get(mark)
		if n == nil || n.value == "" {
			continue
		}
		d := declaration{name: n.value, at: n}
		for _, key := range detail {
			if v := item.get(key); v != nil && d.detail == "" {
				d.detail = v.value
			}
		}
		out = append(out, d)
	}
	return out
}

func (o *outline) stages() []declaration {
	return listed(o.root.get("stages"), "stage", "displayName")
}

// jobsAround are the jobs of the stage around a node, or of the file without stages.
func (o *outline) jobsAround(n *node) []declaration {
	around := o.root
	if stage := ancestor(n, "stages"); stage != nil {
		around = stage
	}
	return jobsOf(around)
}

func jobsOf(n *node) []declaration {
	return slices.Concat(listed(n.get("jobs"), "job", "displayName"), listed(n.get("jobs"), "deployment", "displayName"),
		listed(n.get("phases"), "phase", "displayName"))
}

// jobsOfStage are the jobs of a stage by its name.
func (o *outline) jobsOfStage(name string) []declaration {
	for _, s := range o.stages() {
		if strings.EqualFold(s.name, name) {
			return jobsOf(s.at.parent)
		}
	}
	return nil
}

func (o *outline) parameters() []declaration {
	p := o.root.get("parameters")
	if p == nil {
		return nil
	}
	list := listed(p, "name", "type")
	for _, c := range p.children { // the old map form
		if !c.item && !c.directive() {
			list = append(list, declaration{name: c.key, at: c, detail: c.value})
		}
	}
	return list
}

// variables are those that a place sees: of the root, its stage and its job.
func (o *outline) variables(n *node) []declaration {
	var list []declaration
	for _, around := range []*node{o.root, ancestor(n, "stages"), ancestor(n, "jobs")} {
		v := around.get("variables")
		if v == nil {
			continue
		}
		list = append(list, listed(v, "name", "value")...)
		for _, c := range v.children {
			if !c.item && !c.directive() {
				list = append(list, declaration{name: c.key, at: c, detail: c.value})
			}
		}
	}
	return list
}

func (o *outline) resources(kind, mark, detail string) []declaration {
	return listed(o.root.get("resources").get(kind), mark, detail)
}

// stepNames are the steps with names in the job of an item.
func stepNames(job *node) []declaration {
	return listed(job.get("steps"), "name", "displayName")
}

func find(list []declaration, name string) *declaration {
	for i := len(list) - 1; i >= 0; i-- { // the last one wins, as among variables
		if strings.EqualFold(list[i].name, name) {
			return &list[i]
		}
	}
	return nil
}
