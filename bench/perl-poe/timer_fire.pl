# Sets n timers with one integer, due within 100 ms, and lets them all fire.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my ($n) = Meter::args(50000);
my @delays = Meter::delays(0, 0.1);
my $count  = 0;

POE::Session->create(
  inline_states => {
    _start => sub {
      my $kernel = $_[KERNEL];
      Meter::start();
      $kernel->delay_set('due', $delays[ $_ & 4095 ], $_) for 1 .. $n;
    },
    due => sub { Meter::stop($n) if ++$count == $n },
  },
);

POE::Kernel->run;
Meter::report();
