package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when a target is probed. The zero value means "not given".
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

// cronError names the field that is wrong, which the library's own error does not.
func cronError(spec string, err error) error {
	fields := strings.Fields(spec)
	if len(fields) > 0 && (strings.HasPrefix(fields[0], "TZ=") || strings.HasPrefix(fields[0], "CRON_TZ=")) {
		fields = fields[1:]
	}
	names := []string{"second", "minute", "hour", "day of month", "month", "day of week"}
	good := []string{"*", "*", "*", "*", "*", "*"}
	if len(fields) == 5 {
		names, good = names[1:], good[1:]
	}
	if len(fields) != len(names) {
		return notSchedule(spec, err)
	}
	for i, f := range fields {
		try := append([]string(nil), good...)
		try[i] = f
		if _, err := cronParser.Parse(strings.Join(try, " ")); err != nil {
			return fmt.Errorf("%q: field %d (%s) %q: %w", spec, i+1, names[i], f, err)
		}
	}
	return notSchedule(spec, err)
}

func notSchedule(spec string, err error) error {
	if _, e := time.ParseDuration(spec); e == nil {
		return fmt.Errorf("%q is not a schedule, expected @every %s", spec, spec)
	}
	return fmt.Errorf("%q is not a schedule: %w; expected 5 or 6 fields, @every DURATION or @hourly", spec, err)
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
