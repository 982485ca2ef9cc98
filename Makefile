# credit: a credit department inside a PostgreSQL database

EXTENSION = credit
MODULE_big = credit

# One subject a file: src/NAME.c
SUBJECTS = credit area stat progress vector page leaf ledger probe rule \
	setting field expression tablecache source directory wait shortlock \
	limit account item stage family family_member family_share family_settle \
	settlement journal control refusal decision apply recount frame capture \
	exposure asof aggregate money aging aging_bounds aging_result rate \
	currency probability dayhist behaviour profile cycle linalg logit \
	logit_profile logit_model logit_fit logit_select bag validation \
	calibration stability agreement comparison calibrate rating maintenance \
	amount timeline series trend change balance indicator capacity recency \
	pack daymap finesum state state_payment state_aging composite binning \
	binning_option binning_cut binning_join binning_apply scorecard \
	scorecard_model scorecard_fit ahp roster viewsource viewsource_plan viewsource_read \
	viewsource_key viewsource_column dependency dependency_evaluate touched \
	rowversion backlog grouping grouping_key adhoc repair

# A library for the test of the tests, in which a protection can be taken away
# (src/sabotage.h). Never for use.
ifeq ($(SABOTAGE),1)
SUBJECTS += sabotage
PG_SABOTAGE = -DCREDIT_SABOTAGE
endif
OBJS = $(SUBJECTS:%=src/%.o)

# Regression tests in running order: sql/NAME.sql, expected/NAME.out
REGRESS = install account setting attach capture capture_trigger \
	capture_partition capture_bulk control refusal stat exposure currency \
	group health aging behaviour adhoc logit validation maintenance financials \
	calibrate rating trend balance indicator state binning scorecard \
	receivable receivable_report view payment feature monitor operation

PG_CONFIG ?= pg_config

# Programs under test/ find or install PostgreSQL themselves, so they must work
# where pg_config is still missing, and PGXS has a target "check" of its own
# that only says no: hence PGXS stays out when one of these is asked for.
TEST_TARGETS = check demo bench torture

ifneq ($(filter $(TEST_TARGETS),$(MAKECMDGOALS)),)

check:
	@test/run check
demo bench:
	@test/$@/run
torture:
	@test/crash/run

OTHER_TARGETS = $(filter-out $(TEST_TARGETS),$(MAKECMDGOALS))
$(OTHER_TARGETS):
	$(MAKE) $@
.PHONY: $(TEST_TARGETS) $(OTHER_TARGETS)

else

# The version stands in the control file and nowhere else. (The prefix is due
# to PGXS, which has a VERSION and an INSTALL_SCRIPT of its own.)
CREDIT_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" credit.control)
CREDIT_SCRIPT = build/credit--$(CREDIT_VERSION).sql
CREDIT_PIECES = $(sort $(wildcard sql/install/[0-9][0-9]-*.sql))

DATA = $(sort $(wildcard sql/upgrade/credit--*--*.sql))
DATA_built = $(CREDIT_SCRIPT)
EXTRA_CLEAN = build $(OBJS:.o=.d)

# PostgreSQL's own headers are declared to be system headers: what they do is
# no matter of our warnings. Unused parameters are normal in callbacks and in
# functions that SQL calls, and so are tables that leave the rest at zero.
PG_CPPFLAGS = -DCREDIT_VERSION='"$(CREDIT_VERSION)"' $(PG_SABOTAGE) -isystem $(includedir_server)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-MMD -MP
ifeq ($(WERROR),1)
PG_CFLAGS += -Werror
endif

# Bitcode needs the very clang that PostgreSQL was built with. It would serve
# inlining into JIT code only, so it is made on request: make with_llvm=yes
ifeq ($(origin with_llvm),undefined)
override with_llvm = no
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): Makefile credit.control

# Loops over columns of numbers: as the server's own makefiles do it.
src/linalg.o src/logit.o: CFLAGS += $(CFLAGS_VECTORIZE)
-include $(OBJS:.o=.d)

# The first line is for people who feed the file to psql.
$(CREDIT_SCRIPT): $(CREDIT_PIECES) Makefile credit.control
	@mkdir -p $(@D)
	{ printf '%s\n' '\echo Use "CREATE EXTENSION credit" to load this file. \quit'; \
	  cat $(CREDIT_PIECES); } > $@.new
	mv $@.new $@

print-%:
	@echo $($*)

endif
