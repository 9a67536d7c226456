package wiql_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/boards/wiql"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func items() []boards.Item {
	ada, ben := slipway.Actor{ID: "u1", Name: "ada"}, slipway.Actor{ID: "u2", Name: "ben"}
	return []boards.Item{
		{ID: 1, Type: boards.Feature, State: boards.Active, Title: "Sell hats", Priority: 1, Created: now.AddDate(0, 0, -9), CreatedBy: ada, Changed: now.AddDate(0, 0, -2), ChangedBy: ada},
		{ID: 2, Type: boards.Bug, State: boards.New, Title: "The hat's price is wrong", Assigned: "u1", Priority: 2, Tags: []string{"Shop", "urgent now"}, Parent: 1, Created: now, CreatedBy: ben, Changed: now, ChangedBy: ben},
		{ID: 3, Type: boards.Task, State: boards.Closed, Title: "Draw caps", Assigned: "u2", Priority: 3, Parent: 1, Created: now.AddDate(0, 0, -5), CreatedBy: ada, Changed: now.AddDate(0, 0, -1), ChangedBy: ada},
	}
}

// The operators, macros and their meaning are those of "Work Item Query Language (WIQL) syntax reference" of Azure DevOps.
func TestQueries(t *testing.T) {
	t.Parallel()
	world := wiql.World{Project: "Shop", Me: wiql.Person{ID: "u1"}, Now: now, People: map[slipway.UserID]wiql.Person{
		"u1": {ID: "u1", Name: "ada", DisplayName: "Ada Lovelace", Email: "ada@example.org"}, "u2": {ID: "u2", Name: "ben", DisplayName: "Ben"}}}
	for query, want := range map[string][]slipway.WorkItemID{
		"":                                {1, 2, 3},
		"WHERE [System.State] = 'active'": {1},
		"where [State] <> 'Closed' and [Work Item Type] = 'Bug'":                                   {2},
		"WHERE System.State IN ('New', 'Closed')":                                                  {2, 3},
		"WHERE [System.State] NOT IN ('New', 'Closed')":                                            {1},
		"WHERE [System.Title] CONTAINS 'HAT'":                                                      {1, 2},
		"WHERE [System.Title] CONTAINS WORDS 'hats'":                                               {1},
		"WHERE [System.Title] CONTAINS WORDS 'hat*'":                                               {1, 2},
		"WHERE NOT [System.Title] CONTAINS 'hat'":                                                  {3},
		"WHERE [System.Title] = 'The hat''s price is wrong'":                                       {2},
		"WHERE [System.AssignedTo] = @me":                                                          {2},
		"WHERE [System.AssignedTo] <> @Me":                                                         {1, 3},
		"WHERE [System.AssignedTo] = ''":                                                           {1},
		"WHERE [System.AssignedTo] = 'Ada Lovelace <ada@example.org>'":                             {2},
		"WHERE [System.AssignedTo] IN ('ADA@example.org', 'ben')":                                  {2, 3},
		"WHERE [System.CreatedBy] = 'ada'":                                                         {1, 3},
		"WHERE [System.Tags] CONTAINS 'shop'":                                                      {2},
		"WHERE [System.Tags] CONTAINS 'urgent'":                                                    nil,
		"WHERE [System.Tags] NOT CONTAINS 'shop'":                                                  {1, 3},
		"WHERE [System.Tags] IS EMPTY":                                                             {1, 3},
		"WHERE [System.Parent] = 1 AND [Priority] > 2":                                             {3},
		"WHERE [System.Id] >= 2 AND [System.Id] < 3":                                               {2},
		"WHERE [System.TeamProject] = @project AND [System.AreaPath] UNDER 'shop'":                 {1, 2, 3},
		"WHERE [System.AreaPath] UNDER 'Other'":                                                    nil,
		"WHERE [System.ChangedDate] >= @today - 1":                                                 {2, 3},
		"WHERE [System.ChangedDate] < @Today":                                                      {1, 3},
		"WHERE [System.ChangedDate] = '2026-11-27'":                                                {1},
		"WHERE [System.State] = 'New' OR [System.State] = 'Active' AND [System.Id] = 2":            {2},
		"WHERE ([System.State] = 'New' OR [System.State] = 'Active') AND [System.Id] <= 2":         {1, 2},
		"ORDER BY [Priority] DESC":                                                                 {3, 2, 1},
		"ORDER BY [System.WorkItemType], [System.Id] DESC":                                         {2, 1, 3},
		"WHERE [System.Parent] = 1 ORDER BY [System.ChangedDate] desc, [System.Id] asc":            {2, 3},
		"WHERE [System.Id] <> 1 AND NOT ([System.State] = 'Closed' OR [System.State] = 'Removed')": {2},
	} {
		q, err := wiql.Parse("SELECT [System.Id], [System.Title] FROM WorkItems " + query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		found := slices.DeleteFunc(items(), func(i boards.Item) bool { return !q.Meets(world, i) })
		slices.SortFunc(found, func(a, b boards.Item) int { return q.Compare(world, a, b) })
		var got []slipway.WorkItemID
		for _, i := range found {
			got = append(got, i.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want -, got +\n%s", query, diff)
		}
	}
}

func TestRefusedQueries(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                                        "SELECT is expected",
		"SELECT [System.Id]":                      "FROM is expected",
		"SELECT * FROM WorkItems":                 `the query has '*' at character 8`,
		"SELECT [Nothing] FROM WorkItems":         `no field "Nothing"`,
		"SELECT [System.Id] FROM WorkItemLinks":   "answered FROM WorkItems",
		"SELECT [System.Id] FROM WorkItems WHERE": "a field, as [System.Title]",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Id] CONTAINS 1":                                       "choose one of NOT IN, IN, =",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Id] = 'x'":                                            "write a whole number",
		"SELECT [System.Id] FROM WorkItems WHERE [System.ChangedDate] > 'yesterday'":                           "a day as '2026-11-29'",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Title] = @today":                                      "cannot be",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Title] = @currentIteration":                           "use @project, @me or @today",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Title] = [System.State]":                              "compare with a text in quotes",
		"SELECT [System.Id] FROM WorkItems WHERE ([System.Title] = 'a'":                                        "a closing parenthesis",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Title] = 'a":                                          "not closed by '",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Title":                                                "not closed by ]",
		"SELECT [System.Id] FROM WorkItems ASOF '2026-01-01'":                                                  "ASOF is not answered",
		"SELECT [System.Id] FROM WorkItems WHERE " + strings.Repeat("(", 60) + "[System.Id] = 1":               "more than 50 parentheses",
		"SELECT [System.Id] FROM WorkItems WHERE [System.Id] = 1" + strings.Repeat(" OR [System.Id] = 1", 500): "at most 500 conditions",
		strings.Repeat(" ", 40_000): "at most 32000 bytes",
	} {
		if _, err := wiql.Parse(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, want %q", query, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("SELECT [System.Id] FROM WorkItems WHERE ([State] = 'New' OR [Priority] IN (1, -2)) AND [Changed Date] > @today - 7 ORDER BY [ID] DESC")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := wiql.Parse(query)
		if err != nil {
			return
		}
		for _, i := range items() { // whatever was read can be asked of every item
			q.Meets(wiql.World{Now: now}, i)
		}
		q.Compare(wiql.World{}, items()[0], items()[1])
	})
}
