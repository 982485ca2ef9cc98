# shellcheck shell=bash
#
# specs.sh: run isolation specs. After cluster.sh.
#
#     specs_prepare CLUSTER DATABASE        the shop, for a new database
#     specs_run DATABASE OUTPUT NAME...     test/isolation/specs/NAME.spec against
#                                           expected/NAME.out; OUTPUT is a folder
#
# What pg_isolation_regress says goes to OUTPUT/log; count_regress reads that.

# The tester would make its database of template0, without the shop.
specs_prepare() {
	cluster_psql "$1" -c "CREATE DATABASE $2"
	PGDATABASE=$2 cluster_psql "$1" -f test/lib/shop.sql
}

specs_run() {
	local database=$1 output=$2
	shift 2
	timeout 1200 "$(dirname "$("$PG_CONFIG" --pgxs)")/../test/isolation/pg_isolation_regress" \
		--use-existing --inputdir=test/isolation --outputdir="$output" \
		--bindir="$(dirname "$(command -v psql)")" --dbname="$database" "$@" \
		>"$output/log" 2>&1
}
