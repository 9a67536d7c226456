// Package tool finds the version of a tool that a step asks for, and installs it when it is not there: Go, Node.js, Python,
// Java, .NET, Helm, kubectl and Terraform.
//
// A version is looked for in the tool caches of the image, in the folder of tools that outlives the job, and on PATH, in
// this order. Only then is it downloaded, from the vendor or a mirror of it, and compared with the checksum that the vendor
// publishes. A tool is unpacked under a temporary name and gets its own by one rename, so that jobs that run at the same time
// can share the folder. What a job may change (global packages of Node.js and Python) it gets as a copy of its own.
//
// Tool caches have the layout of Azure's: NAME/VERSION/ARCH, with a file ARCH.complete beside the folder.
package tool
