package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

const explainLong = `Say in plain words what a verdict means: what happened, what it means for users and who
is not to blame, where to look first, and whom to ask.

WORDS are a cause (frozen), a layer (proxy), both (proxy/frozen, or "proxy, frozen" as in
an alert), a type of failure (tls.timed_out) or HAProxy's code for it (L6TOUT).
Without WORDS it lists all causes by layer.`

func newExplainCmd() *cobra.Command {
	var color string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [WORDS...]",
		Short: "say what a cause means, where to look first and whom to ask",
		Long:  explainLong,
		Example: `  whichlayer explain
  whichlayer explain frozen
  whichlayer explain network/port_dropped
  whichlayer explain L6TOUT`,
		ValidArgsFunction: completeExplain,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := newTerminal(cmd.OutOrStdout(), color, os.Getenv)
			if err != nil {
				return err
			}
			what, err := lookUp(strings.Join(args, " "))
			if err != nil {
				return usageError{err}
			}
			return what.write(cmd.OutOrStdout(), t, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per cause and line")
	cmd.Flags().StringVar(&color, "color", "auto", "colours: auto, always or never")
	return cmd
}

// topic is what somebody wants explained: suspects, as a list or each at length, or types of failure.
type topic struct {
	list     bool
	suspects []probe.Suspect
	code     probe.Code
	types    []probe.Type
}

// lookUp finds what words mean. Case, hyphens, commas and the like do not matter.
func lookUp(words string) (*topic, error) {
	if strings.TrimSpace(words) == "" {
		return &topic{list: true, suspects: suspectsOf(func(probe.Suspect) bool { return true })}, nil
	}
	key := plainWord(words)
	if t := typesOf(key); t != nil {
		return t, nil
	}
	key = strings.ReplaceAll(key, ".", "_")
	if slices.Contains(probe.Layers, probe.Layer(key)) {
		return &topic{list: true, suspects: suspectsOf(func(s probe.Suspect) bool { return string(s.Layer) == key })}, nil
	}
	if slices.Contains(probe.Causes, probe.Cause(key)) {
		return &topic{suspects: suspectsOf(func(s probe.Suspect) bool { return string(s.Cause) == key })}, nil
	}
	return lookUpBoth(words, key)
}

// lookUpBoth finds a layer and a cause written together.
func lookUpBoth(words, key string) (*topic, error) {
	layer, cause, _ := strings.Cut(key, "_")
	if !slices.Contains(probe.Layers, probe.Layer(layer)) || !slices.Contains(probe.Causes, probe.Cause(cause)) {
		return nil, unknownWord(words, key)
	}
	exact := suspectsOf(func(s probe.Suspect) bool { return string(s.Layer) == layer && string(s.Cause) == cause })
	if len(exact) > 0 {
		return &topic{suspects: exact}, nil
	}
	var layers []string
	for _, s := range suspectsOf(func(s probe.Suspect) bool { return string(s.Cause) == cause }) {
		layers = append(layers, string(s.Layer))
	}
	return nil, fmt.Errorf("%s is no cause of the layer %s, but of %s", cause, layer, strings.Join(layers, ", "))
}

// plainWord writes words as identifiers are: "Proxy, port-dropped (likely)" becomes proxy_port_dropped.
func plainWord(s string) string {
	key := strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.'
	}), "_")
	for _, c := range []probe.Confidence{probe.Confirmed, probe.Likely, probe.Ambiguous} {
		key = strings.TrimSuffix(key, "_"+string(c))
	}
	return key
}

// typesOf finds a type of failure, or the types of a code; nil if the key is neither.
func typesOf(key string) *topic {
	if t := probe.Type(key); t.Known() {
		return &topic{types: []probe.Type{t}}
	}
	t := &topic{code: probe.Code(strings.ToUpper(key))}
	for _, u := range probe.Types() {
		if u.Code() == t.code {
			t.types = append(t.types, u)
		}
	}
	if key == "" || len(t.types) == 0 {
		return nil
	}
	return t
}

// suspectsOf lists the suspects that have words and that one asks for, those without a layer last.
func suspectsOf(wanted func(probe.Suspect) bool) (out []probe.Suspect) {
	var none []probe.Suspect
	for _, s := range alert.Explained() {
		switch {
		case !wanted(s):
		case s.Layer == probe.LayerNone:
			none = append(none, s)
		default:
			out = append(out, s)
		}
	}
	return append(out, none...)
}

// unknownWord says what is near to a word that nobody knows.
func unknownWord(words, key string) error {
	if layer, rest, found := strings.Cut(key, "_"); found && slices.Contains(probe.Layers, probe.Layer(layer)) {
		key = rest
	}
	names := explainNames()
	text := fmt.Sprintf("nothing is known of %q", clipped(words))
	var near []string
	for _, n := range names {
		if len(key) >= 3 && strings.Contains(n, key) {
			near = append(near, n)
		}
	}
	if one := config.Nearest(key, names); len(near) == 0 && one != "" {
		near = []string{one}
	}
	switch {
	case len(near) == 0:
		text += "; 'whichlayer explain' lists all causes"
	case len(near) == 1:
		text += ", did you mean " + near[0] + "?"
	case len(near) <= 8:
		text += ", did you mean one of " + strings.Join(near, ", ") + "?"
	default:
		text += ", which is a part of " + strings.Join(near[:8], ", ") + " and others"
	}
	return errors.New(text)
}

// clipped keeps a foreign word within a line.
func clipped(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// explainNames are all words that explain knows by themselves.
func explainNames() (names []string) {
	for _, c := range probe.Causes {
		names = append(names, string(c))
	}
	for _, l := range probe.Layers[1:] {
		names = append(names, string(l))
	}
	for _, t := range probe.Types() {
		names = append(names, string(t))
	}
	return names
}

// completeExplain offers what begins as what was typed, each with a word of what it is.
func completeExplain(_ *cobra.Command, args []string, typed string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	offer := func(name, is string) {
		if strings.HasPrefix(name, strings.ToLower(typed)) {
			out = append(out, cobra.CompletionWithDesc(name, is))
		}
	}
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, c := range probe.Causes {
		var layers []string
		for _, s := range suspectsOf(func(s probe.Suspect) bool { return s.Cause == c }) {
			layers = append(layers, string(s.Layer))
			if strings.Contains(typed, "/") {
				offer(string(s.Layer)+"/"+string(c), alert.Explain(s).Happened)
			}
		}
		offer(string(c), strings.Join(layers, ", "))
	}
	for _, l := range probe.Layers[1:] {
		offer(string(l), alert.LayerIs(l))
	}
	for _, t := range probe.Types() {
		offer(string(t), alert.TypeMeans(t))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
