package localrun

import (
	"encoding/json"
	"fmt"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// slips are warnings about variables that were given by hand and that nothing in the file names, though one that it declares has nearly
// the same name. It is no mistake: a script may ask for any variable.
func (e *execution) slips() (warnings []string) {
	declared := declaredVariables(e.plan)
	if len(declared) == 0 {
		return nil
	}
	text, err := json.Marshal(e.plan)
	if err != nil {
		return nil
	}
	file, _ := e.options.Input.Files.ReadFile(e.options.Input.Path) // it was read a moment ago
	named := strings.ToLower(string(text) + string(file))
	for _, name := range e.options.Variables.Names() {
		if strings.Contains(named, strings.ToLower(name)) || strings.Contains(named, strings.ToLower(variable.EnvironmentName(name))) {
			continue
		}
		if near := nearest.Suggest(name, declared); near != "" {
			warnings = append(warnings, fmt.Sprintf("Nothing in the file names the variable %s%s", name, near))
		}
	}
	return warnings
}

// declaredVariables are the names of the variables in all places of a plan.
func declaredVariables(p *plan.Plan) (names []string) {
	add := func(list []plan.Variable) {
		for _, v := range list {
			if v.Name != "" {
				names = append(names, v.Name)
			}
		}
	}
	add(p.Variables)
	for i := range p.Stages {
		add(p.Stages[i].Variables)
		for k := range p.Stages[i].Jobs {
			add(p.Stages[i].Jobs[k].Variables)
		}
	}
	return names
}
