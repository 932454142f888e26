package probe

import (
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

func TestPatience(t *testing.T) {
	full := config.Timeouts{
		Resolve: config.Duration(3 * time.Second), Connect: config.Duration(4 * time.Second), TLS: config.Duration(3 * time.Second),
		Request: config.Duration(5 * time.Second), Response: config.Duration(time.Second),
	}
	spec := &laneSpec{kind: LaneFront, timeouts: full}
	lane := func(request time.Duration) []Lane {
		return []Lane{{Lane: LaneFront, Stages: []Stage{
			{Stage: StageConnect, Outcome: OK, Duration: Seconds(time.Millisecond)},
			{Stage: StageRequest, Outcome: OK, Duration: Seconds(request)},
			{Stage: StageResponse, Outcome: OK, Duration: Seconds(time.Millisecond)},
		}}}
	}
	var p patience
	p.note(lane(600*time.Millisecond), true)
	for range sureAfter - 1 {
		p.note(nil, false)
	}
	if got := p.timeouts(spec); got != full {
		t.Errorf("before it is sure: %+v", got)
	}
	p.note(nil, false)
	want := full
	want.Request = config.Duration(3 * time.Second)
	if got := p.timeouts(spec); got != want {
		t.Errorf("sure of a failure: %+v, want %+v: connects and stages never seen good keep their time, one that takes long gets five times as long", got, want)
	}
	p.restore()
	if got := p.timeouts(spec); got != full {
		t.Errorf("after a late answer: %+v", got)
	}
	for range sureAfter {
		p.note(nil, false)
	}
	p.note(lane(time.Millisecond), true)
	if got := p.timeouts(spec); got != full {
		t.Errorf("after a good round: %+v", got)
	}
}
