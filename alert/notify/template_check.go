package notify

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/whichlayer/whichlayer/config"
)

// Mistake is what is wrong with a template of the configuration.
type Mistake struct {
	// Key is the path of the template, such as receivers[1].title.
	Key string
	// Msg says what is wrong.
	Msg string
}

// CheckTemplates looks at every template of the receiver at path: whether it names only what there is, and whether it can
// be rendered for each transition, for few data and for many. A webhook's body has to be JSON each time.
func CheckTemplates(r config.Receiver, path string) (all []Mistake) {
	for _, s := range templatesOf(r) {
		if msg := checkTemplate(s); msg != "" {
			all = append(all, Mistake{path + "." + s.key, msg})
		}
	}
	return all
}

func checkTemplate(s source) string {
	t, err := parseTemplate(s.key, s.source)
	if err != nil {
		return "is not a template: " + bareTemplate(err, s.key)
	}
	if msg := unknownField(t); msg != "" {
		return msg
	}
	for _, x := range templateSamples() {
		text, err := render(t, x.m)
		if err != nil {
			return fmt.Sprintf("fails for %s: %s", x.name, bareTemplate(err, s.key))
		}
		if s.key == "webhook.body" && !json.Valid([]byte(text)) {
			return fmt.Sprintf("is not JSON for %s (write texts as {{json .Headline}}, without quotes around it): %s", x.name, badJSON(text))
		}
	}
	return ""
}

// bareTemplate is the error without the template's name.
func bareTemplate(err error, name string) string {
	text := strings.TrimPrefix(err.Error(), "template: ")
	return clip(strings.TrimPrefix(text, name+":"), 500)
}

// badJSON says where a text stops to be JSON.
func badJSON(text string) string {
	var v any
	err := json.Unmarshal([]byte(text), &v)
	return clip(fmt.Sprint(err), 200)
}

// unknownField finds a name that no value of a message has, also where no sample leads to. It does not tell which value
// a name belongs to: rendering does.
func unknownField(t *template.Template) string {
	known := fieldNames()
	for _, one := range t.Templates() {
		if one.Tree == nil {
			continue
		}
		for _, n := range fieldNodes(one.Root) {
			for _, name := range n.names {
				if slices.Contains(known, name) {
					continue
				}
				at, _ := one.ErrorContext(n.node)
				_, at, _ = strings.Cut(at, ":")
				return fmt.Sprintf("there is no .%s (at %s of the template); there are .%s", clip(name, 40), at, strings.Join(known, ", ."))
			}
		}
	}
	return ""
}

// fieldNames are those of a message, then those of its parts, each once.
func fieldNames() (names []string) {
	for _, x := range []any{Message{}, Member{}, LaneRow{}, Suspect{}, Innocent{}, Link{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(x)) {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// naming is a node of a template that names fields.
type naming struct {
	node  parse.Node
	names []string
}

// fieldNodes are all namings below a node.
func fieldNodes(n parse.Node) (out []naming) {
	switch x := n.(type) {
	case *parse.FieldNode:
		return []naming{{x, x.Ident}}
	case *parse.VariableNode:
		return []naming{{x, x.Ident[1:]}}
	case *parse.ChainNode:
		return append(fieldNodes(x.Node), naming{x, x.Field})
	}
	for _, c := range below(n) {
		out = append(out, fieldNodes(c)...)
	}
	return out
}

// below are a node's parts.
func below(n parse.Node) (out []parse.Node) {
	switch x := n.(type) {
	case *parse.ListNode:
		if x != nil {
			out = x.Nodes
		}
	case *parse.ActionNode:
		out = pipe(x.Pipe)
	case *parse.TemplateNode:
		out = pipe(x.Pipe)
	case *parse.IfNode:
		out = branch(&x.BranchNode)
	case *parse.RangeNode:
		out = branch(&x.BranchNode)
	case *parse.WithNode:
		out = branch(&x.BranchNode)
	case *parse.PipeNode:
		for _, c := range x.Cmds {
			out = append(out, c.Args...)
		}
	}
	return out
}

func branch(b *parse.BranchNode) []parse.Node {
	out := append(pipe(b.Pipe), b.List)
	if b.ElseList != nil {
		out = append(out, b.ElseList)
	}
	return out
}

func pipe(p *parse.PipeNode) []parse.Node {
	if p == nil {
		return nil
	}
	return []parse.Node{p}
}
