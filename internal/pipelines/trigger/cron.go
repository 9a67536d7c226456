package trigger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Cron is a parsed schedule of five fields: minute, hour, day of the month, month, day of the week, in UTC.
type Cron struct {
	fields [5]uint64 // a bit for each value
	// anyDay and anyWeekday say that the field is *: with both restricted, either of them is enough.
	anyDay, anyWeekday bool
}

var cronFields = [5]struct {
	name        string
	least, most int
	names       []string // from least on
}{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 6, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// ParseCron reads five fields: *, numbers, names of months and days, ranges a-b, steps */n and a-b/n, lists with commas.
func ParseCron(text string) (Cron, error) {
	var c Cron
	parts := strings.Fields(text)
	if len(parts) != 5 {
		return c, fmt.Errorf("cron %q has %d fields, it needs five: minute hour day month weekday", text, len(parts))
	}
	for i, part := range parts {
		bits, err := cronField(i, part)
		if err != nil {
			return c, fmt.Errorf("cron %q: %w", text, err)
		}
		c.fields[i] = bits
	}
	c.anyDay, c.anyWeekday = strings.HasPrefix(parts[2], "*"), strings.HasPrefix(parts[4], "*")
	return c, nil
}

func cronField(i int, text string) (bits uint64, err error) {
	f := cronFields[i]
	for _, part := range strings.Split(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, fmt.Errorf("%q is no step of the %s", stepText, f.name)
			}
		}
		from, to := f.least, f.most
		if span != "*" {
			low, high, ranged := strings.Cut(span, "-")
			if from, err = cronValue(i, low); err != nil {
				return 0, err
			}
			to = from
			if ranged {
				if to, err = cronValue(i, high); err != nil {
					return 0, err
				}
			} else if stepped {
				to = f.most
			}
			if to < from {
				return 0, fmt.Errorf("range %s of the %s runs backwards", span, f.name)
			}
		}
		for v := from; v <= to; v += step {
			bits |= 1 << v
		}
	}
	return bits, nil
}

func cronValue(i int, text string) (int, error) {
	f := cronFields[i]
	for k, name := range f.names {
		if strings.HasPrefix(strings.ToLower(text), name) {
			return f.least + k, nil
		}
	}
	v, err := strconv.Atoi(text)
	if i == 4 && err == nil && v == 7 {
		v = 0
	}
	if err != nil || v < f.least || v > f.most {
		return 0, fmt.Errorf("%q is no %s, which is %d to %d", text, f.name, f.least, f.most)
	}
	return v, nil
}

// Next is the first time after t, in UTC, that the schedule names; the zero time if there is none in the next five years.
func (c Cron) Next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Minute).Add(time.Minute)
	limit := t.AddDate(5, 0, 0)
	for t.Before(limit) {
		switch {
		case !c.has(3, int(t.Month())):
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.day(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !c.has(1, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.has(0, t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

func (c Cron) has(field, value int) bool { return c.fields[field]>>value&1 == 1 }

func (c Cron) day(t time.Time) bool {
	day, weekday := c.has(2, t.Day()), c.has(4, int(t.Weekday()))
	if c.anyDay || c.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
