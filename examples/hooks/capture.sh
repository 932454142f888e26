#!/bin/sh
# capture.sh records packets while an incident lasts: a receiver of whichlayer, of the kind exec.
#
#   receivers:
#     - name: capture
#       exec:
#         command: ["/usr/local/lib/whichlayer/capture.sh"]
#         env: {CAPTURE_DIR: /var/lib/whichlayer/captures, CAPTURE_INTERFACE: any}
#       on: [suspect, opened, resolved, dismissed]
#
# With "suspect" or "opened" it starts one tcpdump for the incident, with "resolved" or "dismissed" it lets it go on
# for CAPTURE_AFTER seconds and stops it. The recording holds all traffic of the service's addresses and ports
# (WHICHLAYER_SERVICE_FILTER): the probes and the users. To find the probes that failed in it, use the filter that the
# message shows.
#
# Install it with: install -D -m 755 -t /usr/local/lib/whichlayer capture.sh
# tcpdump needs the right to capture: as root it has it; under systemd see the end of ../systemd/whichlayer.service.
#
# Settings, all by environment:
#   CAPTURE_DIR        where recordings and state files go       (default /var/lib/whichlayer/captures)
#   CAPTURE_INTERFACE  interface                                 (any)
#   CAPTURE_SNAPLEN    bytes kept of each packet                 (256: headers and the begin of a TLS record)
#   CAPTURE_FILE_MB    size of one file in millions of bytes     (50)
#   CAPTURE_FILES      files of a recording; the oldest is overwritten when there are more   (4)
#   CAPTURE_MAX        seconds after which a recording ends by itself, should nobody end it  (3600)
#   CAPTURE_AFTER      seconds of recovery that are still recorded                           (30)
#   CAPTURE_KEEP       recordings that are kept                  (20)
#
# Nothing of what whichlayer passes is ever run: the incident's ID is checked, the filter is one argument.
set -eu
umask 077

dir=${CAPTURE_DIR:-/var/lib/whichlayer/captures}
interface=${CAPTURE_INTERFACE:-any}
snaplen=${CAPTURE_SNAPLEN:-256}
file_mb=${CAPTURE_FILE_MB:-50}
files=${CAPTURE_FILES:-4}
max=${CAPTURE_MAX:-3600}
after=${CAPTURE_AFTER:-30}
keep=${CAPTURE_KEEP:-20}
event=${WHICHLAYER_EVENT:?is set by whichlayer}
incident=${WHICHLAYER_INCIDENT:?is set by whichlayer}
filter=${WHICHLAYER_SERVICE_FILTER:-}

die() {
	echo "capture.sh: $1" >&2
	exit 1
}

# The ID becomes part of file names.
case $incident in
*[!A-Za-z0-9._-]* | .* | -*) die "the incident's ID is not one of whichlayer's" ;;
esac
for number in "$snaplen" "$file_mb" "$files" "$max" "$after" "$keep"; do
	case $number in
	'' | *[!0-9]*) die "'$number' is not a number" ;;
	esac
done

# The state is the process ID and the file of the incident's recording; the mark asks for its end.
state=$dir/$incident.state
mark=$dir/$incident.ends

# running prints the ID of the incident's tcpdump, if that process still is the one that was started: IDs are given
# again, so its arguments must hold the recording's file.
running() {
	[ -r "$state" ] || return 1
	{ read -r pid && read -r file; } <"$state" || return 1
	case $pid in
	'' | *[!0-9]*) return 1 ;;
	esac
	kill -0 "$pid" 2>/dev/null || return 1
	if [ -r "/proc/$pid/cmdline" ]; then
		tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -e "$file" || return 1
	fi
	echo "$pid"
}

start() {
	mkdir -p "$dir"
	rm -f "$mark"
	if pid=$(running); then
		echo "already recording as process $pid"
		return
	fi
	[ -n "$filter" ] || die "no address is known to record"
	command -v tcpdump >/dev/null || die "tcpdump is not installed"
	prune
	name=$dir/$incident-$(date -u +%H%M%SZ)
	# A session of its own, so that it outlives this script's process group; no output, so that nobody waits for it.
	# -Z keeps it from becoming another user, who may not write here. timeout passes a TERM on.
	setsid timeout "$max" tcpdump -i "$interface" -n -s "$snaplen" -U -C "$file_mb" -W "$files" -Z "$(id -un)" -w "$name.pcap" "$filter" \
		</dev/null >"$name.log" 2>&1 &
	pid=$!
	printf '%s\n' "$pid" "$name.pcap" >"$state.new"
	mv "$state.new" "$state"
	# A wrong interface or a missing right ends tcpdump at once.
	sleep 1
	running >/dev/null || die "tcpdump ended at once: $(tail -n 1 "$name.log")"
	echo "recording as process $pid into $name.pcap*"
}

# stop_later ends a recording in some seconds, in the background, if it still is the incident's and its end is still
# asked for. The signal is TERM, because what a shell starts in the background ignores INT.
stop_later() {
	(
		trap '' HUP
		sleep "$2"
		if [ -e "$mark" ] && [ "$(running)" = "$1" ]; then
			kill -TERM "$1" 2>/dev/null || :
		fi
	) </dev/null >/dev/null 2>&1 &
}

stop() {
	if ! pid=$(running); then
		echo "nothing is being recorded"
		return
	fi
	: >"$mark" # a relapse takes it away again
	stop_later "$pid" "$after"
	echo "process $pid ends in $after s"
}

# prune removes the oldest recordings, all that are beyond the number to keep. Their names sort by time.
prune() {
	count=0
	for log in "$dir"/*.log; do
		[ -e "$log" ] && count=$((count + 1))
	done
	for log in "$dir"/*.log; do
		[ "$count" -ge "$keep" ] || return 0
		[ -e "$log" ] || return 0
		old=${log%.log}
		rm -f -- "$old".pcap* "$old.log" "${old%-*}.state" "${old%-*}.ends"
		count=$((count - 1))
	done
}

case $event in
suspect | opened) start ;;
resolved | dismissed) stop ;;
*) : ;; # updated: nothing to do
esac
