package alert

import (
	"strings"

	"github.com/whichlayer/whichlayer/probe"
)

// wordsOf are [boxWords] for a layer.
func wordsOf(box string) map[probe.Cause]Words {
	name, out := strings.NewReplacer("BOX", box), map[probe.Cause]Words{}
	for cause, w := range boxWords {
		out[cause] = Words{name.Replace(w.Happened), name.Replace(w.Means), name.Replace(w.Next), name.Replace(w.Ask)}
	}
	return out
}

// boxWords are for what a balancer and a proxy have in common, because it can be looked at from outside: their
// certificates, what they say in TLS, and what they answer. BOX is the layer's name.
var boxWords = map[probe.Cause]Words{
	probe.CauseCertExpired: {
		Happened: "the BOX's certificate has expired or is not valid yet",
		Means: "Browsers and programs refuse the certificate, so users see a warning or an error; the " +
			"network, the hosts and the backend are not to blame.",
		Next: "Run `openssl s_client -connect ADDRESS:443 -servername NAME </dev/null | openssl x509 -noout " +
			"-dates`, and compare with the file on the BOX.",
		Ask: "Ask those who run the BOX whether a new certificate is there and the program was " +
			"told to load it.",
	},
	probe.CauseCertExpires: {
		Happened: "the BOX's certificate ends soon",
		Means:    "Users are served until the certificate ends, and not a second longer.",
		Next: "Run `openssl s_client -connect ADDRESS:443 -servername NAME </dev/null | openssl x509 -noout " +
			"-dates`, and look why it was not renewed.",
		Ask: "Ask those who run the BOX to renew the certificate and to load it.",
	},
	probe.CauseCertName: {
		Happened: "the BOX's certificate is for another name",
		Means: "Browsers and programs refuse the certificate; a wrong certificate was loaded, or the name " +
			"leads to a machine that serves others.",
		Next: "Run `openssl s_client -connect ADDRESS:443 -servername NAME </dev/null | openssl x509 -noout " +
			"-subject -ext subjectAltName`.",
		Ask: "Ask those who run the BOX which certificate was loaded last, and whether the address " +
			"is still the service's.",
	},
	probe.CauseCertAuthority: {
		Happened: "the BOX's certificate is signed by an unknown authority",
		Means: "Browsers and programs do not trust the certificate: its issuer is not known, or the " +
			"certificate in between is not sent along.",
		Next: "Run `openssl s_client -connect ADDRESS:443 -servername NAME -showcerts </dev/null` and see " +
			"whether each issuer (i:) is the next one's subject (s:).",
		Ask: "Ask those who run the BOX whether the whole chain is installed, and those who run " +
			"this prober whether its `ca_file:` is the right one.",
	},
	probe.CauseCertInvalid: {
		Happened: "the BOX's certificate is not valid",
		Means: "Browsers and programs refuse the certificate; the network, the hosts and the backend are not " +
			"to blame.",
		Next: "Read the error in the evidence, then `openssl s_client -connect ADDRESS:443 -servername NAME " +
			"</dev/null | openssl x509 -noout -text`.",
		Ask: "Ask those who run the BOX which certificate was loaded last.",
	},
	probe.CauseTLSRefused: {
		Happened: "the BOX refuses the TLS handshake",
		Means: "The BOX lives and answers that it will not speak TLS with us: no common version or " +
			"cipher, a client certificate that it wants, or a name that it does not know.",
		Next: "Compare `openssl s_client -connect ADDRESS:443 -servername NAME -tls1_2 </dev/null` with " +
			"`-tls1_3`, and read the alert in the evidence.",
		Ask: "Ask those who run the BOX whether its TLS versions, ciphers or client certificates " +
			"were changed.",
	},
	probe.CauseNotTLS: {
		Happened: "the BOX's port does not speak TLS",
		Means: "Another program answers on this port, or the BOX was set to answer without TLS; the " +
			"network and the hosts are not to blame.",
		Next: "See what answers with `curl -v http://ADDRESS:443/`, and on its host who listens with `ss " +
			"-ltnp 'sport = :443'`.",
		Ask: "Ask those who run the BOX what was started or changed on this port.",
	},
	probe.CauseErrorStatus: {
		Happened: "the BOX answers with an error status",
		Means: "Users get an error page that the BOX itself has made; the network up to it is not to " +
			"blame.",
		Next: "Compare `curl -v --resolve NAME:443:ADDRESS https://NAME/PATH` with the same path asked of " +
			"the backend, and read the BOX's error log.",
		Ask: "Ask those who run the BOX why it gives this status: a rule, a limit, or a backend " +
			"that it takes for dead.",
	},
	probe.CauseNoAnswer: {
		Happened: "the BOX takes requests and does not answer them",
		Means: "Users connect, ask and wait in vain: the BOX or what stands behind it is stuck; the " +
			"network up to it is not to blame.",
		Next: "Read the BOX's log for requests that have no end, and ask the backend directly with " +
			"`curl -v`.",
		Ask: "Ask those who run the BOX where it sends these requests and what they wait for there.",
	},
	probe.CauseCloses: {
		Happened: "the BOX closes connections without an answer",
		Means:    "Users get an error in place of a page; the network up to the BOX is not to blame.",
		Next:     "Read the BOX's log at the start time, and ask the backend directly with `curl -v`.",
		Ask: "Ask those who run the BOX why it ends these connections: a crash, a limit, or a " +
			"backend that ends them first.",
	},
	probe.CauseBodyStalled: {
		Happened: "the BOX begins its answer and does not end it",
		Means:    "Users see half a page and wait; the way there works, since the beginning arrived.",
		Next: "Compare `curl -v --resolve NAME:443:ADDRESS https://NAME/PATH -o /dev/null` with the same " +
			"path asked of the backend.",
		Ask: "Ask those who run the BOX whether its buffers, its disk or its connection to the " +
			"backend is full.",
	},
	probe.CauseBodyTruncated: {
		Happened: "the BOX's answer is cut short",
		Means: "Users get a part of the page as if it were all; the way there works, since the beginning " +
			"arrived.",
		Next: "Compare the length that `curl -so /dev/null -w '%{size_download}\\n' URL` gives here with " +
			"the backend's.",
		Ask: "Ask those who run the BOX for errors between it and the backend, and for limits on " +
			"size or time.",
	},
	probe.CauseWrongContent: {
		Happened: "the BOX's answer is not what is expected",
		Means: "Users get an answer, and a wrong one, which the BOX has made or fetched from the wrong place; the network " +
			"up to it is not to blame.",
		Next: "Compare `curl -s --resolve NAME:443:ADDRESS https://NAME/PATH` with the same path asked of " +
			"the backend.",
		Ask: "Ask those who run the BOX where it sends this path, and whether it answers from a " +
			"cache or with a page of its own.",
	},
	probe.CauseNotHTTP: {
		Happened: "the BOX's answer is not HTTP",
		Means: "Something answers that browsers do not understand: another program, or another protocol than " +
			"expected; the network is not to blame.",
		Next: "Read the first bytes with `curl -v --http0.9 URL --output - | head -c 200`.",
		Ask:  "Ask those who run the BOX where it sends this port's connections.",
	},
}
