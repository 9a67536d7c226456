// Command junit reads what `go test -json` writes, shows it as people know it, and writes it as a JUnit file:
//
//	go test -json ./... | go run ./tools/junit -o results.xml
//
// It ends with 1 when a test or a package failed, so that the step that runs it fails too.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "results.xml", "the JUnit `file` to write")
	flag.Parse()
	failed, err := run(*out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "junit:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(path string) (failed bool, err error) {
	report, err := read(os.Stdin, os.Stdout)
	if err != nil {
		return true, err
	}
	file, err := os.Create(path)
	if err != nil {
		return true, err
	}
	if err := report.write(file); err != nil {
		file.Close()
		return true, err
	}
	return report.failed(), file.Close()
}
