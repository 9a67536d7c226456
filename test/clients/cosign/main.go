// Command cosign is Sigstore's cosign without the clients of key services in clouds, which its own main adds: they are most of what it
// takes to build it, and no test needs one.
package main

import (
	"log"

	"github.com/sigstore/cosign/v3/cmd/cosign/cli"
)

func main() {
	if err := cli.New().Execute(); err != nil {
		log.Fatalf("error during command execution: %v", err)
	}
}
