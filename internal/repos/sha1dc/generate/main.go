// Command generate writes the function that asks most of the conditions of two blocks at once, from the table of the conditions.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"
	"os"
	"strings"

	"slipway/internal/repos/sha1dc/attack"
)

// comparison is what several conditions ask of different steps: whether a bit is that of another step, so many steps later.
type comparison struct {
	bit, otherBit, later int
	differ               bool
}

// of is the name of the variable that has a comparison's broken steps.
func (c comparison) of() string {
	word := "is"
	if c.differ {
		word = "not"
	}
	return fmt.Sprintf("bit%d%s%dafter%d", c.bit, word, c.otherBit, c.later)
}

// group is the vectors of a class that have some conditions in common.
type group struct {
	class   attack.Class
	vectors attack.Steps
}

func main() {
	var out bytes.Buffer
	results := [attack.Classes]string{attack.I0: "i0", attack.I2: "i2", attack.II0: "ii0", attack.II2: "ii2"}
	var vectors strings.Builder
	for class, ks := range attack.Vectors {
		fmt.Fprintf(&vectors, "vectors%s = %#x * both\n", strings.ToUpper(results[class]), uint16(ks))
	}
	fmt.Fprintf(&out, `// Code generated from attack.Conditions by generate. DO NOT EDIT.

package sha1dc

// The vectors of each class, in both halves.
const (
%s)

// unmet returns for each class the vectors of which the blocks of a pair break a condition on the planes, from bit 0 of each half on.
// Bits that belong to no vector are arbitrary.
func unmet(p *planes) (i0, i2, ii0, ii2 uint64) {
`, vectors.String())
	asked := map[comparison]bool{}
	var order []group
	broken := map[group][]string{}
	for _, c := range attack.Conditions {
		if !c.OnPlanes() {
			continue
		}
		b := c.Class.Bit()
		of := comparison{(c.Bit + b) % 32, (c.OtherBit + b) % 32, c.OtherStep - c.Step, c.Differ}
		if !asked[of] {
			asked[of] = true
			not := ""
			if of.differ {
				not = "^"
			}
			fmt.Fprintf(&out, "\t%s := %sp.bit%d ^ p.bit%d>>%d\n", of.of(), not, of.bit, of.otherBit, of.later)
		}
		// In a plane, a vector's step is at K+Step-FirstStep; in the result the vector is at K-FirstK.
		shifted := fmt.Sprintf("%s>>%d", of.of(), c.Step-attack.FirstStep+attack.FirstK)
		if left := attack.FirstStep - attack.FirstK - c.Step; left > 0 {
			shifted = fmt.Sprintf("%s<<%d", of.of(), left)
		}
		g := group{c.Class, c.Vectors}
		if broken[g] == nil {
			order = append(order, g)
		}
		broken[g] = append(broken[g], shifted)
	}
	for _, g := range order {
		all := strings.Join(broken[g], " | ")
		if g.vectors != attack.Vectors[g.class] {
			all = fmt.Sprintf("(%s) & (%#x * both)", all, uint16(g.vectors))
		}
		fmt.Fprintf(&out, "\t%s |= %s\n", results[g.class], all)
	}
	fmt.Fprint(&out, "\treturn i0, i2, ii0, ii2\n}\n")
	text, err := format.Source(out.Bytes())
	if err == nil {
		err = os.WriteFile("unmet_generated.go", text, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}
