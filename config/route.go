package config

import "slices"

// WantsTarget tells whether the receiver is for a target: it names it, has a pattern for it, or is for all.
func (r *Receiver) WantsTarget(name string) bool { return anyTarget(r.Targets, name) }

// WantsLayer tells whether the receiver asks for one of the layers that an incident may be of.
func (r *Receiver) WantsLayer(layers ...string) bool {
	asked := func(layer string) bool { return slices.Contains(r.Layers, Layer(layer)) }
	return len(r.Layers) == 0 || slices.ContainsFunc(layers, asked)
}

// anyTarget tells whether a list of names and patterns, of which an empty one is all, stands for a target.
func anyTarget(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return selects(p, name) })
}
