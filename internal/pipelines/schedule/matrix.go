package schedule

import (
	"encoding/json"
	"fmt"
	"strings"

	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// maxLegs bounds a matrix that an expression gives.
const maxLegs = 256

// matrix evaluates the legs of a job: JSON, an object of objects of variables.
func (r *run) matrix(s *plan.Stage, j *plan.Job) ([]plan.Leg, error) {
	e, err := expression.Parse(j.Strategy.MatrixExpression, variableScope)
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	set, err := r.stageVariables(s)
	if err != nil {
		return nil, err
	}
	v, err := e.Evaluate(expression.Environment{Names: withVariables(r.jobNames(s, j), set)})
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	text := strings.TrimSpace(v.String())
	if text == "" {
		return nil, nil
	}
	return parseMatrix(text)
}

// parseMatrix keeps the order of the text: JSON, or what Microsoft's page Specify jobs has as an example, and Azure's reader takes, with
// single quotes.
func parseMatrix(text string) ([]plan.Leg, error) {
	legs, err := readLegs(text)
	if err != nil {
		return nil, err
	}
	titles := make([]string, len(legs))
	for i := range legs {
		if titles[i] = legs[i].Title; titles[i] == "" || len(titles[i]) > 200 {
			return nil, fmt.Errorf("matrix: %q is no name for a leg", titles[i])
		}
	}
	for i, name := range plan.LegNames(titles) {
		legs[i].Name = name
		if legs[i].Title == name {
			legs[i].Title = ""
		}
	}
	return legs, nil
}

func readLegs(text string) ([]plan.Leg, error) {
	if !json.Valid([]byte(text)) && strings.HasPrefix(text, "{") {
		return quotedLegs(text)
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	open, err := decoder.Token()
	if err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("matrix: the expression gives no JSON object of legs")
	}
	var legs []plan.Leg
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("matrix: not JSON: %w", err)
		}
		leg := plan.Leg{Title: fmt.Sprint(name), Variables: map[string]string{}}
		var values map[string]any
		if err := decoder.Decode(&values); err != nil {
			return nil, fmt.Errorf("matrix: leg %s is no JSON object of variables: %w", leg.Title, err)
		}
		for k, v := range values {
			switch v := v.(type) {
			case string:
				leg.Variables[k] = v
			case json.Number:
				leg.Variables[k] = v.String()
			case bool:
				leg.Variables[k] = expression.Bool(v).String()
			case nil:
				leg.Variables[k] = ""
			default:
				return nil, fmt.Errorf("matrix: variable %s of leg %s is no text", k, leg.Title)
			}
		}
		if legs = append(legs, leg); len(legs) > maxLegs {
			return nil, fmt.Errorf("matrix: more than %d legs", maxLegs)
		}
	}
	return legs, nil
}

// quotedLegs reads what is JSON but for its quotes: YAML has the same braces, and both kinds of quotes.
func quotedLegs(text string) ([]plan.Leg, error) {
	n, err := yaml.Read("matrix", []byte(text))
	if err != nil {
		return nil, fmt.Errorf("matrix: not JSON: %w", err)
	}
	if len(n.Pairs) > maxLegs {
		return nil, fmt.Errorf("matrix: more than %d legs", maxLegs)
	}
	legs := make([]plan.Leg, len(n.Pairs))
	for i, p := range n.Pairs {
		legs[i] = plan.Leg{Title: p.Key.Text, Variables: map[string]string{}}
		if p.Value.Kind != yaml.Map {
			return nil, fmt.Errorf("matrix: leg %s is no JSON object of variables", p.Key.Text)
		}
		for _, v := range p.Value.Pairs {
			truth := strings.EqualFold(v.Value.Text, "true")
			switch {
			case v.Value.Kind != yaml.Scalar:
				return nil, fmt.Errorf("matrix: variable %s of leg %s is no text", v.Key.Text, p.Key.Text)
			case v.Value.IsNull():
				legs[i].Variables[v.Key.Text] = ""
			case v.Value.Plain && (truth || strings.EqualFold(v.Value.Text, "false")):
				legs[i].Variables[v.Key.Text] = expression.Bool(truth).String()
			default:
				legs[i].Variables[v.Key.Text] = v.Value.Text
			}
		}
	}
	return legs, nil
}
