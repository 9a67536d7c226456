package web

import "testing"

func TestScalesRoundUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scale   scale
		v, want float64
	}{
		{numbers, 0.19, 0.2},
		{numbers, 1, 1},
		{numbers, 263, 500},
		{numbers, 501, 1000},
		{milliseconds, 1060, 2000},
		{byteSizes, 900, 1024},
		{byteSizes, 130 << 20, 200 << 20},
		{byteSizes, 600 << 20, 1 << 30},
	} {
		if got := c.scale.roundUp(c.v); got < c.want*0.999 || got > c.want*1.001 {
			t.Errorf("an axis up to %g ends at %g, want %g", c.v, got, c.want)
		}
	}
}
