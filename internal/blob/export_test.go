package blob

// NameStaged makes the store write objects under a name from the beginning, as on a file system that can give none later.
func (f *Files) NameStaged() { f.unnamed = false }
