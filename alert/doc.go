// Package alert is what it means, and who hears of it.
//
// A [Desk] takes every round of every target. It asks [probe.Attribute] for the verdict, gives both to the target's
// [Tracker] and [CertificateWatch], and passes on what comes out of them: events for the event stream, and for the
// [Dispatcher], who tells people and programs.
//
// The [Detector] decides when failures are more than bad luck; the [Tracker] makes an [Incident] of them, with bounds
// of its start and end that truly contain the two instants. The [Outbox] decides what each receiver is told: its ledger
// which transitions become messages (routes, groups of targets that fail together, maintenance, reminders), its queue in
// which order and when again. All of these are pure: no clock, no I/O, time is an argument.
//
//	round -> Desk -> events -> Outbox: ledger -> queue -> Dispatcher: worker -> Notifier
//	                   |          |                           |
//	                   |          '--------> Keeper <---------'
//	                event stream               |
//	                                         Store
//
// Nothing is sent before the [Keeper] has made it durable in the [Store], and what was sent is made so before the next.
// Memory is what is worked with; the store is read only by a process that begins. When it cannot be written everything
// goes on from memory, and messages say so. The prober's own troubles are incidents of [SelfTarget].
//
// Each receiver has a queue and a goroutine of its own, so that a dead one delays nothing else. The code that serves a kind
// of receiver is a [Notifier]; package notify has them, package store the store.
//
// Read it in this order: event, incident, detector, member, pattern, lastgood, start, end, picture, tracker, checkpoint,
// certificate, self, vantage, seat, desk; component, group, ledger, queue, outbox; store, keeper, dispatch, worker, remember,
// drill; notification, words.
package alert
