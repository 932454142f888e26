// Package alert is what it means, and who hears of it.
//
// A [Desk] takes every round of every target. It asks [probe.Attribute] for the verdict, gives both to the target's
// [Tracker] and passes on what comes out of it: events for the event stream, notifications for the [Dispatcher].
//
// The [Detector] decides when failures are more than bad luck; the [Tracker] makes an [Incident] of them, with bounds
// of its start and end that truly contain the two instants. Both are pure: no clock, no I/O, time is an argument.
//
// The [Dispatcher] has one bounded queue and one goroutine per receiver, so that a dead receiver delays nothing else.
// The code that serves a kind of receiver is a [Notifier]; package notify has them.
//
// Read it in this order: event, incident, detector, lastgood, start, end, picture, tracker, desk, notification, words, dispatch.
package alert
