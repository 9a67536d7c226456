package agent

import (
	"errors"
	"fmt"
	"strings"
)

// msbuild is the task MSBuild@1. On Linux it runs msbuild, if the job's image has it, or that of .NET's SDK.
func (t *task) msbuild(in inputs) error {
	list := newPatterns(in.m["solution"]).expanded()
	for i, pattern := range list {
		list[i] = everywhere(pattern)
	}
	found, err := find(t.folders.sources, list)
	if err != nil {
		return fmt.Errorf("look for solutions: %w", err)
	}
	if len(found) == 0 {
		return fmt.Errorf("no solution or project matches %s below %s", strings.Join(list, ", "), t.folders.sources)
	}
	name, args, err := t.msbuildProgram(in)
	if err != nil {
		return err
	}
	var common []string
	for _, p := range []struct{ input, property string }{{"platform", "Platform"}, {"configuration", "Configuration"}} {
		if value := in.text(p.input); value != "" {
			common = append(common, "/p:"+p.property+"="+value)
		}
	}
	if in.flag("maximumCpuCount", false) {
		common = append(common, "/m")
	}
	common = append(common, splitArguments(in.text("msbuildArguments"))...)
	for _, file := range found {
		targets := [][]string{nil}
		if in.flag("clean", false) {
			targets = [][]string{{"/t:Clean"}, nil}
		}
		for _, target := range targets {
			all := append(append(append(append([]string{}, args...), file), target...), common...)
			if err := t.runDiagnosed(process{name: name, args: all, dir: t.folders.sources}, msbuildMessage()); err != nil {
				return err
			}
		}
	}
	return nil
}

// msbuildProgram is the program, and its arguments before the file.
func (t *task) msbuildProgram(in inputs) (string, []string, error) {
	if strings.EqualFold(in.text("msbuildLocationMethod"), "location") {
		path := in.text("msbuildLocation")
		if path == "" {
			return "", nil, errors.New("the input msbuildLocation is empty: give the path of msbuild, or write msbuildLocationMethod: version")
		}
		return t.absolute(path), nil, nil
	}
	if _, err := t.look("msbuild"); err == nil {
		return "msbuild", nil, nil
	}
	if _, err := t.look("dotnet"); err != nil {
		return "", nil, fmt.Errorf("%w, nor msbuild: put UseDotNet@2 before this step", err)
	}
	return "dotnet", []string{"msbuild"}, nil
}
