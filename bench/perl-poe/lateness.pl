# How late one timer at a time comes, of 1 to 20 ms.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($n) = Meter::args(200);
my @delays = Meter::delays(0.001, 0.02);
my @late;

sub monotime { return clock_gettime(CLOCK_MONOTONIC) }

POE::Session->create(
  inline_states => {
    _start => sub { $_[KERNEL]->yield('set') },
    set    => sub {
      my $delay = $delays[@late];
      $_[HEAP]{due} = monotime() + $delay;
      $_[KERNEL]->delay_set('due', $delay);
    },
    due => sub {
      push @late, monotime() - $_[HEAP]{due};
      if   (@late < $n) { $_[KERNEL]->yield('set') }
      else              { Meter::lateness(@late) }
    },
  },
);

POE::Kernel->run;
Meter::report();
