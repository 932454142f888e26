package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when something comes again: a round of a target, a maintenance. The zero value means "not given".
type Schedule struct {
	// Spec is the text as it was given.
	Spec string
	// Every is the interval of an @every schedule, else 0.
	Every time.Duration
	// Cron is the parsed expression when Every is 0.
	Cron cron.Schedule
}

// cronParser reads 5 or 6 fields (seconds first) and the @hourly family.
var cronParser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Schedule) UnmarshalText(b []byte) (err error) {
	spec := strings.TrimSpace(string(b))
	defer func() {
		// robfig/cron panics on a zone without a field after it ("TZ=UTC").
		if recover() != nil {
			err = notSchedule(spec, errors.New("there is nothing after the time zone"))
		}
	}()
	if rest, ok := strings.CutPrefix(spec, "@every "); ok {
		every, err := time.ParseDuration(strings.TrimSpace(rest))
		if err != nil {
			return fmt.Errorf("%q: %q is not a duration, expected something like @every 10s", spec, rest)
		}
		if every < time.Second {
			return fmt.Errorf("%q: the interval must be at least 1s", spec)
		}
		*s = Schedule{Spec: spec, Every: every}
		return nil
	}
	c, err := cronParser.Parse(spec)
	if err != nil {
		return cronError(spec, err)
	}
	if c.Next(time.Now()).IsZero() {
		return fmt.Errorf("%q never fires", spec)
	}
	*s = Schedule{Spec: spec, Cron: c}
	return nil
}

// cronError names the field that is wrong and what may stand there, which the library's own error does not.
func cronError(spec string, err error) error {
	fields := strings.Fields(spec)
	if len(fields) > 0 && (strings.HasPrefix(fields[0], "TZ=") || strings.HasPrefix(fields[0], "CRON_TZ=")) {
		_, zone, _ := strings.Cut(fields[0], "=")
		if _, e := time.LoadLocation(zone); e != nil {
			return notSchedule(spec, fmt.Errorf("%q is not a time zone", zone))
		}
		fields = fields[1:]
	}
	if len(fields) > 0 && fields[0][0] == '@' {
		return notSchedule(spec, fmt.Errorf("there is no %s", fields[0]))
	}
	known := cronFields
	if len(fields) == 5 {
		known = known[1:]
	}
	if len(fields) != len(known) {
		return notSchedule(spec, fmt.Errorf("it has %d fields", len(fields)))
	}
	for i, f := range fields {
		try := slices.Repeat([]string{"*"}, len(known))
		try[i] = f
		if _, err := cronParser.Parse(strings.Join(try, " ")); err != nil {
			return fmt.Errorf("%q: field %d (%s) %q: expected %s, or a list, range or step such as 1,2 or 1-5 or */2",
				spec, i+1, known[i].name, f, known[i].want)
		}
	}
	return notSchedule(spec, err)
}

// cronFields are the fields of an expression and the values that each may have.
var cronFields = []struct{ name, want string }{
	{"second", "0 to 59"},
	{"minute", "0 to 59"},
	{"hour", "0 to 23"},
	{"day of month", "1 to 31"},
	{"month", "1 to 12 or jan to dec"},
	{"day of week", "0 to 6 or sun to sat"},
}

func notSchedule(spec string, err error) error {
	if _, e := time.ParseDuration(spec); e == nil {
		return fmt.Errorf("%q is not a schedule, expected @every %s", spec, spec)
	}
	return fmt.Errorf("%q is not a schedule: %w; expected cron with 5 or 6 fields, @hourly, @daily or @every DURATION", spec, err)
}

// MarshalText implements encoding.TextMarshaler.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.Spec), nil }

// IsZero tells whether no schedule was given.
func (s Schedule) IsZero() bool { return s.Spec == "" }

// Interval is the time between two runs: exact for @every, else that between the next two.
func (s Schedule) Interval(now time.Time) time.Duration {
	if s.Every > 0 {
		return s.Every
	}
	first := s.Cron.Next(now)
	return s.Cron.Next(first).Sub(first)
}

// zoned is a cron schedule that is meant in one zone, whatever the zone of the time that it is asked with. One with
// CRON_TZ= keeps its own.
type zoned struct {
	cron.Schedule
	zone *time.Location
}

// Next implements cron.Schedule.
func (z zoned) Next(t time.Time) time.Time { return z.Schedule.Next(t.In(z.zone)) }

// in fixes the zone in which the fields of a cron schedule are meant.
func (s *Schedule) in(zone *time.Location) {
	if s.Cron != nil {
		s.Cron = zoned{s.Cron, zone}
	}
}

// OptionalSchedule is a cron schedule that can be switched off. The zero value is off.
type OptionalSchedule struct{ Schedule }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *OptionalSchedule) UnmarshalText(b []byte) error {
	if string(b) == "off" {
		*s = OptionalSchedule{}
		return nil
	}
	var x Schedule
	if err := x.UnmarshalText(b); err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	if x.Every > 0 {
		return fmt.Errorf("%q %s, or off", x.Spec, wantCron)
	}
	s.Schedule = x
	return nil
}

// wantCron is what is wrong with an @every schedule where a fixed time is wanted: it would begin anew with each start.
const wantCron = "has no fixed time, expected cron with 5 or 6 fields such as 0 10 * * 1"

// MarshalText implements encoding.TextMarshaler.
func (s OptionalSchedule) MarshalText() ([]byte, error) {
	if s.Off() {
		return []byte("off"), nil
	}
	return s.Schedule.MarshalText()
}

// Off tells that there is none.
func (s OptionalSchedule) Off() bool { return s.IsZero() }
