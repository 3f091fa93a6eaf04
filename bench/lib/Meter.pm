package Meter;

# The Perl twin of meter.lua: size arguments, CPU time, memory, result line.

use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);

my ($started, @planned, %result);

sub args {
  my ($default, $size) = @_;
  my $scale = $ENV{BENCH_SCALE} || 1;
  my $n = $ARGV[0] || int($default * $scale);
  $n = 10 if $n < 10;
  my $warm = int($n / 10) || 1;
  @planned = ($warm, $n);
  return ($n, $warm, $ARGV[1] || $size);
}

sub status_kb {
  my ($field) = @_;
  open my $status, '<', '/proc/self/status' or die $!;
  while (<$status>) { return $1 if /^$field:\s*(\d+)/ }
  die "no $field";
}

sub rss { return status_kb('VmRSS') * 1024 }

sub cpu { return clock_gettime(CLOCK_PROCESS_CPUTIME_ID) }

sub start { $started = cpu() }

sub stop {
  my ($ops, $key) = @_;
  $result{ $key || 'ns' } = (cpu() - $started) * 1e9 / $ops;
  $result{ops} = $ops;
}

# First the operations to warm up with; then, the clock started, those to
# measure; then, it stopped, 0.
sub phase {
  if (!@planned) { stop($result{ops}); return 0 }
  if (@planned == 1) { $result{ops} = $planned[0]; start() }
  return shift @planned;
}

# Longest CPU time between two calls.
sub pause {
  my ($last, $longest) = (cpu(), 0);
  return sub {
    my $now = cpu();
    if ($now - $last > $longest) {
      $longest = $now - $last;
      set(pause_ms => $longest * 1e3);
    }
    $last = $now;
  };
}

sub set { $result{ $_[0] } = $_[1] }

# 4,096 delays spread over [low, high), the same in every language.
sub delays {
  my ($low, $high) = @_;
  my ($seed, @delays) = (42);
  for (1 .. 4096) {
    $seed = ($seed * 1103515245 + 12345) & 0x7fffffff;
    push @delays, $low + ($high - $low) * ($seed >> 8) / 0x800000;
  }
  return @delays;
}

sub lateness {
  my @list = sort { $a <=> $b } @_;
  set(median_us => $list[ int(($#list) / 2) ] * 1e6);
  set(p99_us => $list[ int(@list * 99 / 100) - 1 ] * 1e6);
  set(early => scalar grep { $_ < 0 } @list);
}

sub report {
  $result{rss_kb} = status_kb('VmHWM');
  print join(' ', map { "$_=" . sprintf '%.15g', $result{$_} } sort keys %result),
    "\n";
}

1;
