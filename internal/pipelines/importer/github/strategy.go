package github

import (
	"encoding/json"
	"strings"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// readMatrix makes the legs of the job's matrix, as GitHub does: the product, without what exclude names, with what include adds.
func (j *job) readMatrix() {
	matrix := j.n.Get("strategy").Get("matrix")
	if matrix == nil {
		return
	}
	if matrix.Kind != yaml.Map {
		j.drop(matrix.At, "job "+j.id+" has a matrix that is computed when the job starts: Azure's has another form", "write the matrix out, or give its legs as JSON objects by name")
		return
	}
	legs, ok := j.product(matrix)
	if !ok {
		return
	}
	legs = exclude(legs, entries(matrix.Get("exclude")))
	legs = include(legs, entries(matrix.Get("include")))
	if len(legs) > draft.MaxLegs {
		j.drop(matrix.At, "job "+j.id+" has a matrix of more than 256 legs", "make it smaller")
		return
	}
	for _, leg := range legs {
		for _, c := range leg {
			j.matrixNames["matrix."+c.Name] = true
		}
	}
	j.legs = legs
}

func (j *job) product(matrix *yaml.Node) ([]draft.Leg, bool) {
	var legs []draft.Leg
	for _, p := range matrix.Pairs {
		if p.Key.Text == "include" || p.Key.Text == "exclude" {
			if p.Value.Kind != yaml.List {
				j.drop(p.Value.At, "job "+j.id+" has a matrix whose "+p.Key.Text+" is computed when the job starts", "write the matrix out")
				return nil, false
			}
			continue
		}
		items := p.Value.Items
		if p.Value.Kind == yaml.Scalar {
			list, ok := literalList(p.Value.Text)
			if !ok {
				j.drop(p.Value.At, "job "+j.id+" has a matrix whose values of "+p.Key.Text+" are computed when the job starts", "write the values out")
				return nil, false
			}
			items = nil
			for _, text := range list {
				items = append(items, yaml.Text(text, p.Value.At))
			}
		}
		var values []draft.Leg
		for _, item := range items {
			values = append(values, cells(p.Key.Text, item))
		}
		legs = draft.Product(legs, values)
	}
	return legs, true
}

// literalList reads ${{ fromJSON('[…]') }}.
func literalList(text string) ([]string, bool) {
	list, err := pieces(text)
	if err != nil || len(list) != 1 || list[0].expr == nil {
		return nil, false
	}
	n := list[0].expr
	if n.kind != call || n.name != "fromjson" || len(n.args) != 1 || !n.args[0].isText() {
		return nil, false
	}
	var items []json.RawMessage
	if json.Unmarshal([]byte(n.args[0].text), &items) != nil {
		return nil, false
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if json.Unmarshal(item, &texts[i]) != nil {
			texts[i] = string(item)
		}
	}
	return texts, true
}

// cells are a value of a matrix; a map gives a cell for each of its texts.
func cells(name string, n *yaml.Node) draft.Leg {
	switch n.Kind {
	case yaml.Map:
		var leg draft.Leg
		for _, p := range n.Pairs {
			leg = append(leg, cells(name+"."+p.Key.Text, p.Value)...)
		}
		return leg
	case yaml.List:
		var texts []string
		for _, item := range n.Items {
			texts = append(texts, item.Text)
		}
		return draft.Leg{{Name: name, Value: strings.Join(texts, " ")}}
	}
	if n.IsNull() {
		return draft.Leg{{Name: name}}
	}
	return draft.Leg{{Name: name, Value: n.Text}}
}

// entries are those of include or exclude.
func entries(n *yaml.Node) []draft.Leg {
	if n == nil {
		return nil
	}
	var list []draft.Leg
	for _, item := range n.Items {
		var leg draft.Leg
		for _, p := range item.Pairs {
			leg = append(leg, cells(p.Key.Text, p.Value)...)
		}
		list = append(list, leg)
	}
	return list
}

func exclude(legs, out []draft.Leg) []draft.Leg {
	var kept []draft.Leg
	for _, leg := range legs {
		excluded := false
		for _, e := range out {
			all := len(e) > 0
			for _, c := range e {
				if v, ok := leg.Get(c.Name); !ok || v != c.Value {
					all = false
				}
			}
			excluded = excluded || all
		}
		if !excluded {
			kept = append(kept, leg)
		}
	}
	return kept
}

// include adds each entry to all legs of the product of which it changes no value, and else makes it a leg of its own.
func include(legs, more []draft.Leg) []draft.Leg {
	original := append([]draft.Leg(nil), legs...)
	result := append([]draft.Leg(nil), legs...)
	for _, entry := range more {
		added := false
		for i, leg := range original {
			fits := true
			for _, c := range entry {
				if v, ok := leg.Get(c.Name); ok && v != c.Value {
					fits = false
				}
			}
			if fits {
				added = true
				for _, c := range entry {
					result[i] = result[i].With(c.Name, c.Value)
				}
			}
		}
		if !added {
			result = append(result, entry)
		}
	}
	return result
}

// strategy writes the legs. A single leg of a deployment needs no matrix.
func (j *job) strategy(t *translator, out *draft.Map, deployment bool) {
	n := j.n.Get("strategy")
	for _, leg := range j.legs {
		for i := range leg {
			leg[i].Value = t.text(leg[i].Value, &j.notes)
		}
	}
	if fast := n.Get("fail-fast"); fast != nil && fast.Text == "true" {
		j.notes = append(j.notes, j.w.note(fast.At, "fail-fast is left out: legs that run go on when another has failed", ""))
	}
	matrix := draft.Matrix(j.legs, "matrix.")
	if matrix == nil || deployment {
		return
	}
	strategy := (&draft.Map{}).Put("matrix", matrix)
	if most := n.Get("max-parallel"); most != nil {
		if !strings.Contains(most.Text, "$") {
			strategy.Word("maxParallel", most.Text)
		} else {
			j.notes = append(j.notes, j.w.note(most.At, "max-parallel: "+most.Text+" is left out: it is not known when the run is queued", "write a number"))
		}
	}
	out.Put("strategy", strategy.Node())
}

// machines writes the container and the services.
func (j *job) machines(t *translator, out *draft.Map) {
	if c := j.n.Get("container"); c != nil && !c.IsNull() {
		spec := c
		if c.Kind == yaml.Scalar {
			if image := t.text(c.Text, &j.notes); image != "" {
				out.Text("container", image)
			}
		} else if body := j.containerBody(t, spec); body != nil {
			out.Put("container", body.Node())
		}
	}
	services := j.n.Get("services")
	if services == nil || services.Kind != yaml.Map {
		return
	}
	var list draft.Map
	for _, p := range services.Pairs {
		body := j.containerBody(t, p.Value)
		if body == nil {
			continue
		}
		alias := j.w.aliases.Take(j.name + "_" + p.Key.Text)
		resource := (&draft.Map{}).Text("container", alias)
		for _, pair := range body.Node().Pairs {
			resource.Put(pair.Key.Text, pair.Value)
		}
		j.w.containers = append(j.w.containers, resource.Node())
		list.Text(p.Key.Text, alias)
	}
	if !list.Empty() {
		out.Put("services", list.Node())
	}
}

// containerBody are the image of a container and what belongs to it; nil without an image.
func (j *job) containerBody(t *translator, n *yaml.Node) *draft.Map {
	image := n.Text
	if n.Kind == yaml.Map {
		image = ""
		if i := n.Get("image"); i != nil {
			image = i.Text
		}
	}
	inner := *t
	inner.scope = t.scope.place(n.At)
	if image = inner.text(image, &j.notes); image == "" {
		return nil
	}
	body := (&draft.Map{}).Text("image", image)
	if env := n.Get("env"); env != nil {
		var m draft.Map
		for _, p := range env.Pairs {
			m.Put(p.Key.Text, draft.Scalar(inner.text(p.Value.Text, &j.notes)))
		}
		if !m.Empty() {
			body.Put("env", m.Node())
		}
	}
	if ports := n.Get("ports"); ports != nil {
		var list []string
		for _, item := range ports.Items {
			list = append(list, inner.text(item.Text, &j.notes))
			if host, inside, ok := strings.Cut(item.Text, ":"); ok && host != inside {
				j.notes = append(j.notes, j.w.note(item.At, "port "+item.Text+" is not mapped: the containers of a job share one network", "use port "+inside+" in the steps"))
			}
		}
		body.Put("ports", draft.Texts(list))
	}
	if c := n.Get("credentials"); c != nil {
		j.notes = append(j.notes, j.w.note(c.At, "credentials of a container are left out", "make a service connection to its registry, and name it as endpoint"))
	}
	if v := n.Get("volumes"); v != nil {
		j.notes = append(j.notes, j.w.note(v.At, "volumes of a container are left out: a job's pod has none of its node", ""))
	}
	if o := n.Get("options"); o != nil {
		body.Text("options", j.options(o.At, inner.text(o.Text, &j.notes)))
	}
	return body
}

// options are those of docker create that a pod can have: env and user. Checks of health are left out, since a service is only started.
func (j *job) options(at slipway.Position, text string) string {
	var kept, left []string
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		name, _, joined := strings.Cut(word, "=")
		value := ""
		if !joined && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			for i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
				i++
				value += " " + words[i]
			}
		}
		if name == "--env" || name == "-e" || name == "--user" || name == "-u" {
			kept = append(kept, word+value)
		} else {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		j.notes = append(j.notes, j.w.note(at, "options of a container are left out, since jobs are pods: "+strings.Join(left, " "), "let the first step wait until a service answers, if it needs time"))
	}
	return strings.Join(kept, " ")
}
