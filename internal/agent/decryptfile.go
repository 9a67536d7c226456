package agent

import "fmt"

// decryptFile is the task DecryptFile@1, by openssl of the job's image. The passphrase goes by the environment: arguments are shown.
func (t *task) decryptFile(in inputs) error {
	dir, err := t.workingFolder(in.text("cwd"))
	if err != nil {
		return err
	}
	if _, err := t.look("openssl"); err != nil {
		return fmt.Errorf("%w: give the job a container that has it", err)
	}
	from := t.absolute(in.text("inFile"))
	to := from + ".out"
	if name := in.text("outFile"); name != "" && !t.isFolder(t.absolute(name)) {
		to = t.absolute(name)
	}
	passphrase := in.m["passphrase"]
	t.mask.Add(passphrase)
	return t.runShown(process{name: "openssl", args: []string{in.text("cipher"), "-d", "-in", from, "-out", to, "-pass", "env:DECRYPT_PASSPHRASE"}, dir: dir,
		env: map[string]string{"DECRYPT_PASSPHRASE": passphrase}})
}
