package probe

// Verdict is what Attribute concludes from results: an inference, with its reasons.
type Verdict struct {
	State      State      `json:"state"`
	Layer      Layer      `json:"layer"`
	Cause      Cause      `json:"cause"`
	Confidence Confidence `json:"confidence"`
	// Suspects are all that the evidence leaves, the likeliest first.
	Suspects []Suspect `json:"suspects"`
	// Evidence are sentences that a person can check.
	Evidence []string `json:"evidence"`
	// Cleared are layers that the evidence exonerates, each with the reason.
	Cleared []Cleared `json:"cleared,omitempty"`
	// WouldDecide says what would tell the suspects that are left apart, such as an agent on the proxy's host.
	WouldDecide []string `json:"would_decide,omitempty"`
	// Rule is the name of the rule that decided.
	Rule string `json:"rule"`
}

// Suspect is a layer and what would be wrong with it.
type Suspect struct {
	Layer Layer `json:"layer"`
	Cause Cause `json:"cause"`
}

// Cleared is a layer that is innocent, and why.
type Cleared struct {
	Layer  Layer  `json:"layer"`
	Reason string `json:"reason"`
}

// State of a target.
type State string

// States of a target.
const (
	Up       State = "up"
	Degraded State = "degraded" // users are served, but not as they should be
	Down     State = "down"
	Unknown  State = "unknown" // we could not look
)

// Bad tells that users suffer.
func (s State) Bad() bool { return s == Down || s == Degraded }

// Layer is a part of the path to a service.
type Layer string

// Layers, from the prober outwards.
const (
	LayerNone     Layer = "none" // nothing is wrong
	LayerProber   Layer = "prober"
	LayerDNS      Layer = "dns"
	LayerNetwork  Layer = "network"
	LayerHost     Layer = "host"
	LayerBalancer Layer = "balancer"
	LayerProxy    Layer = "proxy"
	LayerLink     Layer = "link" // between proxy and backend
	LayerBackend  Layer = "backend"
)

// Layers lists the layers, none first, then from the prober outwards.
var Layers = []Layer{LayerNone, LayerProber, LayerDNS, LayerNetwork, LayerHost, LayerBalancer, LayerProxy, LayerLink, LayerBackend}

// Confidence says how far the evidence carries.
type Confidence string

// Confidences, from certain to none.
const (
	Confirmed         Confidence = "confirmed" // one suspect left and two independent observations agree
	Likely            Confidence = "likely"    // one best suspect
	Ambiguous         Confidence = "ambiguous" // several suspects, all listed
	UnknownConfidence Confidence = "unknown"
)

// Cause is what is wrong with a layer, one word of a closed list.
type Cause string
