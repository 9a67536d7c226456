package web

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// chart is a time series as an SVG: lines over a common axis, and markers for what happened.
type chart struct {
	Title   string
	Lines   []chartLine
	Markers []chartMarker
	Ticks   []chartTick // of the value axis
	Hours   []chartTick // of the time axis
	Empty   bool
}

type chartLine struct {
	Label, Path, Colour string
}

type chartMarker struct {
	X          float64
	Label, URL string
}

type chartTick struct {
	At    float64
	Label string
}

const (
	chartWidth  = 760.0
	chartHeight = 190.0
	chartLeft   = 60.0
	chartRight  = 20.0
	chartTop    = 18.0
	chartBottom = 22.0
)

// series is one line to draw: a value for each time.
type series struct {
	Label  string
	Colour string
	Values []float64
}

// marker is something that happened, for every chart of a page.
type marker struct {
	Time       time.Time
	Label, URL string
}

// scale is a kind of value axis.
type scale struct {
	format func(v float64) string
	base   float64 // its round numbers are 1, 2 and 5 times 1, 10 and 100 of each power of base
}

var (
	numbers      = scale{plainNumber, 1000}
	milliseconds = scale{func(v float64) string { return Duration(time.Duration(v * float64(time.Millisecond))) }, 1000}
	byteSizes    = scale{func(v float64) string { return Bytes(int64(v)) }, 1024}
)

// drawChart draws series over the times of their bins.
func drawChart(title string, times []time.Time, list []series, markers []marker, values scale) chart {
	c := chart{Title: title, Empty: true}
	top := 0.0
	for _, s := range list {
		for _, v := range s.Values {
			top = max(top, v)
			c.Empty = c.Empty && v == 0
		}
	}
	if len(times) < 2 || c.Empty {
		c.Empty = true
		return c
	}
	top = values.roundUp(top)
	begin, end := times[0], times[len(times)-1]
	x := func(t time.Time) float64 {
		return chartLeft + (chartWidth-chartLeft-chartRight)*float64(t.Sub(begin))/float64(end.Sub(begin))
	}
	y := func(v float64) float64 { return chartHeight - chartBottom - (chartHeight-chartTop-chartBottom)*v/top }
	for _, s := range list {
		var b strings.Builder
		for i, v := range s.Values {
			fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], x(times[i]), y(v))
		}
		c.Lines = append(c.Lines, chartLine{Label: s.Label, Path: b.String(), Colour: s.Colour})
	}
	for i := range 3 {
		v := top * float64(i) / 2
		c.Ticks = append(c.Ticks, chartTick{y(v), values.format(v)})
	}
	layout := "15:04"
	if end.Sub(begin) > 25*time.Hour {
		layout = "2 Jan"
	}
	for i := range 6 {
		t := begin.Add(end.Sub(begin) * time.Duration(i) / 5)
		c.Hours = append(c.Hours, chartTick{x(t), t.UTC().Format(layout)})
	}
	for _, m := range markers {
		if !m.Time.Before(begin) && !m.Time.After(end) {
			c.Markers = append(c.Markers, chartMarker{x(m.Time), m.Label, m.URL})
		}
	}
	return c
}

// roundUp is the next round number.
func (s scale) roundUp(v float64) float64 {
	unit := math.Pow(s.base, math.Floor(math.Log(v)/math.Log(s.base)))
	for _, m := range []float64{1, 2, 5, 10, 20, 50, 100, 200, 500} {
		if v <= m*unit {
			return m * unit
		}
	}
	return s.base * unit
}

// The colours of lines, readable on light and dark.
const (
	colourMain   = "var(--accent)"
	colourBad    = "var(--bad)"
	colourGood   = "var(--good)"
	colourSecond = "var(--dim)"
)

func plainNumber(v float64) string {
	if v != 0 && math.Abs(v) < 10 && v != math.Trunc(v) {
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.0f", v)
}
