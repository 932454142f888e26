package probe

import "github.com/whichlayer/whichlayer/config"

// Vantage looks at hosts that have nothing to do with any target.
type Vantage struct{}

// NewVantage prepares the looks at the configured controls and the default gateway.
func NewVantage(controls []config.Control) *Vantage { return &Vantage{} }
