# shellcheck shell=bash
#
# process.sh: find and end the processes that stand in a folder, and wait.
#
# A PostgreSQL server and all its children have their data folder as current
# folder. Looking there finds them even after the postmaster is gone, and
# needs no ps, which a small machine does not have.

processes_in() {
	local link cwd
	for link in /proc/[0-9]*/cwd; do
		cwd=$(readlink "$link" 2>/dev/null) || continue
		case $cwd/ in
			"$1"/*)
				link=${link#/proc/}
				echo "${link%/cwd}" ;;
		esac
	done
}

# Kills what runs in a folder and waits until it is gone.
end_processes_in() {
	local pids tries=0
	while pids=$(processes_in "$1"); [ -n "$pids" ]; do
		tries=$((tries + 1))
		if [ "$tries" -gt 100 ]; then
			echo "processes in $1 do not end: $pids" >&2
			return 1
		fi
		# shellcheck disable=SC2086 # several ids
		kill -KILL $pids 2>/dev/null || :
		sleep 0.1
	done
}

# patiently SECONDS COMMAND...: again and again, until the command succeeds
patiently() {
	local tries=$(($1 * 10))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

stands_in() {
	[ "$(readlink "/proc/$1/cwd")" = "$2" ]
}

# Stops a server through its data folder. A killed server cannot give back
# its System V memory segment (key and id are in line 7): that is done here.
end_server_in() {
	local file=$1/postmaster.pid pid key id tries=0

	[ -s "$file" ] || return 0
	pid=$(head -n 1 "$file")
	read -r key id < <(sed -n 7p "$file") || :
	if stands_in "$pid" "$1"; then
		kill -QUIT "$pid"
		while stands_in "$pid" "$1" && [ "$tries" -lt 100 ]; do
			tries=$((tries + 1))
			sleep 0.1
		done
	fi
	end_processes_in "$1"
	[ -z "${key:-}" ] || ipcrm -m "$id" 2>/dev/null || :
}
