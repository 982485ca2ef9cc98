#!/usr/bin/perl
#
# verdict.pl: judges a storm by what is outside the extension's hands.
#
#     verdict.pl --evidence FILE --wal FILE --log FILE [--crashes FILE]
#                [--database NAME] [--max-wait MS] [CLIENT-OUTPUT...]
#
# Evidence is what torture.evidence() (truth.sql) gives, WAL what wal_events
# (wal.sh) gives, the log that of the server. Prints what is wrong, a line
# "VIOLATION ..." each, and a line "FIGURE NAME NUMBER" for everything counted.
#
# All amounts are in cents, as whole numbers.
#
# 1. The WAL is played: a row of the journal joins its transaction when it is
#    inserted, and counts from the commit record of that on. What a check has
#    written into psum, xsum, peak and open is not looked at.
# 2. Refusals are taken from the log of the server and held against the totals
#    that the accounts had at that time according to 1.
# 3. Every error in the log must be one of those that traffic asks for.

use strict;
use warnings;

my (%file, @clients);
my %option = ('max-wait' => 0, database => 'postgres');
while (@ARGV)
{
	my $word = shift @ARGV;
	if ($word =~ /^--(evidence|wal|log|crashes)$/) { $file{$1} = shift @ARGV; }
	elsif ($word =~ /^--(max-wait|database)$/) { $option{$1} = shift @ARGV; }
	else { push @clients, $word; }
}

my (%figure, $violations);

# Returns nothing, like a function that has found nothing.
sub violation
{
	my ($rule, $text) = @_;
	$figure{violations}++;
	# some hundred examples are enough
	print "VIOLATION $rule: $text\n" if ++$violations <= 200;
	return;
}

# Calls a function with each line of a file; no file, no lines.
sub each_line
{
	my ($name, $function) = @_;
	return unless defined $name && -e $name;
	open my $in, '<', $name or die "$name: $!\n";
	while (my $line = <$in>)
	{
		chomp $line;
		$function->($line);
	}
	close $in;
}

# Seconds since 1970 of "2026-11-25 20:59:17.123", in UTC.
sub epoch
{
	my ($y, $m, $d, $h, $min, $s) = $_[0] =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+):([\d.]+)/
		or return undef;
	if ($m <= 2) { $y--; $m += 12; }
	my $days = 365 * $y + int($y / 4) - int($y / 100) + int($y / 400)
		+ int((153 * ($m - 3) + 2) / 5) + $d - 1 - 719468;
	return (($days * 24 + $h) * 60 + $min) * 60 + $s;
}

sub money { return sprintf '%.2f', $_[0] / 100; }
sub cents { return sprintf '%.0f', $_[0] * 100; }

# --- evidence -----------------------------------------------------------------

my (%customer, %account_of, %fixed, %row, %limit_row, %is_attach, %truth);

# There are millions of rows: what is known of one is kept as text.
sub take_evidence
{
	my ($what, @f) = split / /, $_[0];
	if ($what eq 'account')
	{
		$customer{$f[0]} = $f[1];
		$account_of{$f[1]} = $f[0];
		$fixed{$f[0]} = 1 if $f[1] =~ /^[fgd]/;
	}
	elsif ($what eq 'row') { $row{"$f[2] $f[0] $f[1]"} = "@f[3 .. 6]"; }
	elsif ($what eq 'limit') { $limit_row{"$f[2] $f[0] $f[1]"} = "@f[3, 4]"; }
	elsif ($what eq 'source') { $is_attach{$f[1]} = 1; }
	elsif ($what eq 'truth') { $truth{"$f[0] $f[1]"} = $f[2]; }
}

# --- the WAL ------------------------------------------------------------------

# Totals and limits by account as they came with each commit: the history that
# refusals are held against.
my (%total, %limit, %totals, %limits);
my (%top, %pending, %own, %own_limit);

# Which transaction a subtransaction belongs to is written when that ends.
sub find_top
{
	my ($lsn, $what, $xid, @rest) = split / +/, $_[0];
	return unless $what eq 'commit' || $what eq 'abort';
	splice @rest, 0, 2 if $what eq 'commit';
	$top{$_} = $xid foreach ($xid, @rest);
}

# An increase that was checked, at the moment it was written. What the same
# transaction had written before and rolled back is not there any more; what it
# rolled back later, this row went with.
sub judge_increase
{
	my ($lsn, $top, $account, $currency, $cents, $kind) = @_;
	return if $kind ne 'order' || $cents <= 0 || $currency ne 'EUR' || $is_attach{$top};
	my $limit = exists $own_limit{$top}{$account} ? $own_limit{$top}{$account} : $limit{$account};
	return unless defined $limit && $limit ne '-';
	$figure{increases}++;
	my $committed = $total{"$account EUR"} || 0;
	my $own = $own{$top}{"$account EUR"} || 0;
	return if $committed + $own + $cents <= $limit;
	violation('increase', sprintf 'at %s transaction %d took %s to %s (%s committed, %s own before, %s more) above the limit of %s',
		$lsn, $top, $customer{$account}, money($committed + $own + $cents),
		money($committed), money($own), money($cents), money($limit));
}

sub play_commit
{
	my ($lsn, $top, $moment) = @_;
	my %change;
	$figure{commits}++;
	foreach (@{ delete $pending{$top} || [] })
	{
		my ($what, $account, @f) = split / /;
		if ($what eq 'row') { $change{"$account $f[0]"} += $f[1]; }
		else
		{
			$limit{$account} = $f[0];
			push @{ $limits{$account} }, [ $moment, $f[0] ];
			$figure{'limit changes'}++;
		}
	}
	delete $own{$top};
	delete $own_limit{$top};
	my @changed = grep { $change{$_} } keys %change;
	$figure{'commits that changed exposure'}++ if @changed;
	foreach my $chain (@changed)
	{
		my ($account, $currency) = split / /, $chain;
		$total{$chain} += $change{$chain};
		next if $currency ne 'EUR';
		push @{ $totals{$account} }, [ $moment, $total{$chain}, $change{$chain} ];
		violation('commit', sprintf 'the commit of %d at %s took %s to %s, its limit has always been %s',
			$top, $lsn, $customer{$account}, money($total{$chain}), money($limit{$account}))
			if $fixed{$account} && defined $limit{$account} && $limit{$account} ne '-'
			&& $total{$chain} > $limit{$account};
	}
}

# A row of the journal or of the limits is written. What is not in the tables
# was never committed, or lost in a crash.
sub play_insert
{
	my ($lsn, $what, $xid, $place) = @_;
	my $known = $what eq 'row' ? delete $row{"$xid $place"} : delete $limit_row{"$xid $place"};
	return unless defined $known;
	my $top = $top{$xid};
	return violation('harness', "transaction $xid has no commit record") unless defined $top;
	my ($account, @f) = split / /, $known;
	if ($what eq 'row')
	{
		judge_increase($lsn, $top, $account, @f);
		$own{$top}{"$account $f[0]"} += $f[1];
	}
	else { $own_limit{$top}{$account} = $f[0]; }
	push @{ $pending{$top} }, "$what $known";
}

sub play
{
	my ($lsn, $what, $xid, @rest) = split / +/, $_[0];
	if ($what eq 'row' || $what eq 'limit') { play_insert($lsn, $what, $xid, "@rest"); }
	elsif ($what eq 'commit') { play_commit($lsn, $xid, epoch("$rest[0] $rest[1]")); }
}

sub judge_evidence
{
	# is the evidence whole?
	my ($orphan) = (keys %row, keys %limit_row);
	violation('harness', "a row without a record in the WAL: $orphan") if defined $orphan;
	my %chains = map { $_ => 1 } keys %truth, keys %total;
	foreach my $chain (sort keys %chains)
	{
		my ($account, $currency) = split / /, $chain;
		violation('sum', sprintf 'the journal of %s adds up to %s %s, the ERP to %s', $customer{$account},
			money($total{$chain} || 0), $currency, money($truth{$chain} || 0))
			if ($total{$chain} || 0) != ($truth{$chain} || 0);
	}
}

# --- refusals -----------------------------------------------------------------

# How long before the refusal the check may have looked, and how far clocks of
# commits may be off.
my ($BEFORE, $AFTER) = (1, 0.2);

# A transaction is visible somewhat later than its record is there, and others
# that commit after it may be earlier: so of the last few, some seconds back at
# most, some may not have been seen yet.
my ($LATE_SECONDS, $LATE_OF, $LATE) = (1, 10, 3);

# The part of a history that may have been in force at a moment.
sub window
{
	my ($history, $moment) = @_;
	my ($low, $high) = (0, scalar @$history);
	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);
		if ($history->[$middle][0] < $moment - $BEFORE) { $low = $middle + 1; }
		else { $high = $middle; }
	}
	my $from = $low - 1;
	$low++ while $low < @$history && $history->[$low][0] <= $moment + $AFTER;
	return ($from, $low - 1);
}

sub had_limit
{
	my ($account, $cents, $moment) = @_;
	my $history = $limits{$account} || return 0;
	my ($from, $to) = window($history, $moment);
	foreach my $i ($from .. $to)
	{
		return 1 if $i >= 0 && $history->[$i][1] ne '-' && $history->[$i][1] == $cents;
	}
	return 0;
}

# Are some of the changes before i, back to the end, the rest?
sub are_late
{
	my ($history, $i, $end, $left, $rest) = @_;
	return 1 if $rest == 0;
	return 0 if $left == 0 || $i < $end;
	return are_late($history, $i - 1, $end, $left - 1, $rest - $history->[$i][2])
		|| are_late($history, $i - 1, $end, $left, $rest);
}

# The first of those who may be late when i is visible.
sub first_late
{
	my ($history, $i) = @_;
	my $end = $i;
	$end-- while $end > 0 && $end > $i - $LATE_OF
		&& $history->[ $end - 1 ][0] > $history->[$i][0] - $LATE_SECONDS;
	return $end;
}

sub had_exposure
{
	my ($account, $cents, $moment) = @_;
	my $history = $totals{$account} || [];
	my ($from, $to) = window($history, $moment);
	foreach my $i ($from .. $to)
	{
		my $total = $i < 0 ? 0 : $history->[$i][1];
		return 'exactly' if $total == $cents;
	}
	foreach my $i ($from .. $to)
	{
		next if $i < 1;
		return 'nearly' if are_late($history, $i - 1, first_late($history, $i), $LATE,
			$history->[$i][1] - $cents);
	}
	return '';
}

# Moments at which the server was killed.
my @crashes;

# Moment, message and statement of a refusal for the limit.
sub judge_refusal
{
	my ($moment, $message, $statement) = @_;
	my ($customer, $limit, $exposure, $adds) = $message =~
		/ of customer (\w+),? .*would exceed the credit limit: limit ([-\d.]+), exposure ([-\d.]+), adds ([-\d.]+) EUR/
		or return violation('refusal', "cannot be understood: $message");
	($limit, $exposure, $adds) = map { cents($_) } ($limit, $exposure, $adds);
	violation('refusal', "not by its own figures: $message") if $exposure + $adds <= $limit;
	return unless $statement =~ m{/\* single \*/};

	# commits that the crash has taken were seen before it
	return if grep { $_ > $moment - 0.2 && $_ < $moment + 3 } @crashes;
	my $account = $account_of{$customer} || return violation('refusal', "no such account: $message");
	violation('refusal', "the account had no such limit: $message")
		unless had_limit($account, $limit, $moment);
	my $found = had_exposure($account, $exposure, $moment);
	$figure{"refusals judged: exposure $found found"}++ if $found;
	violation('refusal', "the account had no such exposure at $moment: $message") unless $found;
}

# --- the log of the server ----------------------------------------------------

# What traffic asks for: refusals, conflicts of the ERP's own rows, deadlocks,
# what follows an error, errors made on purpose, prepared transactions that
# somebody else has ended, psql that has gone, and crashes.
my $EXPECTED = qr/^(?:23514|40001|40P01|25P02|3B001|22012|42704|08006|08P01|57P0[123])$/;

# The attacher: locks that it does not get, and after a crash it does not know
# whether the table is attached.
my $EXPECTED_OF_ATTACHER = qr/^(?:55P03|22023)$/;

# The error that was read last, and when; message: where it is a refusal.
my ($moment, $message);

sub judge_error
{
	my ($name, $state, $text) = @_;
	$figure{"errors $state"}++;
	violation('error', "$name: $state: $text") unless $state =~ $EXPECTED
		|| $text =~ /^prepared transaction with identifier .* is busy$/
		|| ($name eq 'attacher' && $state =~ $EXPECTED_OF_ATTACHER);
	$message = $state eq '23514' ? $text : undef;
	return unless defined $message;
	$figure{refusals}++;
	$figure{'refusals after waiting'}++ if $text =~ /has to wait for|is being changed by/;
	violation('refusal', "not of ours: $text")
		unless $text =~ /would exceed the credit limit: |has to wait for|is being changed by/;
}

# An error, and some lines later the statement that has met it.
sub judge_log
{
	my ($line) = @_;
	violation('server', $line) if $line =~ /PANIC:|TRAP:|signal (?:6|7|11)\b|\|XX/;
	my ($when, $database, $name, $state, $level, $text) = $line =~
		/^([^|]+)\|([^|]*)\|([^|]*)\|(\w+)\| +(ERROR|FATAL|STATEMENT): +(.*)/ or return;
	return if $database ne $option{database};
	if ($level ne 'STATEMENT')
	{
		$moment = epoch($when);
		judge_error($name, $state, $text);
	}
	elsif (defined $message)
	{
		judge_refusal($moment, $message, $text)
			if $message =~ /would exceed the credit limit: .* EUR$/;
		undef $message;
	}
}

# Somebody else's transaction is a reason only after max_wait: the time that
# psql gives for the statement says whether that was so.
my $waited;

sub judge_waiting
{
	my ($line) = @_;
	if ($line =~ /ERROR:  23514/) { $waited = $line; }
	elsif (defined $waited && $line =~ /^Time: ([\d.]+) ms/)
	{
		$figure{'waits timed'}++;
		violation('wait', "after $1 ms only: $waited") if $1 < $option{'max-wait'} - 1;
		undef $waited;
	}
}

each_line($file{evidence}, \&take_evidence);
each_line($file{wal}, \&find_top);
each_line($file{wal}, \&play);
judge_evidence();
each_line($file{crashes}, sub { push @crashes, $_[0] });
each_line($file{log}, \&judge_log);
each_line($_, \&judge_waiting) foreach @clients;
$figure{violations} ||= 0;
print "FIGURE $_ $figure{$_}\n" foreach sort keys %figure;
