package attack

import "testing"

// After five steps without a disturbance, no local collision is under way.
func TestEqualAt(t *testing.T) {
	for class, ks := range Vectors {
		for i := range 16 {
			if ks>>i&1 == 0 {
				continue
			}
			k := FirstK + i
			disturbed := vector(Class(class), k)
			for step := EqualAt(k) - 5; step < EqualAt(k); step++ {
				if disturbed[before+step] != 0 {
					t.Errorf("class %d, K %d: step %d is disturbed by %#x", class, k, step, disturbed[before+step])
				}
			}
			if disturbed[before+k+15] == 0 {
				t.Errorf("class %d, K %d: step K+15 is not disturbed", class, k)
			}
		}
	}
}
