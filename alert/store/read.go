package store

import (
	"cmp"
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

var (
	// ErrNoIncident says that there is no incident with an ID.
	ErrNoIncident = errors.New("there is no such incident")
	// ErrSeveralIncidents says that an ID's beginning is not enough to tell which one.
	ErrSeveralIncidents = errors.New("the IDs of several incidents begin so")
)

// Filter picks incidents. What is zero picks all.
type Filter struct {
	// From and To pick incidents that went on at some time between.
	From, To time.Time
	// Target is a name, or a pattern with * and ?.
	Target string
	// Layer is one that is suspected.
	Layer  probe.Layer
	States []alert.State
	// Prefix is the beginning of an ID.
	Prefix string
	// Limit keeps only the last ones.
	Limit int
}

// where is the condition in SQL.
func (f Filter) where() (string, []any) {
	terms, args := []string{"1"}, []any{}
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if !f.From.IsZero() {
		add("(over_at IS NULL OR over_at >= ?)", nanos(f.From))
	}
	if !f.To.IsZero() {
		add("starts_at <= ?", nanos(f.To))
	}
	if f.Target != "" {
		add("(target = ? OR target GLOB ?)", f.Target, f.Target)
	}
	if f.Layer != "" {
		add("instr(layers, ?) > 0", " "+string(f.Layer)+" ")
	}
	if f.Prefix != "" {
		add("substr(id, 1, length(?)) = ?", f.Prefix, f.Prefix)
	}
	if len(f.States) > 0 {
		var values []any
		for _, s := range f.States {
			values = append(values, string(s))
		}
		add("state IN (?"+strings.Repeat(",?", len(values)-1)+")", values...)
	}
	return strings.Join(terms, " AND "), args
}

// Incidents are those that a filter picks, in the order of their starts.
func (d *DB) Incidents(ctx context.Context, f Filter) ([]*alert.Incident, error) {
	db, err := d.reader()
	if err != nil {
		return nil, err
	}
	where, args := f.where()
	order := " ORDER BY starts_at DESC, id DESC"
	if f.Limit > 0 {
		order, args = order+" LIMIT ?", append(args, f.Limit)
	}
	out, err := d.incidents(ctx, db, where+order, args...)
	slices.Reverse(out)
	return out, err
}

func (d *DB) incidents(ctx context.Context, db *sql.DB, where string, args ...any) (out []*alert.Incident, err error) {
	query := "SELECT id, target, state, starts_at, ends_at, layer, cause, confidence, json FROM incidents WHERE " + where
	err = rows(ctx, db, query, args, func(r *sql.Rows) error {
		var x, whole alert.Incident
		var start int64
		var end sql.NullInt64
		var data []byte
		v := &x.Verdict
		if err := r.Scan(&x.ID, &x.Target, &x.State, &start, &end, &v.Layer, &v.Cause, &v.Confidence, &data); err != nil {
			return err
		}
		if err := d.codec.decode(data, &whole); err == nil && whole.ID == x.ID {
			out = append(out, &whole)
			return nil
		}
		// What is damaged is shown as far as it is known.
		v.State, x.Reason = probe.Unknown, "what else was kept of it is damaged"
		x.StartsBefore, x.StartsAt = instant(start), instant(start)
		if end.Valid {
			t := instant(end.Int64)
			x.EndsAfter, x.EndsBefore, x.EndsAt = &t, &t, &t
		}
		out = append(out, &x)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	return out, nil
}

// Story is all that is kept of one incident.
type Story struct {
	Incident   *alert.Incident
	Events     []alert.Event
	Deliveries []alert.Delivery
}

// maxNamed bounds how many incidents an error names.
const maxNamed = 10

// Incident is the one whose ID begins with a text, if there is one: else [ErrNoIncident] or [ErrSeveralIncidents], which
// names them.
func (d *DB) Incident(ctx context.Context, id string) (*Story, error) {
	db, err := d.reader()
	if err != nil {
		return nil, err
	}
	found, err := d.incidents(ctx, db, "substr(id, 1, length(?)) = ? ORDER BY id = ? DESC, id LIMIT ?", id, id, id, maxNamed)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0 || id == "":
		return nil, fmt.Errorf("%w: %q", ErrNoIncident, id)
	case len(found) > 1 && found[0].ID != id:
		var ids []string
		for _, x := range found {
			ids = append(ids, x.ID)
		}
		return nil, fmt.Errorf("%w as %q: %s", ErrSeveralIncidents, id, strings.Join(ids, ", "))
	}
	s := &Story{Incident: found[0]}
	if s.Events, err = d.events(ctx, db, s.Incident.ID); err != nil {
		return nil, err
	}
	s.Deliveries, err = d.told(ctx, db, s.Incident)
	return s, err
}

// told are the messages about an incident, by Seq: of those under the name of another one, with which it failed together,
// the ones that tell of this, too.
func (d *DB) told(ctx context.Context, db *sql.DB, i *alert.Incident) ([]alert.Delivery, error) {
	all, unreadable, err := d.deliveries(ctx, db, "incident IN (?, ?)", i.ID, i.Group)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(x alert.Delivery) bool {
		return x.Incident != i.ID && (x.Notification.Event.Incident == nil ||
			!slices.ContainsFunc(x.Notification.Event.Incident.Members, func(m alert.Member) bool { return m.Incident == i.ID }))
	})
	all = append(all, unreadable...)
	slices.SortFunc(all, func(a, b alert.Delivery) int { return cmp.Compare(a.Seq, b.Seq) })
	return all, nil
}

// events are those of an incident, without the ones that are damaged.
func (d *DB) events(ctx context.Context, db *sql.DB, id string) (out []alert.Event, err error) {
	err = rows(ctx, db, "SELECT json FROM events WHERE incident = ? ORDER BY seq", []any{id}, func(r *sql.Rows) error {
		var x alert.Event
		var data []byte
		if err := r.Scan(&data); err != nil {
			return err
		}
		if err := d.codec.decode(data, &x); err != nil {
			d.log.Error("an event that was kept is damaged and left out", "incident", id, "error", err)
			return nil
		}
		out = append(out, x)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the course of %q: %w", id, err)
	}
	return out, nil
}

// History are the spans of a target, or of all with an empty name, that lie in a time at least in part, oldest first.
func (d *DB) History(ctx context.Context, target string, from, to time.Time) (out []alert.Span, err error) {
	db, err := d.reader()
	if err != nil {
		return nil, err
	}
	query := `SELECT target, first, last, state, layer, cause, rounds, front_sum, front_max FROM history
		WHERE (? = '' OR target = ?) AND last >= ? AND first <= ? ORDER BY first, target`
	err = rows(ctx, db, query, []any{target, target, nanos(from), nanos(to)}, func(r *sql.Rows) error {
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
