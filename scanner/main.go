// Command slipway-scanner says what is in a container image and which known vulnerabilities that has. It runs beside the server, which
// gives it an image and takes its answer, so that what users made is never read in the server's process. It needs no network.
//
//	slipway-scanner inventory        <image.tar  >inventory.json   an OCI layout in a tar
//	slipway-scanner document         <sbom.json  >inventory.json   a bill of materials, CycloneDX or SPDX 2 in JSON
//	slipway-scanner match FOLDER     <inventory.json >findings.json
//	slipway-scanner import FOLDER    <all.zip    >report.json      OSV records of an ecosystem, as osv.dev exports them
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"slipway/scanner/inventory"
	"slipway/scanner/osv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "slipway-scanner: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	answer, err := answer(ctx, args, in)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}

func answer(ctx context.Context, args []string, in io.Reader) (any, error) {
	switch {
	case len(args) == 1 && args[0] == "inventory":
		return inventory.Read(ctx, in)
	case len(args) == 1 && args[0] == "document":
		return inventory.ReadDocument(in)
	case len(args) == 2 && args[0] == "match":
		var i inventory.Inventory
		if err := json.NewDecoder(in).Decode(&i); err != nil {
			return nil, fmt.Errorf("read the inventory: %w", err)
		}
		return osv.Match(args[1], i.Packages)
	case len(args) == 2 && args[0] == "import":
		return osv.Import(args[1], in)
	}
	return nil, errors.New("write inventory, document, match FOLDER or import FOLDER")
}
