#!/bin/bash
# A restart script as a rival of the failover: ffmpeg reads one of two ports until nothing has come for 100 ms and ends; then
# another is started with the other port. The transport streams go to standard output, one behind the other.
#
#     restart.sh PORT PORT
set -u
ports=("$1" "$2")
trap 'kill "$child" 2> /dev/null; exit 0' TERM
input=0
while :; do
    ffmpeg -v error -nostdin -i "udp://127.0.0.1:${ports[input]}?timeout=100000" -c copy -f mpegts pipe:1 &
    child=$!
    wait "$child"
    input=$((1 - input))
done
