package compile

import "slipway/internal/pipelines/yaml"

// otherLanguage says what to do with a file that is none of Azure Pipelines but a workflow of GitHub Actions or a file of GitLab CI; "" for others.
func otherLanguage(n *yaml.Node) string {
	if n.Kind != yaml.Map {
		return ""
	}
	jobs, stages := n.Get("jobs"), n.Get("stages")
	switch {
	case n.Get("on") != nil && jobs != nil && jobs.Kind == yaml.Map:
		return "this is a workflow of GitHub Actions: slipway import github FILE makes a pipeline of it"
	case stages != nil && stages.Kind == yaml.List && len(stages.Items) > 0 && stages.Items[0].Kind == yaml.Scalar:
		for _, p := range n.Pairs {
			if p.Value.Kind == yaml.Map && p.Value.Get("script") != nil {
				return "this is a file of GitLab CI: slipway import gitlab FILE makes a pipeline of it"
			}
		}
	}
	return ""
}
