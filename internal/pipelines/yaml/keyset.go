package yaml

// keySet finds the keys of one map by their names. Most maps have a few, which are compared one by one in less time than a Go map
// takes; only those of a larger map are put into one.
type keySet struct {
	names []string
	keys  []*Node
	many  map[string]*Node // all of them, nil while there are few
}

const fewKeys = 16

// clear makes the set empty and keeps its room for the next map.
func (s *keySet) clear() { s.names, s.keys, s.many = s.names[:0], s.keys[:0], nil }

// find is the key that was added last under a name, nil without one.
func (s *keySet) find(name string) *Node {
	if s.many != nil {
		return s.many[name]
	}
	for i := len(s.names) - 1; i >= 0; i-- {
		if s.names[i] == name {
			return s.keys[i]
		}
	}
	return nil
}

func (s *keySet) add(name string, key *Node) {
	if s.many != nil {
		s.many[name] = key
		return
	}
	s.names, s.keys = append(s.names, name), append(s.keys, key)
	if len(s.names) > fewKeys {
		s.many = make(map[string]*Node, 2*len(s.names))
		for i, name := range s.names {
			s.many[name] = s.keys[i]
		}
	}
}
