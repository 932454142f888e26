// Package probe is what we saw: staged probes of a target in parallel lanes, on a schedule, and what follows from them.
//
// A [Target] runs rounds. In one round every lane looks at once: the front as users do, each hop and each backend
// addressed directly, control ports beside them. A lane walks its stages (resolve, connect, tls, request, response)
// by hand, one socket, one literal address, one deadline per stage, and keeps what the kernel knew after each. The
// [Result] is plain data. [Attribute] is a pure function from results to a [Verdict]: the layer that broke, why, how
// sure, and who is innocent.
//
// While a stage of the front stalls, and when one fails, the round makes a few looks in other ways (look_*), each a lane
// of its own in the result, to tell apart what looks alike. Beside the lanes one connection of each is held open. A
// recording keeps results for another judgement.
//
// Read it in this order: schedule, target, round, lane, stage_*, look, heldopen, result, attribute, facts, rules, verdict.
//
// Nothing here follows redirects, pools connections, falls back between addresses or reads proxies from the
// environment: each hides the stage that failed. The prober's own trouble (no files, no route, a pause) is a type of
// its own and never charged to a target.
package probe
