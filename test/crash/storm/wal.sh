# shellcheck shell=bash
#
# wal.sh: what happened, in the order of the WAL. After cluster.sh.
#
#     wal_events CLUSTER FROM    since that LSN, for database $PGDATABASE
#
# One event a line, to be read by verdict.pl:
#
#     LSN row XID BLOCK ITEM           a row into credit.journal
#     LSN limit XID BLOCK ITEM         a row into credit.limit_change
#     LSN commit XID DATE TIME XID...  with the subtransactions
#     LSN abort XID XID...
#
# The one thing here that the extension has no hand in: a transaction is
# committed from its commit record on, for everybody and after every crash.

# Records of pg_waldump, from the begin of the segment on: there it finds the
# first record by itself. It reports an invalid record where the WAL ends, and
# what it says is kept with the logs.
wal_dump() {
	local cluster=$1 from=${2%/*}/$(printf '%X' $((0x${2#*/} & ~0xFFFFFF)))
	shift 2
	TZ=UTC pg_waldump --path="$(cluster_dir "$cluster")/data/pg_wal" \
		--start="$from" "$@" 2>>"$STORM_LOGS/waldump" || :
}

# Inserts of one table: its path is base/DATABASE/FILE. (From release 16 on it
# is "off: 12".)
wal_inserts() {
	local path
	path=$(cluster_value "$1" "SELECT pg_relation_filepath('$3')")
	wal_dump "$1" "$2" --rmgr=Heap --relation="1663/$(cut -d/ -f2- <<<"$path")" |
		awk -v what="$4" '/ desc: INSERT/ && match($0, / off:? [0-9]+/) {
			item = substr($0, RSTART, RLENGTH)
			sub(/.* /, "", item)
			block = $NF
			for (i = 1; i <= NF; i++) if ($i == "blk") block = $(i + 1)
			match($0, /tx: *[0-9]+/); xid = substr($0, RSTART + 3, RLENGTH - 3) + 0
			match($0, /lsn: [0-9A-F]+\/[0-9A-F]+/)
			split(substr($0, RSTART + 5, RLENGTH - 5), lsn, "/")
			print substr("00000000" lsn[1], length(lsn[1]) + 1) lsn[2], what, xid, block, item
		}'
}

# COMMIT_PREPARED 1234: 2026-11-25 ... UTC; subxacts: 1235 1236; ...
wal_ends() {
	wal_dump "$1" "$2" --rmgr=Transaction |
		awk '/ desc: (COMMIT|ABORT)/ {
			match($0, /tx: *[0-9]+/); xid = substr($0, RSTART + 3, RLENGTH - 3) + 0
			match($0, /lsn: [0-9A-F]+\/[0-9A-F]+/)
			split(substr($0, RSTART + 5, RLENGTH - 5), lsn, "/")
			sub(/.* desc: /, "")
			what = /^COMMIT/ ? "commit" : "abort"
			if (match($0, /PREPARED [0-9]+: /)) {
				xid = substr($0, RSTART + 9, RLENGTH - 11) + 0
				sub(/PREPARED [0-9]+: /, "")
			}
			match($0, /[0-9]+-[0-9]+-[0-9]+ [0-9:.]+/)
			moment = substr($0, RSTART, RLENGTH)
			children = ""
			if (match($0, /subxacts:[ 0-9]+/))
				children = substr($0, RSTART + 9, RLENGTH - 9)
			print substr("00000000" lsn[1], length(lsn[1]) + 1) lsn[2], what, xid, \
				what == "commit" ? moment children : children
		}'
}

# An LSN sorts as text when both halves have eight digits.
wal_position() {
	printf '%08X%08X' "0x${1%/*}" "0x${1#*/}"
}

wal_events() {
	{
		wal_inserts "$1" "$2" credit.journal row
		wal_inserts "$1" "$2" credit.limit_change limit
		wal_ends "$1" "$2"
	} | LC_ALL=C sort -k 1,1 | awk -v from="$(wal_position "$2")" '$1 "" >= from'
}
