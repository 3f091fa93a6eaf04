# How late one timer at a time comes, of 1 to 20 ms.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use EV;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($n) = Meter::args(200);
my @delays = Meter::delays(0.001, 0.02);
my @late;

sub monotime { return clock_gettime(CLOCK_MONOTONIC) }

for my $i (1 .. $n) {
  my $due   = monotime() + $delays[ $i - 1 ];
  EV::now_update;
  my $timer = EV::timer $delays[ $i - 1 ], 0, sub { EV::break };
  EV::run;
  push @late, monotime() - $due;
}
Meter::lateness(@late);
Meter::report();
