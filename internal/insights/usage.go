package insights

import (
	"context"
	"fmt"
	"time"

	"slipway/internal/insights/store"
)

// Usage is who used the application in the filter's time.
type Usage struct {
	Users     int64 // distinct user ids
	Sessions  int64 // distinct session ids
	PageViews int64
	Events    int64
	Bin       time.Duration
	Series    []UsagePoint
	Pages     []UsageName // the most viewed pages
	Named     []UsageName // the most frequent custom events
}

// UsagePoint is one bin of usage over time.
type UsagePoint struct {
	Time                               time.Time
	Users, Sessions, PageViews, Events int64
}

// UsageName is a page or a custom event.
type UsageName struct {
	Name            string
	Count           int64
	Users, Sessions int64
}

// acts are the rows in which users act, with what sort they are.
const acts = `
	SELECT "timestamp", user_Id, session_Id, itemCount, 0 AS sort FROM requests WHERE %[1]s AND operation_SyntheticSource = ''
	UNION ALL
	SELECT "timestamp", user_Id, session_Id, itemCount, 1 FROM pageViews WHERE %[1]s AND operation_SyntheticSource = ''
	UNION ALL
	SELECT "timestamp", user_Id, session_Id, itemCount, 2 FROM customEvents WHERE %[1]s AND operation_SyntheticSource = ''`

const usageColumns = `
	count(DISTINCT user_Id) FILTER (user_Id <> ''), count(DISTINCT session_Id) FILTER (session_Id <> ''),
	CAST(coalesce(sum(itemCount) FILTER (sort = 1), 0) AS BIGINT), CAST(coalesce(sum(itemCount) FILTER (sort = 2), 0) AS BIGINT)`

// Usage counts users, sessions, page views and custom events; bin as in RequestSeries. Rows that name no user or
// session count for none; tests and crawlers do not count.
func (s *Service) Usage(ctx context.Context, f Filter, bin time.Duration) (Usage, error) {
	f = s.defaults(f)
	bin, err := binFor(f, bin)
	if err != nil {
		return Usage{}, err
	}
	c := where(f)
	u, err := store.One(ctx, s.store, func(row interface{ Scan(...any) error }, u *Usage) error {
		return row.Scan(&u.Users, &u.Sessions, &u.PageViews, &u.Events)
	}, fmt.Sprintf(`SELECT `+usageColumns+` FROM (`+acts+`)`, c), c.args...)
	if err != nil {
		return u, err
	}
	u.Bin = bin
	if u.Series, err = s.usageSeries(ctx, f, bin); err != nil {
		return u, err
	}
	if u.Pages, err = s.usageNames(ctx, f, "pageViews"); err != nil {
		return u, err
	}
	u.Named, err = s.usageNames(ctx, f, "customEvents")
	return u, err
}

func (s *Service) usageSeries(ctx context.Context, f Filter, bin time.Duration) ([]UsagePoint, error) {
	c := where(f)
	from := fmt.Sprintf(acts, c)
	width := c.arg(bin.Microseconds())
	list, err := store.List(ctx, s.store, func(row interface{ Scan(...any) error }, p *UsagePoint) error {
		var n int64
		err := row.Scan(&n, &p.Users, &p.Sessions, &p.PageViews, &p.Events)
		p.Time = time.UnixMicro(n * bin.Microseconds()).UTC()
		return err
	}, fmt.Sprintf(`SELECT epoch_us("timestamp") // %s AS bin, %s FROM (%s) GROUP BY bin ORDER BY bin LIMIT %d`, width, usageColumns, from, maxBins+2), c.args...)
	if err != nil {
		return nil, err
	}
	byTime := map[time.Time]UsagePoint{}
	for _, p := range list {
		byTime[p.Time] = p
	}
	points := []UsagePoint{}
	for t := floor(f.From, bin); t.Before(f.To); t = t.Add(bin) {
		p := byTime[t]
		p.Time = t
		points = append(points, p)
	}
	return points, nil
}

func (s *Service) usageNames(ctx context.Context, f Filter, table string) ([]UsageName, error) {
	c := where(f)
	query := fmt.Sprintf(`SELECT name, CAST(sum(itemCount) AS BIGINT) AS n, count(DISTINCT user_Id) FILTER (user_Id <> ''),
			count(DISTINCT session_Id) FILTER (session_Id <> '')
		FROM %s WHERE %s AND operation_SyntheticSource = '' GROUP BY name ORDER BY n DESC, name LIMIT 50`, table, c)
	return store.List(ctx, s.store, func(row interface{ Scan(...any) error }, n *UsageName) error {
		return row.Scan(&n.Name, &n.Count, &n.Users, &n.Sessions)
	}, query, c.args...)
}
