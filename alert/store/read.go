package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/probe"
)

// ErrNoIncident says that there is no incident with an ID.
var ErrNoIncident = errors.New("there is no such incident")

// Filter picks incidents. What is zero picks all.
type Filter struct {
	// From and To pick incidents that went on at some time between.
	From, To time.Time
	Target   string
	Layer    probe.Layer
	States   []alert.State
	// Limit keeps only the last ones.
	Limit int
}

// where is the condition in SQL.
func (f Filter) where() (string, []any) {
	terms, args := []string{"1"}, []any{}
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if !f.From.IsZero() {
		add("(ends_at IS NULL OR ends_at >= ?)", nanos(f.From))
	}
	if !f.To.IsZero() {
		add("starts_at <= ?", nanos(f.To))
	}
	if f.Target != "" {
		add("target = ?", f.Target)
	}
	if f.Layer != "" {
		add("layer = ?", string(f.Layer))
	}
	if len(f.States) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?,", len(f.States)), ",")
		var values []any
		for _, s := range f.States {
			values = append(values, string(s))
		}
		add("state IN ("+marks+")", values...)
	}
	return strings.Join(terms, " AND "), args
}

// Incidents are those that a filter picks, in the order of their starts.
func (d *DB) Incidents(ctx context.Context, f Filter) (out []*alert.Incident, err error) {
	where, args := f.where()
	query := "SELECT json FROM incidents WHERE " + where + " ORDER BY starts_at DESC, id DESC"
	if f.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, f.Limit)
	}
	err = d.rows(ctx, d.read, query, args, func(r *sql.Rows) error {
		x := &alert.Incident{}
		out = append(out, x)
		return d.scan(r, x)
	})
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	slices.Reverse(out)
	return out, nil
}

// Story is all that is kept of one incident.
type Story struct {
	Incident   *alert.Incident
	Events     []alert.Event
	Deliveries []alert.Delivery
}

// Incident is the one whose ID begins with a text. The error names all of several.
func (d *DB) Incident(ctx context.Context, id string) (*Story, error) {
	var ids []string
	err := d.rows(ctx, d.read, "SELECT id FROM incidents WHERE substr(id, 1, length(?)) = ? ORDER BY id = ? DESC, id LIMIT 10", []any{id, id, id},
		func(r *sql.Rows) error {
			var x string
			err := r.Scan(&x)
			ids = append(ids, x)
			return err
		})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read incidents: %w", err)
	case len(ids) == 0 || id == "":
		return nil, fmt.Errorf("%w: %q", ErrNoIncident, id)
	case len(ids) > 1 && ids[0] != id:
		return nil, fmt.Errorf("%q begins the IDs of several incidents: %s", id, strings.Join(ids, ", "))
	}
	return d.story(ctx, ids[0])
}

func (d *DB) story(ctx context.Context, id string) (*Story, error) {
	s := &Story{Incident: &alert.Incident{}}
	err := d.rows(ctx, d.read, "SELECT json FROM incidents WHERE id = ?", []any{id}, func(r *sql.Rows) error { return d.scan(r, s.Incident) })
	if err != nil {
		return nil, fmt.Errorf("read incident %q: %w", id, err)
	}
	err = d.rows(ctx, d.read, "SELECT json FROM events WHERE incident = ? ORDER BY seq", []any{id}, func(r *sql.Rows) error {
		var x alert.Event
		err := d.scan(r, &x)
		s.Events = append(s.Events, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the course of %q: %w", id, err)
	}
	s.Deliveries, err = d.deliveries(ctx, d.read, "incident = ?", id)
	return s, err
}

// History are the spans of a target, or of all with an empty name, that lie in a time at least in part, oldest first.
func (d *DB) History(ctx context.Context, target string, from, to time.Time) (out []alert.Span, err error) {
	query := "SELECT target, first, last, state, layer, cause, rounds, front_sum, front_max FROM history WHERE (? = '' OR target = ?) AND last >= ? AND first <= ? ORDER BY first"
	err = d.rows(ctx, d.read, query, []any{target, target, nanos(from), nanos(to)}, func(r *sql.Rows) error {
		var x alert.Span
		var first, last int64
		err := r.Scan(&x.Target, &first, &last, &x.State, &x.Layer, &x.Cause, &x.Rounds, &x.FrontSum, &x.FrontMax)
		x.From, x.To = instant(first), instant(last)
		out = append(out, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return out, nil
}
