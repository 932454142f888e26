package alert

import (
	"testing"
	"time"
	"unsafe"
)

// calendar gives the instants of a simulated world by how long it goes on. They are like those of time.Now: a wall clock's
// reading, which steps when somebody sets the clock, and a monotonic one, which does not.
type calendar struct{ steps []clockStep }

// clockStep sets the wall clock by an amount.
type clockStep struct{ at, by time.Duration }

// wall1885 are the seconds from 1885, where a time with a monotonic reading counts from, to 1970.
const wall1885 = 2682288000

// at is the instant so long after the begin. No function of package time makes a time with a monotonic reading of one's
// choice, so it is put together by hand, as time.go describes it.
func (c *calendar) at(d time.Duration) time.Time {
	wall := epoch.Add(d + c.offset(d))
	raw := struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}{1<<63 | uint64(wall.Unix()+wall1885)<<30 | uint64(wall.Nanosecond()), int64(d) + 1, nil}
	return *(*time.Time)(unsafe.Pointer(&raw))
}

// offset is by how much the wall clock was set until an instant.
func (c *calendar) offset(d time.Duration) (by time.Duration) {
	for _, s := range c.steps {
		if s.at <= d {
			by += s.by
		}
	}
	return by
}

// since is how long after the begin an instant is: exactly if it has a monotonic reading or if the clock is never set.
func (c *calendar) since(t time.Time) time.Duration { return t.Sub(c.at(0)) }

func TestCalendar(t *testing.T) {
	c := &calendar{steps: []clockStep{{time.Minute, -time.Hour}}}
	a, b := c.at(30*time.Second), c.at(90*time.Second)
	if d := b.Sub(a); d != time.Minute {
		t.Errorf("by the monotonic clock %v lie between, want 1m0s", d)
	}
	if d := b.Round(0).Sub(a.Round(0)); d != time.Minute-time.Hour {
		t.Errorf("by the wall clock %v lie between, want -59m0s", d)
	}
	if d := c.since(b.Add(time.Second)); d != 91*time.Second {
		t.Errorf("since is %v, want 1m31s", d)
	}
	if d := c.since(b.UTC()); d != 90*time.Second-time.Hour { // UTC drops the monotonic reading, as it does in the code under test
		t.Errorf("by the wall clock alone it is %v", d)
	}
	if want := epoch.Add(30 * time.Second); !a.Round(0).Equal(want) || a.Location() != time.UTC {
		t.Errorf("the wall clock shows %v, want %v", a, want)
	}
}
