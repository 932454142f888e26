package alert

import "github.com/whichlayer/whichlayer/probe"

// TypeMeans says in a sentence what a type of failure is; empty for one that is not of the closed list.
func TypeMeans(t probe.Type) string { return typeMeans[t] }

var typeMeans = map[probe.Type]string{
	probe.DNSNotResolved:     "The name server says that the name does not exist or has no address.",
	probe.DNSTimedOut:        "No name server answered in time.",
	probe.DNSFailed:          "The name server answered with an error, such as SERVFAIL.",
	probe.DNSRefused:         "The name server refused to answer this prober.",
	probe.DNSUnreachable:     "The name server's host or port is unreachable.",
	probe.DNSInvalid:         "What came back is no DNS message, or not an answer to our question.",
	probe.DNSAddressChanged:  "The name resolved to an address that is not one of the expected ones.",
	probe.TCPTimedOut:        "Nothing answered the request to open a connection.",
	probe.TCPRefused:         "The connection was refused: nobody listens there, or a packet filter says so.",
	probe.TCPReset:           "The connection was reset as soon as it was open.",
	probe.TCPUnreachable:     "A router or a host said that the address is unreachable.",
	probe.TCPFailed:          "The connection could not be opened for another reason, which the error names.",
	probe.ForwardProxyFailed: "The forward proxy was not reached, or did not connect to the service.",
	probe.TLSTimedOut:        "The connection is open, and the other side did not finish the TLS handshake in time.",
	probe.TLSClosed:          "The other side closed the connection in the middle of the TLS handshake.",
	probe.TLSReset:           "The connection was reset in the middle of the TLS handshake.",
	probe.TLSAlert:           "The other side ended the TLS handshake with an alert that says why.",
	probe.TLSProtocol:        "What came back is not TLS.",
	probe.TLSStartTLS:        "The talk in clear text that should lead to TLS did not get there.",
	probe.TLSCertDate:        "The certificate has expired or is not valid yet.",
	probe.TLSCertName:        "The certificate is for another name.",
	probe.TLSCertAuthority:   "The certificate is signed by an authority that is not trusted here.",
	probe.TLSCertInvalid:     "The certificate is not valid for another reason, which the error names.",
	probe.HTTPTimedOut:       "The request was sent, and no answer began in time.",
	probe.HTTPClosed:         "The other side closed the connection in place of an answer.",
	probe.HTTPReset:          "The connection was reset in place of an answer.",
	probe.HTTPInvalid:        "What came back is not HTTP.",
	probe.HTTPStatus:         "The answer has a status that is not expected, such as 500.",
	probe.HTTPBodyStalled:    "The answer began and did not end in time.",
	probe.HTTPBodyTruncated:  "The answer ended before the length that it had announced.",
	probe.HTTPExpectation:    "The answer does not hold what is expected of it.",
	probe.AppTimedOut:        "The other side did not answer a step of the dialogue in time.",
	probe.AppClosed:          "The other side closed the connection in the middle of the dialogue.",
	probe.AppReset:           "The connection was reset in the middle of the dialogue.",
	probe.AppExpectation:     "The other side answered a step of the dialogue with something else than expected.",
	probe.SelfOutOfFiles:     "This prober could open no more files or connections.",
	probe.SelfOutOfPorts:     "This prober had no local port left to connect from.",
	probe.SelfOutOfBuffers:   "This prober's kernel had no memory left for the network.",
	probe.SelfNoRoute:        "This prober's host has no way out to that address.",
	probe.SelfDenied:         "This prober's own host forbids the connection.",
	probe.SelfPaused:         "This prober did not run for a while, so this look counts for nothing.",
	probe.SelfStopped:        "This prober was being stopped, so this look counts for nothing.",
	probe.SelfFailed:         "This prober failed by itself: a defect, or a file that is missing.",
}

// CodeMeans says in a sentence what one of HAProxy's codes is; empty for one that no type has.
func CodeMeans(c probe.Code) string { return codeMeans[c] }

var codeMeans = map[probe.Code]string{
	"L4TOUT": "Timeout at layer 4 (TCP): the connection did not open in time.",
	"L4CON":  "Connection problem at layer 4 (TCP): it was refused, was reset or found no way.",
	"L6TOUT": "Timeout at layer 6 (TLS): the connection opened, and the TLS handshake did not end in time.",
	"L6RSP":  "Bad response at layer 6 (TLS): the handshake failed or showed a bad certificate.",
	"L7TOUT": "Timeout at layer 7 (HTTP): the request was sent, and the answer did not come, or not all of it, in " +
		"time.",
	"L7RSP":   "Bad response at layer 7 (HTTP): the answer did not come, is broken, or is not the expected one.",
	"L7STS":   "Bad status at layer 7 (HTTP): the answer has a status that is not expected.",
	"SOCKERR": "Socket error: the prober itself could not do it.",
}
