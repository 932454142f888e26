package alert

import (
	"maps"

	"github.com/whichlayer/whichlayer/probe"
)

// Words say in plain English what is wrong with a layer, for the one who is on call and has not seen it before.
type Words struct {
	// Happened is a clause without a full stop; the others are sentences.
	Happened string `json:"happened"`
	// Means is what users feel, and who is not to blame.
	Means string `json:"means"`
	// Next is where to look first, with a command where there is one. Words in capitals stand for what differs.
	Next string `json:"next"`
	// Ask is whom to ask what.
	Ask string `json:"ask"`
}

// table has the words of every layer's causes. Nothing changes it.
var table = map[probe.Layer]map[probe.Cause]Words{
	probe.LayerNone:     noneWords,
	probe.LayerProber:   proberWords,
	probe.LayerDNS:      dnsWords,
	probe.LayerNetwork:  networkWords,
	probe.LayerHost:     hostWords,
	probe.LayerBalancer: merged(wordsOf("balancer"), balancerWords),
	probe.LayerProxy:    merged(wordsOf("proxy"), proxyWords),
	probe.LayerLink:     linkWords,
	probe.LayerBackend:  backendWords,
}

func merged(a, b map[probe.Cause]Words) map[probe.Cause]Words {
	a = maps.Clone(a)
	maps.Copy(a, b)
	return a
}

// Explain gives the words for a suspect. It has some for every suspect: where the table has none, they say less.
func Explain(s probe.Suspect) Words {
	if w, ok := known(s); ok {
		return w
	}
	happened := layerWords(s.Layer) + " is at fault (" + causeWords(s.Cause) + ")"
	if s.Cause == probe.CauseUnknown || s.Cause == probe.CauseNone || s.Cause == "" {
		happened = "something is wrong with " + layerWords(s.Layer)
	}
	return Words{
		Happened: happened,
		Means:    "The evidence leads to " + layerWords(s.Layer) + ".",
		Next:     "Read the evidence with `whichlayer check --verbose`.",
		Ask:      "Ask those who run " + layerWords(s.Layer) + " what changed at the start time.",
	}
}

// known gives the table's own words.
func known(s probe.Suspect) (Words, bool) {
	w, ok := table[s.Layer][s.Cause]
	return w, ok
}

// Explained lists the suspects that the table has words for, by layer and then in the order of [probe.Causes], what is
// not known last.
func Explained() (all []probe.Suspect) {
	for _, l := range probe.Layers {
		for _, c := range probe.Causes {
			if s := (probe.Suspect{Layer: l, Cause: c}); has(s) && c != probe.CauseUnknown {
				all = append(all, s)
			}
		}
		if s := (probe.Suspect{Layer: l, Cause: probe.CauseUnknown}); has(s) {
			all = append(all, s)
		}
	}
	return all
}

func has(s probe.Suspect) bool { _, ok := known(s); return ok }

// LayerIs says in a clause what a layer is.
func LayerIs(l probe.Layer) string { return layerIs[l] }

var layerIs = map[probe.Layer]string{
	probe.LayerNone:     "no layer is charged",
	probe.LayerProber:   "this program and the host that it runs on: the service may be well",
	probe.LayerDNS:      "the name servers that turn the service's name into an address",
	probe.LayerNetwork:  "what lies between this prober and the service: switches, routers, firewalls",
	probe.LayerHost:     "the machine at the service's address",
	probe.LayerBalancer: "what spreads users over several proxies or backends, such as an F5",
	probe.LayerProxy:    "the program that ends TLS, such as stunnel, nginx or haproxy",
	probe.LayerLink:     "the way from the proxy to the backend",
	probe.LayerBackend:  "the application itself and its machine",
}
