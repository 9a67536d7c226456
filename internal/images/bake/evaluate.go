package bake

import (
	"errors"
	"maps"
	"slices"

	"github.com/docker/buildx/bake/hclparser"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// maxMatrix bounds the targets that a matrix makes.
const maxMatrix = 500

var (
	_ hclparser.WithEvalContexts = (*Target)(nil)
	_ hclparser.WithGetName      = (*Target)(nil)
	_ hclparser.WithEvalContexts = (*Group)(nil)
	_ hclparser.WithGetName      = (*Group)(nil)
)

type loadFunc = func(hcl.Expression) hcl.Diagnostics

// attribute finds one attribute of a block; nil without it.
func attribute(block *hcl.Block, name string) (*hcl.Attribute, error) {
	content, _, diags := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	if diags.HasErrors() {
		return nil, diags
	}
	return content.Attributes[name], nil
}

// GetEvalContexts (hclparser.WithEvalContexts): groups have no matrix.
func (g *Group) GetEvalContexts(base *hcl.EvalContext, block *hcl.Block, _ loadFunc) ([]*hcl.EvalContext, error) {
	matrix, err := attribute(block, "matrix")
	if err != nil {
		return nil, err
	}
	if matrix != nil {
		return nil, errors.New("a group has no matrix: write it in a target")
	}
	return []*hcl.EvalContext{base}, nil
}

// GetName (hclparser.WithGetName): the name of a group is its label.
func (g *Group) GetName(_ *hcl.EvalContext, block *hcl.Block, _ loadFunc) (string, error) {
	name, err := attribute(block, "name")
	if err != nil {
		return "", err
	}
	if name != nil {
		return "", errors.New("a group has no attribute name: its label is its name")
	}
	return block.Labels[0], nil
}

// GetEvalContexts (hclparser.WithEvalContexts) gives one context for each combination of the matrix.
func (t *Target) GetEvalContexts(base *hcl.EvalContext, block *hcl.Block, load loadFunc) ([]*hcl.EvalContext, error) {
	attr, err := attribute(block, "matrix")
	if err != nil || attr == nil {
		return []*hcl.EvalContext{base}, err
	}
	if diags := load(attr.Expr); diags.HasErrors() {
		return nil, diags
	}
	value, diags := attr.Expr.Value(base)
	if diags.HasErrors() {
		return nil, diags
	}
	if value.IsNull() || !value.Type().IsMapType() && !value.Type().IsObjectType() {
		return nil, errors.New("a matrix is a map of lists")
	}
	matrix := value.AsValueMap()
	combinations := []map[string]cty.Value{{}}
	for _, key := range slices.Sorted(maps.Keys(matrix)) {
		if matrix[key].IsNull() || !matrix[key].CanIterateElements() {
			return nil, errors.New("a matrix is a map of lists")
		}
		var next []map[string]cty.Value
		for _, v := range matrix[key].AsValueSlice() {
			for _, c := range combinations {
				c = maps.Clone(c)
				c[key] = v
				next = append(next, c)
			}
		}
		if combinations = next; len(combinations) > maxMatrix {
			return nil, errors.New("the matrix has more than 500 combinations")
		}
	}
	var out []*hcl.EvalContext
	for _, c := range combinations {
		e := base.NewChild()
		e.Variables = c
		out = append(out, e)
	}
	return out, nil
}

// GetName (hclparser.WithGetName): a target with a matrix has a name for each combination.
func (t *Target) GetName(ctx *hcl.EvalContext, block *hcl.Block, load loadFunc) (string, error) {
	attr, err := attribute(block, "name")
	if err != nil || attr == nil {
		return block.Labels[0], err
	}
	matrix, err := attribute(block, "matrix")
	if err != nil {
		return "", err
	}
	if matrix == nil {
		return "", errors.New("the attribute name goes with matrix: without one the label is the name")
	}
	if diags := load(attr.Expr); diags.HasErrors() {
		return "", diags
	}
	value, diags := attr.Expr.Value(ctx)
	if diags.HasErrors() {
		return "", diags
	}
	name, err := convert.Convert(value, cty.String)
	if err != nil || name.IsNull() {
		return "", errors.New("the attribute name is a string")
	}
	return name.AsString(), nil
}
