// Package lab is a front, a TLS proxy and a backend on loopback that break on cue, for tests and for the demo.
//
// [Start] brings up a [Chain]: a name server, a proxy that terminates TLS and relays to a backend as stunnel does, the
// backend, and a control port beside each of them; with [Options.Balancer] a TCP balancer stands before the proxy.
// Nothing needs root or a network. [Chain.Break] sets one [Fault] and [Chain.Mend] ends it; several may hold at once.
// [Chain.Config] and [Chain.YAML] are the matching configuration.
//
// The faults are real as far as the prober's kernel can tell. A frozen process leaves its sockets open and calls
// neither accept nor read nor write, while the kernel goes on completing handshakes and acknowledging data, and on
// thawing it goes on with what has queued up. A killed process leaves closed sockets. What the proxy does when its
// backend refuses (a reset without close_notify) or closes (a clean close_notify) was measured on stunnel 5.
//
// [Tricks] are servers that mean harm: endless headers, compression bombs, broken TLS records. [Imitations] are servers
// at the proxy's address that look as if something else were broken.
package lab
