package probe

import "github.com/prometheus/client_golang/prometheus"

// descriptions are the metrics that are emitted from the last results.
type descriptions struct {
	all []*prometheus.Desc

	success, duration, dns, phase, certEnds, status, ipProtocol, ssl, length *prometheus.Desc

	verdict, layer, info, state, round           *prometheus.Desc
	stageDuration, stageOutcome, stageFailures   *prometheus.Desc
	rtos, retransmits                            *prometheus.Desc
	rounds, skipped, beat                        *prometheus.Desc
	heldSince, heldAnswer, heldAnswered, heldDie *prometheus.Desc
	heldMissed                                   *prometheus.Desc
}

func describe() *descriptions {
	d := &descriptions{}
	d.blackbox()
	d.verdicts()
	d.stages()
	d.heldopen()
	d.rounds = d.add("whichlayer_rounds_total", "Rounds that ended, by what began them.", "target", "trigger")
	d.skipped = d.add("whichlayer_rounds_skipped_total",
		"Rounds that did not start because the one before was still running.", "target")
	d.beat = d.add("whichlayer_scheduler_last_beat_timestamp_seconds",
		"When the scheduler's loop last ran; it does so every second.")
	return d
}

func (d *descriptions) add(name, help string, labels ...string) *prometheus.Desc {
	x := prometheus.NewDesc(name, help, labels, nil)
	d.all = append(d.all, x)
	return x
}

// blackbox describes the metrics that blackbox_exporter has too, by its names, and tells of the front lane.
func (d *descriptions) blackbox() {
	d.success = d.add("probe_success",
		"Whether the front lane of the last round served as a user expects; absent when we could not look.", "target")
	d.duration = d.add("probe_duration_seconds", "How long the front lane of the last round took.", "target")
	d.dns = d.add("probe_dns_lookup_time_seconds", "How long the front's name took to resolve.", "target")
	d.phase = d.add("probe_http_duration_seconds",
		"How long each phase of the front's request took; a phase that did not run is absent.", "target", "phase")
	d.certEnds = d.add("probe_ssl_earliest_cert_expiry",
		"Unix time at which the first certificate of the front's chain ends.", "target")
	d.status = d.add("probe_http_status_code", "Status code of the front's response.", "target")
	d.ipProtocol = d.add("probe_ip_protocol", "IP version of the front's address: 4 or 6.", "target")
	d.ssl = d.add("probe_http_ssl", "Whether the front's response came over TLS.", "target")
	d.length = d.add("probe_http_content_length", "Length of the front's body as announced, -1 when it was not.", "target")
}

func (d *descriptions) verdicts() {
	d.verdict = d.add("whichlayer_verdict",
		"1 for the layer that broke (none when nothing is wrong), 0 for the others.", "target", "layer")
	d.layer = d.add("whichlayer_verdict_layer_index",
		"The layer that broke as a number: 0 none, 1 prober, 2 dns, 3 network, 4 host, 5 balancer, 6 proxy, 7 link, 8 backend.",
		"target")
	d.info = d.add("whichlayer_verdict_info", "Always 1; the labels tell the verdict of the last round.",
		"target", "state", "layer", "cause", "confidence")
	d.state = d.add("whichlayer_target_state", "1 for the state of the target, 0 for the others.", "target", "state")
	d.round = d.add("whichlayer_last_round_timestamp_seconds", "When the last round ended.", "target")
}

func (d *descriptions) stages() {
	stage := []string{"target", "lane", "hop", "stage"}
	d.stageDuration = d.add("whichlayer_stage_duration_seconds",
		"How long the stage took in the last round; absent when it did not run.", stage...)
	d.stageOutcome = d.add("whichlayer_stage_outcome",
		"Outcome of the stage in the last round: 0 ok, 1 slow, 2 failed, 3 we could not look; absent when it did not run. "+
			"A witness (lanes control, vantage) that refuses is ok: its host answered.",
		stage...)
	d.stageFailures = d.add("whichlayer_stage_failures_total", "Failures of the stage, by type.", append(stage, "type")...)
	d.rtos = d.add("whichlayer_tcp_retransmission_timeouts_total",
		"Retransmission timers that fired because nothing was heard, on the lane's connections.", "target", "lane", "hop")
	d.retransmits = d.add("whichlayer_tcp_retransmitted_segments_total",
		"Segments that were sent again on the lane's connections.", "target", "lane", "hop")
}

func (d *descriptions) heldopen() {
	d.heldSince = d.add("whichlayer_heldopen_established_timestamp_seconds",
		"When the long-lived connection was established; absent while there is none.", "target")
	d.heldAnswer = d.add("whichlayer_heldopen_last_answer_timestamp_seconds",
		"When the last request on a long-lived connection was answered.", "target")
	d.heldMissed = d.add("whichlayer_heldopen_answer_missing",
		"Whether the long-lived connection waits for an answer longer than it usually does.", "target")
	d.heldAnswered = d.add("whichlayer_heldopen_answered_total", "Requests answered on long-lived connections.", "target")
	d.heldDie = d.add("whichlayer_heldopen_deaths_total", "Long-lived connections that ended.", "target")
}
