package probe

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

const (
	// vantageFresh is how long a look at the controls serves for other rounds that ask.
	vantageFresh   = time.Second
	vantageTimeout = 2 * time.Second
	// gatewayPort is where the default gateway is asked to answer when none is configured. Most refuse there, which is
	// an answer.
	gatewayPort = 9
)

// Vantage looks at hosts that have nothing to do with any target, to see whether the trouble is ours. One look serves
// all rounds that ask within a second.
type Vantage struct {
	specs []*laneSpec
	env   *Env
	// gateway finds the default gateway.
	gateway func() (netip.Addr, bool)

	fronts fronts

	mu     sync.Mutex
	at     time.Time
	last   []Lane
	served map[string]time.Time // when each control answered last
}

// NewVantage prepares the looks at the configured controls; the default gateway is found at each look.
func NewVantage(controls []config.Control, env *Env) *Vantage {
	v := &Vantage{env: env, gateway: defaultGateway}
	for _, c := range controls {
		v.specs = append(v.specs, vantageSpec(c.Name, RoleControl, c.Address, env))
	}
	return v
}

func vantageSpec(name string, role Role, a config.Address, env *Env) *laneSpec {
	s := controlSpec(LaneVantage, name, role, a, env)
	d := config.Duration(vantageTimeout)
	s.timeouts = config.Timeouts{Resolve: d, Connect: d}
	return s
}

// Look connects to every control at once. Whoever comes second while a look is under way gets its result.
func (v *Vantage) Look(ctx context.Context) []Lane {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.at) < vantageFresh {
		return v.last
	}
	specs := v.specs
	if gw, ok := v.gateway(); ok {
		specs = append(specs[:len(specs):len(specs)], vantageSpec("default gateway", RoleGateway, config.Address{Host: gw.String(), Port: gatewayPort}, v.env))
	}
	lanes := make([]Lane, len(specs))
	var wg sync.WaitGroup
	for i, s := range specs {
		wg.Go(func() { lanes[i] = v.look(ctx, s) })
	}
	wg.Wait()
	if ctx.Err() == nil {
		v.noteServed(lanes)
		v.at, v.last = time.Now(), lanes
	}
	return lanes
}

// noteServed tells each control when it last answered, so that one that always stays silent is not taken for news.
func (v *Vantage) noteServed(lanes []Lane) {
	if v.served == nil {
		v.served = map[string]time.Time{}
	}
	for i := range lanes {
		l := &lanes[i]
		key := l.Hop
		if l.Role == RoleGateway {
			key += " " + l.Address // another one may be of those that always stay silent
		}
		if l.Served = v.served[key]; l.answered() {
			v.served[key] = l.stage(StageConnect).Started
		}
	}
}

func (v *Vantage) look(ctx context.Context, s *laneSpec) Lane {
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // the round's end is a stage's business, as on other lanes
	defer end()
	a := &attempt{spec: s, env: v.env, lane: s.newLane(), roundDone: ctx.Done(), life: life}
	if pending := a.walk(); pending != nil {
		end()
		<-pending
	}
	return *a.lane
}
