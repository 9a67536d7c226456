package job

import (
	"strconv"
	"strings"
)

// ServicePort is a port of a service in a job's pod, by which a step reaches it as Mapped, too.
type ServicePort struct {
	Service      string
	Mapped, Port string // numbers
}

// ServicePorts reads ports as Docker writes them: PORT, MAPPED:PORT or ADDRESS:MAPPED:PORT, with /tcp or without. It leaves out those of other
// protocols and ranges.
func ServicePorts(service string, ports []string) []ServicePort {
	var list []ServicePort
	for _, text := range ports {
		text, protocol, _ := strings.Cut(strings.TrimSpace(text), "/")
		parts := strings.Split(text, ":")
		one := ServicePort{Service: service, Port: parts[len(parts)-1], Mapped: parts[max(len(parts)-2, 0)]}
		if protocol != "" && protocol != "tcp" || !isPort(one.Port) || !isPort(one.Mapped) {
			continue
		}
		list = append(list, one)
	}
	return list
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// FormatPorts writes ports in one line: SERVICE=MAPPED=PORT, parted by blanks. Names of services have neither.
func FormatPorts(ports []ServicePort) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = p.Service + "=" + p.Mapped + "=" + p.Port
	}
	return strings.Join(words, " ")
}

// ParsePorts reads what FormatPorts writes; ok is false for anything else.
func ParsePorts(text string) (ports []ServicePort, ok bool) {
	for _, word := range strings.Fields(text) {
		parts := strings.Split(word, "=")
		if len(parts) != 3 {
			return nil, false
		}
		ports = append(ports, ServicePort{Service: parts[0], Mapped: parts[1], Port: parts[2]})
	}
	return ports, true
}
