package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/probe"
	"github.com/whichlayer/whichlayer/probe/tcpinfo"
)

// verboseText is everything else that is known of a lane: addresses, certificate, answer, counters.
func (w *waterfall) verboseText(l *probe.Lane) []string {
	var lines []string
	add := func(label, text string) {
		if text == "" {
			return
		}
		lines = append(lines, w.paint(faint, fmt.Sprintf("%-9s ", label))+wrap(w.clean(text), textMargin+10, w.width))
	}
	add("name", l.Name)
	add("addresses", strings.Join(l.Addresses, " "))
	add("local", l.Local)
	add("request", l.RequestID)
	add("tls", tlsText(l.TLS))
	add("http", httpText(l.HTTP))
	if l.Hanging {
		add("attempt", "left open, to see when it ends")
	}
	for i := range l.Stages {
		if s := &l.Stages[i]; s.TCPInfo != nil {
			add(string(s.Stage), counters(s.TCPInfo))
		}
	}
	return lines
}

func tlsText(f *probe.TLSFacts) string {
	if f == nil {
		return ""
	}
	parts := []string{f.Version, f.Cipher}
	if f.Subject != "" {
		parts = append(parts, "subject "+f.Subject)
	}
	if f.Issuer != "" {
		parts = append(parts, "issuer "+f.Issuer)
	}
	if len(f.Names) > 0 {
		parts = append(parts, "names "+strings.Join(f.Names, " "))
	}
	if !f.NotAfter.IsZero() {
		parts = append(parts, "valid until "+f.NotAfter.UTC().Format(time.RFC3339))
	}
	return strings.Join(nonEmpty(parts), ", ")
}

func httpText(f *probe.HTTPFacts) string {
	if f == nil {
		return ""
	}
	parts := []string{fmt.Sprintf("%s %d", f.Proto, f.Status), fmt.Sprintf("%d bytes of body", f.BodyBytes)}
	if f.Server != "" {
		parts = append(parts, "server "+f.Server)
	}
	if f.Location != "" {
		parts = append(parts, "location "+f.Location)
	}
	if !f.Date.IsZero() {
		parts = append(parts, "date "+f.Date.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, ", ")
}

// counters writes every counter that is not zero, by the names and in the order of the JSON form.
func counters(i *tcpinfo.Info) string {
	raw, err := json.Marshal(i)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, field := range strings.Split(strings.Trim(string(raw), "{}"), ",") {
		name, value, _ := strings.Cut(strings.ReplaceAll(field, `"`, ""), ":")
		if value != "0" && value != "false" && value != "true" {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, " ")
}

func nonEmpty(in []string) (out []string) {
	for _, s := range in {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
