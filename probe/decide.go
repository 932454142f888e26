package probe

// deciders says what would tell two layers apart that the evidence leaves side by side. Nobody outside can look there.
var deciders = map[[2]Layer]string{
	{LayerProber, LayerNetwork}:   "the same probe from another host in this network would tell, or a packet capture on this host's interface",
	{LayerProber, LayerDNS}:       "the same question from another host would tell",
	{LayerProber, LayerProxy}:     "the same probe from another host would tell",
	{LayerDNS, LayerNetwork}:      "a capture at the name server would tell whether the questions arrive",
	{LayerNetwork, LayerHost}:     "a prober in the host's own network would tell, or the host's console",
	{LayerNetwork, LayerBalancer}: "an agent on the balancer would tell: its listen queue, and whether the packets arrive",
	{LayerNetwork, LayerProxy}:    "an agent on the proxy's host would tell: its listen queue, its process' state, and whether the packets arrive",
	{LayerNetwork, LayerLink}:     "a capture at the proxy would tell on which side the packets are lost",
	{LayerNetwork, LayerBackend}:  "a capture at the backend would tell whether the packets arrive",
	{LayerHost, LayerBalancer}:    "an agent on the balancer's host would tell",
	{LayerHost, LayerProxy}:       "an agent on the proxy's host would tell",
	{LayerHost, LayerBackend}:     "an agent on the backend's host would tell",
	{LayerBalancer, LayerProxy}:   "a lane that addresses each proxy directly (via) would tell, or an agent on the balancer",
	{LayerBalancer, LayerLink}:    "a lane that addresses each proxy directly (via) would tell",
	{LayerBalancer, LayerBackend}: "a lane that addresses the backend directly would tell",
	{LayerProxy, LayerLink}:       "an agent on the proxy's host would tell: connections to the backend in SYN_SENT are the link's, none are the proxy's",
	{LayerProxy, LayerBackend}:    "a lane that addresses the backend directly would tell, or the proxy's log",
	{LayerLink, LayerBackend}:     "an agent on the proxy's host would tell: does its connection to the backend stand?",
	{LayerNetwork, LayerNetwork}:  "a capture at the host would tell in which direction the packets are lost",
	{LayerProxy, LayerProxy}:      "an agent on the proxy's host would tell: its listen queue, its process' state, its descriptors, its log",
	{LayerBackend, LayerBackend}:  "an agent on the backend's host would tell",
}

// whatDecides says for the suspects that are left what would tell them apart, the likeliest pair first.
func whatDecides(suspects []Suspect) (out []string) {
	for i := 1; i < len(suspects); i++ {
		a, b := suspects[0].Layer, suspects[i].Layer
		s, ok := deciders[[2]Layer{a, b}]
		if !ok {
			s, ok = deciders[[2]Layer{b, a}]
		}
		if ok && (len(out) == 0 || out[len(out)-1] != s) {
			out = append(out, s)
		}
	}
	return out
}
